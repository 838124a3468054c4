"""The experts that use a guide: regression with a kriged residual, and similar pixels."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps
from gap_cases import observe, rmse

from dip_core.inpainting.experts.guided import guided
from dip_core.inpainting.experts.kriging import kriging
from dip_core.inpainting.experts.laplace import harmonic
from dip_core.inpainting.experts.similar_pixels import similar

ROWS, COLUMNS = 90, 110
GAP = slanted_gaps(ROWS, COLUMNS, thick=9, period=26)


def with_guide(values, guide):
    return observe(values, GAP, guide=guide.astype(np.float32))


def in_gap(columns):
    """The gap within some columns, as a mask ``(1, row, column)``."""
    part = np.zeros(GAP.shape, bool)
    part[:, columns] = GAP[:, columns]
    return part[None]


@pytest.fixture
def guide():
    """A guide with one band of white noise, ``(1, row, column)``."""
    return np.random.default_rng(2).normal(size=(1, ROWS, COLUMNS))


def test_a_scene_that_the_guide_explains_is_recovered(guide):
    two_bands = np.concatenate([guide, landscape(1, ROWS, COLUMNS) / 60 - 2])
    values = (0.7 * two_bands[:1] - 1.3 * two_bands[1:] + 0.2).astype("f4")
    filled = guided(with_guide(values, two_bands))
    np.testing.assert_allclose(filled[0][GAP], values[0][GAP], atol=2e-3)  # the cost of the ridge
    np.testing.assert_array_equal(filled[0][~GAP], values[0][~GAP])


def test_clouds_in_the_guide_do_not_spoil_the_regression(guide):
    """A fifth of the guide is cloud: bright and unrelated to the scene."""
    values = (0.9 * guide + 0.1).astype("f4")
    cloudy = guide.copy()
    cloudy[:, 60:, 40:90] = 6 + np.random.default_rng(1).normal(size=(1, 30, 50))
    filled = guided(with_guide(values, cloudy))
    clear = GAP.copy()
    clear[50:] = False
    assert rmse(filled, values, clear[None]) < 0.15  # the standard deviation of the values is 0.9
    assert np.abs(filled).max() < 8


def test_the_fill_is_kriged_where_the_guide_has_no_data(guide):
    values = (0.9 * guide).astype("f4")
    half = guide.copy()
    half[:, :, 60:] = np.nan
    observation = with_guide(values, half)
    filled = guided(observation)
    assert np.isfinite(filled).all()
    assert rmse(filled, values, in_gap(slice(None, 55))) < 0.1
    east = in_gap(slice(65, None))
    assert rmse(filled, values, east) == pytest.approx(rmse(kriging(observation), values, east), rel=0.2)


def test_the_relation_to_the_guide_may_vary_within_the_scene(guide):
    west = np.arange(COLUMNS) < COLUMNS // 2
    noise = np.random.default_rng(4).normal(0, 0.1, (1, ROWS, COLUMNS))
    values = (np.where(west, 1.2, 0.4) * guide + noise).astype("f4")
    filled = guided(with_guide(values, guide))
    # The noise is 0.1; a single regression would have an error of 0.4 on average.
    assert rmse(filled, values, in_gap(np.abs(np.arange(COLUMNS) - COLUMNS // 2) > 10)) < 0.2


@pytest.mark.parametrize("guide", [None, np.full((2, ROWS, COLUMNS), np.nan, "f4")])
def test_without_a_guide_it_is_kriging(guide):
    observation = observe(landscape(2, ROWS, COLUMNS) / 60 - 2, GAP, guide=guide)
    np.testing.assert_array_equal(guided(observation), kriging(observation))


# Similar pixels


def field_types(size=12, types=5):
    """A patchwork of fields: the type of each pixel, ``(row, column)``."""
    rows, columns = -(-ROWS // size), -(-COLUMNS // size)
    types_of_fields = np.random.default_rng(5).integers(0, types, (rows, columns))
    return np.repeat(np.repeat(types_of_fields, size, axis=0), size, axis=1)[:ROWS, :COLUMNS]


def test_similar_pixels_follow_changes_that_no_regression_does():
    """Five crops change between the dates in a way that is not a function of the guide's single band."""
    types = field_types()
    rng = np.random.default_rng(6)
    guide = (np.array([-1.4, -0.7, 0.0, 0.7, 1.4])[types] + rng.normal(0, 0.03, types.shape))[None]
    values = (np.array([1.0, -1.2, 0.9, -0.8, 0.2])[types] + rng.normal(0, 0.03, types.shape))[None].astype("f4")
    observation = with_guide(values, guide)
    filled = similar(observation)
    np.testing.assert_array_equal(filled[0][~GAP], values[0][~GAP])
    assert rmse(filled[0], values[0], GAP) < 0.3 * rmse(guided(observation)[0], values[0], GAP)
    assert np.median(np.abs(filled - values)[0][GAP]) < 0.05


def test_similar_pixels_outside_the_guide_get_the_harmonic_value(guide):
    values = (0.9 * guide).astype("f4")
    half = guide.copy()
    half[:, :, 60:] = np.nan
    observation = with_guide(values, half)
    filled = similar(observation)
    assert np.isfinite(filled).all()
    east = in_gap(slice(60, None))
    np.testing.assert_array_equal(filled[east], harmonic(observation)[east])
    without = observe(values, GAP)
    np.testing.assert_array_equal(similar(without), harmonic(without))
