"""The band residual: what other bands predict vanishes, and the leakage of offsets is known."""

from __future__ import annotations

import numpy as np
from striped_scenes import SIGMA, cube

from dip_core.stripes.band_residual import compute_band_residual


def test_residual_is_the_noise_and_leakage_is_exact():
    values = cube(bands=12)
    used = np.ones(values.shape, bool)
    residual = compute_band_residual(values, used)
    assert residual.is_predicted and residual.values.std(axis=(1, 2)).max() < 2 * SIGMA
    change = np.zeros(values.shape[1:], np.float32)
    change[:, 40] = 30.0
    striped = values.copy()
    striped[5] += change
    expected = residual.values + residual.leakage[:, 5].astype(np.float32)[:, None, None] * change
    residual.add(5, change)
    np.testing.assert_allclose(residual.values, expected, atol=1e-3)
    # With the regression of the clean cube, the striped one has this residual, up to the bands' levels.
    fitted = compute_band_residual(striped, used, training=values)
    np.testing.assert_allclose(np.diff(fitted.values, axis=2), np.diff(expected, axis=2), atol=0.05)


def test_excluded_bands_predict_no_other():
    values = cube(bands=12)
    residual = compute_band_residual(values, np.ones(values.shape, bool), excluded=[3, 4])
    others = np.setdiff1d(np.arange(12), [3, 4])
    assert not residual.leakage[np.ix_(others, [3, 4])].any() and residual.leakage[3, 3] == 1
    assert residual.leakage[3, 4] == 0


def test_few_bands_are_their_own_residual():
    values = cube(bands=3)
    used = np.ones(values.shape, bool)
    used[:, :5] = False
    residual = compute_band_residual(values, used)
    assert not residual.is_predicted
    np.testing.assert_array_equal(residual.values[:, 5:], values[:, 5:])
    assert np.isnan(residual.values[:, :5]).all() and (residual.leakage == np.eye(3)).all()
