"""Windows and their downsampled copies: what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.imaging.psf import Psf
from dip_core.superresolution.scale_comparison import compare_scales


def test_pixels_beside_missing_ones_are_not_compared():
    truth = np.random.default_rng(0).normal(size=(2, 8, 12)).astype(np.float32)
    observed = np.ones(truth.shape, bool)
    observed[1, 3, 5] = False
    comparison = compare_scales([(truth, observed)], Psf(2))
    values, seen = comparison.copies[0]
    assert values.shape == (2, 4, 6)
    assert np.argwhere(~seen).tolist() == [[1, 1, 2]] and values[1, 1, 2] == 0
    assert np.count_nonzero(~comparison.compared[0]) == 4 and not comparison.compared[0][1, 2:4, 4:6].any()


def test_errors_and_their_products():
    truth = np.random.default_rng(0).normal(size=(2, 8, 12)).astype(np.float32) * np.array([1, 10])[:, None, None]
    comparison = compare_scales([(truth.astype(np.float32), np.ones(truth.shape, bool))], Psf(2))
    deviations = comparison.band_deviations()
    assert comparison.rmse([truth + 2]) == pytest.approx(2, rel=1e-5)
    one, other = truth + deviations[:, None, None], truth - 2 * deviations[:, None, None]
    assert comparison.scaled_rmse([one], deviations) == pytest.approx(1, rel=1e-5)
    products = comparison.error_products([[one, other]], deviations)
    np.testing.assert_allclose(products, [[1, -2], [-2, 4]], rtol=1e-5)


def test_a_restriction_that_leaves_nothing_is_ignored():
    truth = np.ones((1, 8, 8), np.float32)
    comparison = compare_scales([(truth, np.ones(truth.shape, bool))], Psf(2))
    assert comparison.restricted_to([np.zeros((8, 8), bool)]) is comparison
    half = np.arange(8) < 4
    assert comparison.restricted_to([np.broadcast_to(half, (8, 8))]).compared[0].mean() == 0.5
