"""Correction of kriging weights where neighbour configurations recur."""

from __future__ import annotations

import numpy as np
import pytest
from gap_cases import observe, rmse
from scipy import ndimage

from dip_core.inpainting.experts.kriging import NEIGHBOURS_PER_QUADRANT_RECURRING, kriging
from dip_core.inpainting.experts.kriging_learned_weights import correct_weights, has_recurring_configurations
from dip_core.inpainting.experts.kriging_neighbours import NEIGHBOURS_PER_QUADRANT, Neighbourhood
from dip_core.inpainting.experts.kriging_system import kriging_weights
from dip_core.inpainting.experts.variogram import Variogram, fit_variogram
from dip_core.tasks import slc_off_geometry

SIZE = 120


def stripes(width: int = 5) -> np.ndarray:
    """Columns that are missing, ``(row, column)``."""
    gap = np.zeros((SIZE, SIZE), bool)
    for left in (20, 47, 80, 104):
        gap[:, left : left + width] = True
    return gap


def slc_off_gaps() -> np.ndarray:
    """The gaps of an SLC-off scene, ``(row, column)``."""
    return ~slc_off_geometry.observed_mask((256, 256), 1, 0.0, 0.1)[0]


def anisotropic(seed: int = 0) -> np.ndarray:
    """Texture that is long along a slanted direction, of variance 1."""
    noise = np.random.default_rng(seed).normal(size=(2 * SIZE, 2 * SIZE))
    rotated = ndimage.rotate(ndimage.gaussian_filter(noise, (1.2, 9.0)), 30, reshape=False, order=1)
    centre = rotated[SIZE // 2 : SIZE // 2 + SIZE, SIZE // 2 : SIZE // 2 + SIZE]
    return (centre - centre.mean()) / centre.std()


def uncorrected_error(values: np.ndarray, gap: np.ndarray) -> float:
    """The error of kriging with as many neighbours but without corrections."""
    neighbourhood = Neighbourhood(~gap, gap, NEIGHBOURS_PER_QUADRANT_RECURRING)
    surface = np.where(gap, 0.0, values)[None]
    (weights,) = kriging_weights(neighbourhood.configurations, [fit_variogram(surface, ~gap)])
    return float(np.sqrt(np.mean(np.square(neighbourhood.apply(surface, weights)[0] - values[gap]))))


def corrected_error(values: np.ndarray, gap: np.ndarray) -> float:
    return rmse(kriging(observe(values[None], gap))[0], values, gap)


def corrected(gap: np.ndarray) -> tuple[Neighbourhood, np.ndarray, np.ndarray]:
    """The neighbourhood of a gap, and weights before and after the correction on anisotropic texture."""
    neighbourhood = Neighbourhood(~gap, gap, NEIGHBOURS_PER_QUADRANT_RECURRING)
    (weights,) = kriging_weights(neighbourhood.configurations, [Variogram(5.0, 0.02)])
    after = weights.copy()
    correct_weights(neighbourhood, anisotropic()[None], [after], ~gap)
    return neighbourhood, weights, after


def test_anisotropic_texture_is_continued_along_its_direction():
    """The covariance of kriging is isotropic, so most of its error disappears."""
    values, gap = anisotropic(), stripes()
    assert corrected_error(values, gap) < 0.4 * uncorrected_error(values, gap)


def test_the_correction_does_not_harm_where_the_covariance_is_right():
    values, gap = np.random.default_rng(3).normal(size=(SIZE, SIZE)), stripes()
    assert corrected_error(values, gap) < 1.03 * uncorrected_error(values, gap)


def test_weights_sum_to_one_and_rare_configurations_keep_theirs():
    gap = stripes()
    gap[60:62, 60:62] = True
    neighbourhood, before, after = corrected(gap)
    np.testing.assert_allclose(after.sum(axis=1), 1.0, atol=1e-6)
    changed = np.abs(after - before).max(axis=1) > 0
    assert changed[neighbourhood.counts > 50].all() and not changed[neighbourhood.counts < 4].any()


def test_configurations_without_samples_keep_their_weights():
    """Single observed columns: no observed pixel has neighbours at the distances of the missing ones."""
    gap = np.ones((SIZE, SIZE), bool)
    gap[:, ::10] = False
    gap[:, 1::10] = False
    _, before, after = corrected(gap)
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(("gap", "expected"), [(stripes(), True), (slc_off_gaps(), False)])
def test_configurations_recur_in_stripes_and_not_in_slc_off_gaps(gap, expected):
    assert has_recurring_configurations(Neighbourhood(~gap, gap)) is expected


def test_a_deep_hole_does_not_count_as_recurring():
    """Its middle has one configuration, but one without neighbours."""
    row, column = np.mgrid[:260, :260]
    hole = np.hypot(row - 130, column - 130) < 85
    assert not has_recurring_configurations(Neighbourhood(~hole, hole))


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (slc_off_gaps(), [NEIGHBOURS_PER_QUADRANT]),
        (stripes(), [NEIGHBOURS_PER_QUADRANT, NEIGHBOURS_PER_QUADRANT_RECURRING]),
    ],
)
def test_more_neighbours_are_used_where_configurations_recur(monkeypatch, gap, expected):
    used = []

    class Watched(Neighbourhood):
        def __init__(self, observed, target, per_quadrant=NEIGHBOURS_PER_QUADRANT):
            used.append(per_quadrant)
            super().__init__(observed, target, per_quadrant)

    monkeypatch.setattr("dip_core.inpainting.experts.kriging.Neighbourhood", Watched)
    kriging(observe(np.random.default_rng(0).normal(size=(1, *gap.shape)), gap))
    assert used == expected


def test_the_mean_of_the_values_does_not_matter():
    """In a tile far from the scene's mean, values are a thousand standard deviations from 0."""
    values, gap = anisotropic(), stripes()
    first, second = (kriging(observe((values + offset)[None], gap))[0][gap] - offset for offset in (0.0, 1000.0))
    np.testing.assert_allclose(second, first, atol=0.01)  # the resolution of single precision is 6e-5 there
