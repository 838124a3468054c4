"""Combination of estimates: mean, spread and leverage."""

from __future__ import annotations

import numpy as np

from dip_core.denoising.combination import Estimate, combine_estimates, scale_leverage
from dip_core.imaging.subspace import Subspace

BANDS, SIDE = 40, 16


def test_mean_spread_and_leverage():
    """Without a leverage of its own, an estimate counts as one like the others."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(BANDS, 2)))
    subspace = Subspace(np.zeros(BANDS), np.ones(BANDS), basis, np.ones(BANDS), 1.2)
    leverage = np.random.default_rng(1).uniform(0.05, 0.4, (2, SIDE, SIDE)).astype(np.float32)
    image = np.ones((BANDS, SIDE, SIDE), np.float32)
    two = [Estimate(image, leverage), Estimate(3.0 * image, 3.0 * leverage)]
    mean, spread, combined = combine_estimates(two, np.array([0.75, 0.25]), subspace)
    np.testing.assert_allclose(mean, 1.5, rtol=1e-6)
    np.testing.assert_allclose(spread, 0.75 * 0.25 + 0.25 * 2.25, rtol=1e-5)
    np.testing.assert_allclose(combined, 1.5 * leverage, rtol=1e-5)
    with_network = [Estimate(image, leverage), Estimate(image)]
    combined = combine_estimates(with_network, np.array([0.6, 0.4]), subspace)[2]
    np.testing.assert_allclose(combined, leverage, rtol=1e-5)
    assert combine_estimates(with_network, np.array([0.0, 1.0]), subspace)[2] is None
    scaled = scale_leverage(leverage, np.array([0.5, 1.0]))
    np.testing.assert_allclose(scaled, leverage * np.array([0.5, 1.0])[:, None, None], rtol=1e-6)
