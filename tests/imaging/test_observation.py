"""Observations: standardisation and its inverse, hidden pixels, distances, groups of bands."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps

from dip_core.imaging.observation import Observation, Standardization

STANDARD = Standardization(np.array([100.0, -5e6]), np.array([20.0, 1e3]))


@pytest.fixture
def observation():
    values = ((landscape(2, 30, 40) - 125) / 40).astype(np.float32)
    gap = np.stack([slanted_gaps(30, 40), slanted_gaps(30, 40, shift=2)])
    gap[:, :, 35:] = False
    outside = np.zeros((30, 40), bool)
    outside[:, 35:] = True
    observed = ~gap & ~outside
    return Observation(np.where(observed, values, 0).astype(np.float32), observed, gap)


def test_standardisation_is_invertible():
    pixels = np.stack([np.full((3, 4), 140, np.int32), np.full((3, 4), -5_002_000, np.int32)])
    observed = np.ones(pixels.shape, bool)
    observed[:, 0, 0] = False
    values = STANDARD.apply(pixels, observed)
    assert values.dtype == np.float32
    assert (values[0][observed[0]] == 2.0).all() and (values[1][observed[1]] == -2.0).all()
    assert (values[:, 0, 0] == 0).all()
    np.testing.assert_allclose(STANDARD.undo(values)[observed], pixels[observed])


@pytest.mark.parametrize("missing", [np.nan, np.inf, -1.7976931348623157e308])
def test_values_of_missing_pixels_have_no_influence(missing):
    pixels = np.full((2, 3, 4), 100.0)
    pixels[:, 1, 1] = missing
    observed = np.isfinite(pixels) & (pixels > -1e300)
    with np.errstate(all="raise"):  # no overflow in between
        values = STANDARD.apply(pixels, observed)
    assert np.isfinite(values).all() and (values[:, 1, 1] == 0).all()


def test_values_of_hidden_pixels_are_removed(observation):
    hidden = np.zeros(observation.shape, bool)
    hidden[0, 10:20, 5:15] = True
    hidden[1, :, 38] = True  # outside the scene, where nothing can be hidden
    held = observation.hide(hidden)
    assert not held.observed[hidden].any() and (held.values[hidden] == 0).all()
    np.testing.assert_array_equal(held.target, observation.target | (hidden & observation.observed))
    assert not held.target[:, :, 35:].any()
    kept = held.observed
    np.testing.assert_array_equal(held.values[kept], observation.values[kept])
    assert observation.observed[0, 10:20, 5:15].any()  # the original is unchanged


def test_keep_observed_restores_observed_values_and_clears_the_exterior(observation):
    estimate = observation.keep_observed(np.full(observation.shape, 7.0))
    assert estimate.dtype == np.float32
    np.testing.assert_array_equal(estimate[observation.observed], observation.values[observation.observed])
    assert (estimate[observation.target] == 7).all() and (estimate[:, :, 35:] == 0).all()


def test_distance_to_the_nearest_observed_pixel_of_the_band():
    observed = np.zeros((3, 9, 9), bool)
    observed[0, 4, 4] = True
    observed[1, :, 0] = True
    observation = Observation(np.zeros((3, 9, 9), np.float32), observed, ~observed)
    distance = observation.distance()
    assert distance[0, 4, 4] == 0 and distance[0, 4, 7] == 3 and distance[0, 0, 0] == pytest.approx(np.hypot(4, 4))
    assert distance[1, 3, 8] == 8
    assert (distance[2] >= np.hypot(8, 8)).all()  # without observed pixels: the largest possible distance


def test_bands_are_grouped_by_equal_masks():
    one, two = slanted_gaps(20, 20), slanted_gaps(20, 20, shift=3)
    observed = np.stack([~one, ~two, ~one, ~one])
    target = ~observed
    target[3, 0] = False
    groups = Observation(np.zeros((4, 20, 20), np.float32), observed, target).bands_by_mask()
    assert [numbers for numbers, _, _ in groups] == [[0, 2], [1], [3]]
    np.testing.assert_array_equal(groups[1][1], ~two)
