"""The deep prior: reproducible fits, continuity at the gap edge, the papers' presets, and stopping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core_scenes import landscape, slanted_gaps
from gap_cases import observe, rmse, standard_scene

from dip_core.dip import build
from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.laplace import harmonic
from dip_core.inpainting.experts.registry import GAP_EXPERTS
from dip_core.runtime.progress import STOP, ProgressReporter


def fit(observation, name="deep_prior", **options):
    return GAP_EXPERTS[name].estimate(observation, ExpertContext(**{"iterations": 2, **options}))


def small(bands=1):
    return observe(standard_scene(bands, 24, 30), slanted_gaps(24, 30))


def test_the_same_seed_gives_the_same_fill():
    first, again, other = (fit(small(2), seed=seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_the_seed_does_not_depend_on_the_global_generator():
    first = fit(small())
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    assert fit(small()).tobytes() == first.tobytes()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_fit_improves_and_is_continuous_at_the_gap_edge():
    values, gap = standard_scene(1, 32, 40), slanted_gaps(32, 40, thick=5)
    observation = observe(values, gap)
    filled = fit(observation, iterations=40)
    # The error of the mean is 1, of harmonic interpolation about 0.15.
    assert rmse(filled, values, observation.target) < 0.35
    # Steps between a filled and an observed neighbour are like those between observed ones.
    step = np.abs(np.diff(filled, axis=1))
    edge = gap[1:] != gap[:-1]
    inside = ~gap[1:] & ~gap[:-1]
    assert np.mean(step[:, edge]) < 1.5 * np.mean(step[:, inside])


@pytest.mark.parametrize(("bands", "one_mask", "images"), [(24, True, 3), (24, False, 24), (4, True, 4)])
def test_many_bands_with_one_mask_are_fitted_as_principal_components(monkeypatch, bands, one_mask, images):
    """24 bands of three materials have three components."""
    counts = []
    build_network = build.build_network

    def counted(preset, count, inputs):
        counts.append(count)
        return build_network(preset, count, inputs)

    monkeypatch.setattr(build, "build_network", counted)
    mixing = np.random.default_rng(0).normal(size=(bands, 3)).astype(np.float32)
    truth = np.tensordot(mixing, (landscape(3, 48, 60) - 125) / 40, axes=1).astype(np.float32)
    gap = np.broadcast_to(slanted_gaps(48, 60), truth.shape).copy()
    if not one_mask:
        gap[0] = slanted_gaps(48, 60, shift=7)
    filled = fit(observe(truth, gap), iterations=20)
    assert counts == [images]
    np.testing.assert_array_equal(filled[~gap], truth[~gap])
    # The harmonic surface through the residual makes up for the few iterations.
    assert rmse(filled, truth, gap) < 0.6 * truth[gap].std()


def test_the_papers_networks_stay_within_the_range_of_the_data():
    """Their last layer is a sigmoid, on data scaled to 0..1 by band."""
    values = standard_scene(2) * np.array([1.0, 30.0])[:, None, None] + np.array([5.0, -200.0])[:, None, None]
    observation = observe(values, slanted_gaps(48, 60))
    filled = fit(observation, "paper_composite", iterations=1)
    for band in range(2):
        observed = observation.values[band][observation.observed[band]]
        target = filled[band][observation.target[band]]
        assert observed.min() <= target.min() and target.max() <= observed.max()


def test_network_inputs_differ():
    noise, grid = (fit(small(), "paper_composite", iterations=1, network_input=kind) for kind in ("noise", "meshgrid"))
    assert noise.tobytes() != grid.tobytes()


def test_progress_of_one_network_per_band():
    fractions = []
    fit(small(2), "paper_per_band", progress=ProgressReporter(fractions.append))
    assert fractions == [0.0, 0.25, 0.5, 0.5, 0.75, 1.0]  # before each band and after each of two iterations


def test_a_fit_can_be_stopped():
    fractions = []

    def stop_after_three(fraction):
        fractions.append(fraction)
        return len(fractions) < 4

    filled = fit(small(2), iterations=500, progress=ProgressReporter(stop_after_three))
    assert fractions == [0.0, 1 / 500, 2 / 500, 3 / 500]
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("name", ["deep_prior", "paper_composite", "paper_per_band"])
def test_a_fit_that_is_stopped_at_once_gives_the_harmonic_surface(name):
    np.testing.assert_allclose(fit(small(2), name, progress=STOP), harmonic(small(2)), atol=1e-5)
