"""The expected error of super-resolution grows with the local roughness."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.superresolution.error_model import fit_roughness_error_model, rms_gradient


def test_roughness_is_the_local_gradient():
    slope = np.broadcast_to(3.0 * np.arange(30), (1, 20, 30))
    np.testing.assert_allclose(rms_gradient(slope, 2), 3.0)
    assert not rms_gradient(np.ones((1, 1, 5)), 2).any()


def test_rough_areas_have_larger_errors_and_flat_ones_none():
    rng = np.random.default_rng(0)
    contrast = np.repeat([0.1, 1.0], 32)[None, :, None]
    estimate = (rng.normal(size=(2, 64, 64)) * contrast).astype(np.float32)
    truth = estimate + (0.2 * rng.normal(size=estimate.shape) * contrast).astype(np.float32)
    compared = np.ones(estimate.shape, bool)
    compared[1] = False
    model = fit_roughness_error_model([truth], [compared], [estimate], 2)
    assert (np.diff(model.errors[0]) >= 0).all() and np.isnan(model.errors[1]).all()
    deviation = model.deviation(estimate, 2)
    low, high = deviation[0, 6:26].mean(), deviation[0, 38:58].mean()
    assert low == pytest.approx(0.02, rel=0.3) and high == pytest.approx(0.2, rel=0.2)
    assert not model.deviation(np.zeros_like(estimate), 2)[0].any()
