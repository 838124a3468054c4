"""Weights of neighbours that are learned where settings recur."""

import sys

import numpy as np
import pytest
from scipy import ndimage

from dip_core.imaging.observation import Observation
from dip_core.inpainting.experts.kriging import Variogram, fit_variogram, kriging, kriging_weights
from dip_core.inpainting.experts.kriging_learned_weights import correct, recurring
from dip_core.inpainting.experts.kriging_neighbours import Neighbourhood
from dip_core.tasks import slc_off_geometry

SIZE = 120


def slanted_gaps(width: int = 5) -> np.ndarray:
    """Columns that are missing, ``(row, column)``."""
    gap = np.zeros((SIZE, SIZE), bool)
    for left in (20, 47, 80, 104):
        gap[:, left : left + width] = True
    return gap


def slanted(seed: int = 0) -> np.ndarray:
    """Texture that is long along a slanted direction, of variance 1."""
    noise = np.random.default_rng(seed).normal(size=(2 * SIZE, 2 * SIZE))
    along = ndimage.rotate(ndimage.gaussian_filter(noise, (1.2, 9.0)), 30, reshape=False, order=1)
    cut = along[SIZE // 2 : SIZE // 2 + SIZE, SIZE // 2 : SIZE // 2 + SIZE]
    return (cut - cut.mean()) / cut.std()


def plain(values: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Kriging with as many neighbours, and its weights as they are."""
    places = Neighbourhood(~gap, gap, 12)
    surface = np.where(gap, 0.0, values)[None]
    (weights,) = kriging_weights(places.settings, [fit_variogram(surface, ~gap)])
    return places.apply(surface, weights)[0]


def test_texture_with_a_direction_is_continued_along_it():
    """Fields with a direction lie far from the kriging model, whose covariance is round: most of the error goes."""
    values, gap = slanted(), slanted_gaps()
    observation = Observation(np.where(gap, 0, values)[None].astype(np.float32), ~gap[None], gap[None])
    learned = kriging(observation)[0][gap]
    before, after = (np.sqrt(np.mean(np.square(fill - values[gap]))) for fill in (plain(values, gap), learned))
    assert after < 0.4 * before


def test_noise_teaches_nothing():
    """Where the covariance is right, what is learned by chance costs next to nothing."""
    values = np.random.default_rng(3).normal(size=(SIZE, SIZE))
    gap = slanted_gaps()
    observation = Observation(np.where(gap, 0, values)[None].astype(np.float32), ~gap[None], gap[None])
    learned = kriging(observation)[0][gap]
    before, after = (np.sqrt(np.mean(np.square(fill - values[gap]))) for fill in (plain(values, gap), learned))
    assert after < 1.03 * before


def test_weights_sum_to_one_and_rare_settings_keep_theirs():
    gap = slanted_gaps()
    gap[60:62, 60:62] = True
    places = Neighbourhood(~gap, gap, 12)
    (weights,) = kriging_weights(places.settings, [Variogram(5.0, 0.02)])
    learned = weights.copy()
    correct(places, slanted()[None], [learned], ~gap)
    np.testing.assert_allclose(learned.sum(axis=1), 1.0, atol=1e-6)
    changed = np.abs(learned - weights).max(axis=1) > 0
    assert changed[places.counts > 50].all() and not changed[places.counts < 4].any()


def test_nothing_is_learned_where_hardly_any_place_has_the_setting():
    gap = np.ones((SIZE, SIZE), bool)
    gap[:, ::10] = False  # single columns: no observed pixel has neighbours at the distances of the missing ones
    gap[:, 1::10] = False
    places = Neighbourhood(~gap, gap, 12)
    (weights,) = kriging_weights(places.settings, [Variogram(5.0, 0.02)])
    learned = weights.copy()
    correct(places, slanted()[None], [learned], ~gap)
    np.testing.assert_array_equal(learned, weights)


@pytest.mark.parametrize(
    ("gap", "expected"), [(slanted_gaps(), True), (~slc_off_geometry.observed_mask((256, 256), 1, 0.0, 0.1)[0], False)]
)
def test_stripes_recur_and_slc_off_gaps_do_not(gap, expected):
    assert recurring(Neighbourhood(~gap, gap)) is expected


@pytest.mark.parametrize(("recur", "expected"), [(False, [8]), (True, [8, 12])])
def test_wider_neighbourhoods_where_settings_recur(monkeypatch, recur, expected):
    """Twelve neighbours a quadrant are taken only where that is cheap."""
    asked = []

    class Watched(Neighbourhood):
        def __init__(self, observed, target, per_quadrant=8):
            asked.append(per_quadrant)
            super().__init__(observed, target, per_quadrant)

    monkeypatch.setattr(sys.modules[Variogram.__module__], "Neighbourhood", Watched)
    gap = slanted_gaps() if recur else ~slc_off_geometry.observed_mask((256, 256), 1, 0.0, 0.1)[0]
    values = np.random.default_rng(0).normal(size=(1, *gap.shape)).astype(np.float32)
    kriging(Observation(np.where(gap, 0, values), ~gap[None], gap[None]))
    assert asked == expected


def test_the_mean_of_the_values_does_not_matter():
    """A tile far from the scene's mean, in which values lie a thousand deviations from 0."""
    values, gap = slanted(), slanted_gaps()
    fills = []
    for offset in (0.0, 1000.0):
        given = np.where(gap, 0, values + offset)[None].astype(np.float32)
        fills.append(kriging(Observation(given, ~gap[None], gap[None]))[0][gap] - offset)
    np.testing.assert_allclose(fills[1], fills[0], atol=0.01)  # single precision has 6e-5 there


@pytest.mark.parametrize("bands", [1, 2, 25])
def test_constant_bands_come_back(bands):
    gap = slanted_gaps()
    values = np.broadcast_to(np.arange(bands, dtype=np.float32)[:, None, None], (bands, SIZE, SIZE))
    everywhere = np.broadcast_to(gap, values.shape)
    filled = kriging(Observation(np.where(gap, -9, values).astype(np.float32), ~everywhere, everywhere))
    np.testing.assert_allclose(filled, values, atol=1e-4)


def test_a_deep_hole_does_not_recur():
    """Its middle, which no observed pixel is near, has one setting, but that is none to predict from."""
    row, column = np.mgrid[:260, :260]
    hole = np.hypot(row - 130, column - 130) < 85
    assert not recurring(Neighbourhood(~hole, hole))
