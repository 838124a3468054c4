"""Traces of a fit: they do not change it, and take snapshots of its images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from paper_problems import SHAPE, small_preset, striped_problem

from benchmarks.papers import tracing
from dip_core.dip import build
from dip_core.dip.data_fidelity import MaskedFidelity
from dip_core.dip.fitting import fit


def run_fit(chosen, wrap):
    """Fit a preset to the problem; ``wrap``: makes the data fidelity term from the real one."""
    problem = striped_problem()
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    network_input = build.draw_network_input(chosen, SHAPE, "noise", generator)
    network = build.build_network(chosen, SHAPE[0], network_input.shape[1])
    values = torch.from_numpy(problem.given)[None]
    fidelity = wrap(MaskedFidelity(torch.from_numpy(problem.observed.astype(np.float32))[None]))
    return fit(network, network_input, values, fidelity, chosen.schedule, generator=generator)


@pytest.mark.parametrize("average", [None, tracing.AVERAGE_DECAY])
def test_a_trace_does_not_change_the_fit(average):
    chosen, snapshots = small_preset(12, average=average), []
    plain = run_fit(chosen, lambda fidelity: fidelity)
    traced = run_fit(chosen, lambda fidelity: tracing.Tracer(fidelity, {1, 7, 12, 99}, snapshots.append))
    assert traced.losses == plain.losses
    np.testing.assert_array_equal(traced.image, plain.image)
    assert [snapshot.iteration for snapshot in snapshots] == [1, 7, 12]
    assert [snapshot.loss for snapshot in snapshots] == [plain.losses[index] for index in (0, 6, 11)]
    # The last snapshot contains the result of the fit: the image, or the fitting loop's own average.
    last = snapshots[-1]
    np.testing.assert_array_equal(last.image if average is None else last.average, plain.image)
    assert not np.array_equal(last.image, last.average)


def test_snapshots_are_copies():
    snapshots = []
    run_fit(small_preset(3), lambda fidelity: tracing.Tracer(fidelity, {1, 2, 3}, snapshots.append))
    assert len({snapshot.average.tobytes() for snapshot in snapshots}) == 3
    np.testing.assert_array_equal(snapshots[0].image, snapshots[0].average)


def test_an_image_that_the_loop_rejects_is_not_averaged():
    class MeanAsLoss:
        def predict(self, image):
            return image

        def loss(self, image, observation):
            return image.mean()

    snapshots = []
    tracer = tracing.Tracer(MeanAsLoss(), {20, 22}, snapshots.append)
    for value in [1.0] * 20 + [1000.0, 1.0]:
        tracer.loss(torch.full((1, 1, 2, 2), value), torch.zeros(1))
    assert tracer.iterations == 22 and [snapshot.iteration for snapshot in snapshots] == [20, 22]
    np.testing.assert_allclose(snapshots[-1].average, 1.0)


def test_iterations_of_snapshots():
    assert tracing.snapshot_iterations(1800) == [100, 250, 400, 500, 750, 1000, 1500, 1800]
    assert tracing.snapshot_iterations(3) == [3]
    assert tracing.snapshot_iterations(1000) == [100, 250, 400, 500, 750, 1000]
