"""The gradient of a fit: replayed it is what it is op by op, and what was recorded wrongly is not used.

There may be no GPU here, so a stand-in for its graphs records: it computes nothing while it records, and a replay does
the same work again from the same places into the same places, as a graph's does.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dip_core import fitting
from dip_core.energy import MaskEnergy
from dip_core.fitting import fit
from dip_core.gradient import Replayed, gradient
from dip_core.networks.architecture import Architecture
from dip_core.networks.hourglass import Hourglass
from dip_core.schedule import Schedule

SMALL = Architecture((6,) * 2, (6,) * 2, (6,) * 2, upsample="bilinear", sigmoid=False)
SCHEDULE = Schedule(iterations=60, learning_rate=0.02, perturbation=0.03)


class Graphs:
    """The stand-in: `record` is one of `Replayed`'s; ``off`` is what replays are wrong by, as a factor."""

    def __init__(self, off: float = 1.0) -> None:
        self.off = off
        self.replays = 0
        self.made: list[Replayed] = []

    def gradient(self, network, noise, values, energy, fitted, iterations, low_precision=False):
        by_op = gradient(network, noise, values, energy, fitted, iterations, low_precision)
        self.made.append(Replayed(by_op, torch.zeros_like(noise), fitted, self.record, None))
        return self.made[-1]

    def record(self, work, stream):
        replayed = self.made[-1]
        work()
        found, kept = replayed._found, [tensor.grad for tensor in replayed._fitted]
        for place in (*found, *kept):
            place.fill_(float("nan"))

        def replay():
            self.replays += 1
            work()
            fresh = [*replayed._found, *(tensor.grad for tensor in replayed._fitted)]
            for place, value in zip((*found, *kept), fresh):
                place.copy_(value * self.off)
            replayed._found = found
            for tensor, place in zip(replayed._fitted, kept):
                tensor.grad = place

        return replay


def run(schedule=SCHEDULE, network=None, **options):
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    values = torch.stack([torch.sin(x / 8) + y / 20, torch.cos(y / 6)])[None]
    weights = torch.ones_like(values)
    weights[:, :, 8:13] = 0
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = network or Hourglass(4, 2, SMALL)
    noise = torch.rand((1, 4, 20, 24), generator=generator) / 10
    return fit(network, noise, values * weights, MaskEnergy(weights), schedule, generator=generator, **options)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"average": 0.9},
        {"perturbation": 0.0},
        {"redraw": False},
        {"optimise_input": True},
        {"optimiser": "lbfgs", "learning_rate": 1.0, "iterations": 8},
    ],
)
def test_replayed_it_is_what_it_is_op_by_op(monkeypatch, changes):
    schedule = dataclasses.replace(SCHEDULE, **changes)
    plain = run(schedule)
    graphs = Graphs()
    monkeypatch.setattr(fitting, "gradient", graphs.gradient)
    replayed = run(schedule)
    assert graphs.made[0].recorded and graphs.replays > schedule.iterations - 5
    np.testing.assert_array_equal(replayed.losses, plain.losses)
    np.testing.assert_array_equal(replayed.estimate, plain.estimate)


def test_a_jump_is_undone_in_a_replay_too(monkeypatch):
    """The places that a bad last iteration has written are not the result."""

    class Spiking(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Hourglass(4, 2, SMALL)
            self.bad = False

        def forward(self, noise):
            return self.inner(noise) * (1e4 if self.bad else 1.0)

    network = Spiking()

    def follow(iteration):
        network.bad = iteration == SCHEDULE.iterations - 1
        return True

    monkeypatch.setattr(fitting, "gradient", Graphs().gradient)
    fitted = run(network=network, follow=follow)
    assert fitted.losses[-1] > 1e4 and np.abs(fitted.estimate).max() < 5


@pytest.mark.parametrize("off", [1.2, float("nan")])
def test_what_was_recorded_wrongly_is_not_used(monkeypatch, off):
    plain = run()
    graphs = Graphs(off)
    monkeypatch.setattr(fitting, "gradient", graphs.gradient)
    assert run().losses == plain.losses
    assert graphs.replays == 1 and not graphs.made[0].recorded


def test_where_recording_fails_it_goes_on_op_by_op(monkeypatch):
    class Failing(Graphs):
        def record(self, work, stream):
            work()
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    plain = run()
    graphs = Failing()
    monkeypatch.setattr(fitting, "gradient", graphs.gradient)
    assert run().losses == plain.losses and not graphs.made[0].recorded


def test_a_processor_needs_no_recording():
    values = torch.zeros(1, 2, 20, 24)
    network = Hourglass(4, 2, SMALL)
    found = gradient(network, torch.zeros(1, 4, 20, 24), values, MaskEnergy(values + 1), [*network.parameters()], 500)
    assert not isinstance(found, Replayed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_graphs_are_used_and_agree():
    device = torch.device("cuda:0")
    losses = []
    for iterations in (49, 200):  # op by op, and replayed
        torch.manual_seed(0)
        network = Hourglass(4, 2, SMALL).to(device)
        noise, values = torch.rand(1, 4, 40, 48).to(device), torch.rand(1, 2, 40, 48).to(device)
        found = gradient(network, noise, values, MaskEnergy(values * 0 + 1), [*network.parameters()], iterations)
        optimiser = torch.optim.Adam(network.parameters(), 0.01, fused=True)
        own = []
        for step in range(40):
            own.append(float(found(0.01 * step)[1]))
            optimiser.step()
        losses.append(own)
        assert isinstance(found, Replayed) == (iterations == 200)
    assert found.recorded
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)
