"""What all gap experts promise: observed pixels stay, target pixels are filled, other pixels are 0."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps
from gap_cases import observe, standard_scene

from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.registry import GAP_EXPERTS, gap_expert_names

WITHOUT_NETWORK = gap_expert_names(network=False, needs_guide=False)
NETWORKS = ("deep_prior", "paper_composite", "paper_per_band")
# The fills are in single precision, and their systems are solvable because of a weak pull to the mean (1e-6).
TOLERANCE = 1e-3


def estimate(name, observation, **options):
    """The estimate of an expert; networks run for a few iterations only."""
    iterations = 1 if name.startswith("paper") else 4
    return GAP_EXPERTS[name].estimate(observation, ExpertContext(**{"iterations": iterations, **options}))


@pytest.mark.parametrize("name", [*WITHOUT_NETWORK, *NETWORKS])
def test_observed_pixels_stay_and_target_pixels_are_filled(name):
    values = standard_scene(2)
    gap = np.stack([slanted_gaps(48, 60, shift=band) for band in range(2)])
    exterior = np.zeros((48, 60), bool)
    exterior[:, :9] = True
    observation = observe(values, gap, exterior)
    before = observation.values.copy()
    filled = estimate(name, observation)
    assert filled.dtype == np.float32 and filled.shape == values.shape
    assert filled[observation.observed].tobytes() == values[observation.observed].tobytes()
    assert np.isfinite(filled).all()
    assert (filled[observation.target] != 0).mean() > 0.99
    assert (filled[:, :, :9] == 0).all()
    assert observation.values.tobytes() == before.tobytes()  # experts share one observation


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        *((name, *size) for name in (*WITHOUT_NETWORK, "deep_prior") for size in ((17, 23), (5, 7), (1, 40), (40, 1))),
        ("paper_composite", 5, 7),
        (
            "paper_per_band",
            70,
            1,
        ),  # more than the 64 pixels that the network needs along one axis, fewer along the other
    ],
)
def test_small_and_odd_sizes(name, rows, columns):
    values = standard_scene(2, rows, columns)
    gap = np.zeros((rows, columns), bool)
    gap[rows // 3 : rows // 3 + 1 + rows // 5, columns // 3 : columns // 3 + 1 + columns // 5] = True
    observation = observe(values, gap)
    filled = estimate(name, observation, iterations=1)
    assert filled.shape == values.shape and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[observation.observed], values[observation.observed])


@pytest.mark.parametrize("name", [*WITHOUT_NETWORK, *NETWORKS])
def test_without_observed_pixels_the_estimate_is_the_mean(name):
    """The mean of standardised bands is 0."""
    assert (estimate(name, observe(standard_scene(), np.ones((48, 60), bool))) == 0).all()


@pytest.mark.parametrize("name", [*WITHOUT_NETWORK, "deep_prior", "paper_composite"])
def test_a_band_without_observed_pixels_gets_the_mean_and_does_not_harm_the_others(name):
    values = standard_scene()
    gap = np.broadcast_to(slanted_gaps(48, 60), values.shape).copy()
    gap[1] = True
    filled = estimate(name, observe(values, gap))
    assert (filled[1] == 0).all()
    assert np.isfinite(filled).all() and (filled[[0, 2]][gap[[0, 2]]] != 0).mean() > 0.99


@pytest.mark.parametrize("name", WITHOUT_NETWORK)
@pytest.mark.parametrize("right", [101, 102])
def test_constants_are_reproduced_in_large_gaps_beside_the_exterior(name, right):
    """A gap of 60 columns that opens to the exterior, whose zeros must not leak in, with an odd and an even edge."""
    x = np.broadcast_to(np.arange(120), (70, 120))
    observation = observe(np.full((1, 70, 120), 5.0), (x >= 40) & (x < right), x >= right)
    filled = estimate(name, observation)
    # The pull to 0 over up to 60 pixels from one side: at most 5 * 1e-6 * 60^2 / 2 without a coarse grid.
    np.testing.assert_allclose(filled[observation.target], 5.0, atol=0.02)


@pytest.mark.parametrize("name", WITHOUT_NETWORK)
def test_a_large_gap_is_filled_within_the_range_of_the_data(name):
    values = standard_scene(2, 120, 130)
    y, x = np.mgrid[:120, :130]
    gap = (abs(y - 60) < 40) & (abs(x - 65) < 45)
    filled = estimate(name, observe(values, gap))
    # Kriging and biharmonic interpolation may overshoot a little.
    assert np.abs(filled).max() <= 1.2 * np.abs(values[:, ~gap]).max()


@pytest.mark.parametrize("name", WITHOUT_NETWORK)
def test_a_constant_added_to_the_data_is_added_to_the_estimate(name):
    values, gap = standard_scene(1), slanted_gaps(48, 60)
    first, second = estimate(name, observe(values, gap)), estimate(name, observe(values + 2, gap))
    np.testing.assert_allclose(second[0][gap], first[0][gap] + 2, atol=TOLERANCE)
