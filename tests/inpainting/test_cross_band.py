"""Prediction from other bands: used where bands are similar, and only for pixels that other bands observe."""

from __future__ import annotations

import numpy as np
from core_scenes import slanted_gaps
from gap_cases import observe, random_field, rmse, standard_scene

from dip_core.inpainting.cross_band import predict_from_other_bands
from dip_core.inpainting.experts.laplace import harmonic


def offset_gaps(bands, rows, columns, thick=8, period=24, step=5):
    """Gaps that are shifted by ``step`` rows from band to band, like the ends of Landsat's gaps."""
    return np.stack([slanted_gaps(rows, columns, thick, period, shift=step * band) for band in range(bands)])


def test_prediction_is_better_than_interpolation_if_bands_are_similar():
    values = standard_scene(3, 96, 100)
    observation = observe(values, offset_gaps(3, 96, 100, step=3))
    filled, predicted = predict_from_other_bands(observation)
    assert predicted.any() and not (predicted & ~observation.target).any()
    assert not (predicted & observation.observed).any()
    np.testing.assert_array_equal(filled.observed, observation.observed | predicted)
    np.testing.assert_array_equal(filled.values[observation.observed], values[observation.observed])
    assert rmse(filled.values, values, predicted) < 0.7 * rmse(harmonic(observation), values, predicted)
    # The predicted pixels also help, or at least do not harm, the experts at the other pixels.
    rest = observation.target & ~predicted
    assert rest.any()
    assert rmse(harmonic(filled), values, rest) < 1.05 * rmse(harmonic(observation), values, rest)


def test_dissimilar_bands_are_not_predicted():
    rng = np.random.default_rng(1)
    fields = np.stack([random_field(5.0, 0.0, 128, seed) for seed in rng.integers(0, 1000, 3)])
    observation = observe(fields, offset_gaps(3, 128, 128))
    filled, predicted = predict_from_other_bands(observation)
    assert not predicted.any()
    np.testing.assert_array_equal(filled.values, observation.values)


def test_a_single_dissimilar_band_takes_no_part():
    values = standard_scene(3, 96, 128)
    values[1] = random_field(5.0, 0.0, 128)[:96]
    _, predicted = predict_from_other_bands(observe(values, offset_gaps(3, 96, 128)))
    assert predicted[0].any() and predicted[2].any() and not predicted[1].any()


def test_common_gaps_and_empty_bands_are_not_predicted():
    values = standard_scene()
    same_gaps = observe(values, slanted_gaps(48, 60))
    assert predict_from_other_bands(same_gaps)[0] is same_gaps
    gaps = np.broadcast_to(slanted_gaps(48, 60), values.shape).copy()
    gaps[1] = True
    assert not predict_from_other_bands(observe(values, gaps))[1].any()


def test_bands_without_common_observed_pixels():
    """Each pixel is missing in one of three bands: departures are from the mean."""
    values = standard_scene(3, 64, 64)
    x = np.broadcast_to(np.arange(64), (64, 64))
    gap = np.stack([(x // 4) % 3 == band for band in range(3)])
    filled, predicted = predict_from_other_bands(observe(values, gap))
    assert predicted.any()
    assert rmse(filled.values, values, predicted) < 0.5  # the standard deviation of the values is 1


def test_the_exterior_is_not_predicted():
    values = standard_scene(3, 96, 100)
    exterior = np.zeros((96, 100), bool)
    exterior[:, 60:] = True
    _, predicted = predict_from_other_bands(observe(values, offset_gaps(3, 96, 100), exterior))
    assert predicted.any() and not predicted[:, :, 60:].any()


def test_an_image_too_small_for_increments_is_not_predicted():
    gaps = np.zeros((2, 1, 2), bool)
    gaps[0, 0, 0] = True
    observation = observe(np.arange(4, dtype=np.float32).reshape(2, 1, 2), gaps)
    filled, predicted = predict_from_other_bands(observation)
    assert filled is observation and not predicted.any()
