"""The expected error of a denoiser: by the leverage, by held-out samples, and by how much these determine."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.denoising.error_model import DenoisingErrorModel, default_error_model, fit_error_model
from dip_core.imaging.subspace import Subspace

BANDS, SIDE = 40, 64


@pytest.fixture
def subspace() -> Subspace:
    """Two directions of 40 bands, noise of level 1."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(BANDS, 2)))
    return Subspace(np.zeros(BANDS), np.ones(BANDS), basis, np.ones(BANDS), 1.2)


@pytest.fixture
def leverage() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.05, 0.4, (2, SIDE, SIDE)).astype(np.float32)


def fitted(subspace, leverage, level, noise, scale=1.0, seed=2) -> DenoisingErrorModel:
    """From samples with a noise variance of ``noise`` and errors with a variance of ``level scale_b`` leverages."""
    rng = np.random.default_rng(seed)
    expected = np.tensordot(np.square(subspace.basis), leverage, 1) * level * np.reshape(scale, (-1, 1, 1))
    error = rng.normal(size=expected.shape) * np.sqrt(expected)
    square = np.square(error + rng.normal(size=expected.shape) * np.sqrt(noise))
    zeros = np.zeros(expected.shape, np.float32)
    held_out = np.ones(expected.shape, bool)
    return fit_error_model(subspace, zeros, zeros[0], leverage, square, np.full(expected.shape, noise), held_out)


def test_samples_with_little_noise_determine_the_error(subspace, leverage):
    """Their noise is as small as the error: a factor of 3 is found, although the prior is 1.4."""
    model = fitted(subspace, leverage, 3.0, 0.01)
    assert model.coefficients[0] == pytest.approx(3.0, rel=0.05) and model.coefficients[1] < 1e-3
    np.testing.assert_allclose(model.scale, 1.0, atol=0.4)


@pytest.mark.parametrize("seed", range(3))
def test_samples_with_much_noise_leave_the_prior(subspace, leverage, seed):
    """Samples a thousand times as noisy as the error: the prior remains, for all bands alike."""
    model = fitted(subspace, leverage, 1.4, 10.0, seed=seed)
    assert 1.0 < model.coefficients[0] < 1.8
    np.testing.assert_allclose(model.scale, 1.0, atol=0.1)


def test_an_error_of_the_noise_level_is_not_taken_for_an_error_of_the_estimate(subspace, leverage):
    """Samples 5 % noisier than stated: a fit without a prior would give five times the error."""
    rng = np.random.default_rng(0)
    own = np.tensordot(np.square(subspace.basis), leverage, 1)
    square = np.square(rng.normal(size=own.shape)) * (1.4 * own + 1.05)
    zeros = np.zeros(own.shape, np.float32)
    model = fit_error_model(subspace, zeros, zeros[0], leverage, square, np.ones(own.shape), own > 0)
    without_prior = (square - 1.0).mean() / own.mean()
    assert without_prior > 5.0 and np.square(model.typical).mean() / own.mean() < 2.0


def test_a_band_with_larger_errors_has_its_own_scale(subspace, leverage):
    scale = np.where(np.arange(BANDS) == 7, 4.0, 1.0)
    model = fitted(subspace, leverage, 1.4, 0.01, scale)
    assert model.scale[7] == pytest.approx(4.0, rel=0.3) and np.delete(model.scale, 7).max() < 1.5


@pytest.mark.parametrize("with_leverage", [True, False])
def test_a_band_without_samples_gets_the_error_of_the_others(subspace, leverage, with_leverage):
    square = np.full((BANDS, SIDE, SIDE), 1.1)
    held_out = np.ones(square.shape, bool)
    held_out[3] = False
    zeros = np.zeros(square.shape, np.float32)
    known = leverage if with_leverage else None
    model = fit_error_model(subspace, zeros, zeros[0], known, square, np.ones(square.shape), held_out)
    assert model.typical[3] == pytest.approx(np.sqrt(np.mean(model.typical**2)), rel=0.3) and model.scale[3] == 1.0


def test_without_leverage_the_error_depends_on_roughness(subspace):
    """The error is 0.05 where the estimate is flat and 0.5 elsewhere."""
    rng = np.random.default_rng(0)
    estimate = np.zeros((BANDS, SIDE, SIDE), np.float32)
    estimate[:, :, SIDE // 2 :] = rng.normal(size=(BANDS, SIDE, SIDE // 2)) * 2.0
    variance = np.where(np.arange(SIDE) < SIDE // 2, 0.05, 0.5) * np.ones(estimate.shape)
    square = np.square(rng.normal(size=estimate.shape)) * (variance + 0.01)
    noise, zeros = np.full(estimate.shape, 0.01), np.zeros((SIDE, SIDE), np.float32)
    model = fit_error_model(subspace, estimate, zeros, None, square, noise, np.ones(estimate.shape, bool))
    assert not model.uses_leverage
    deviation = model.deviation(subspace, estimate, zeros, None)
    assert deviation.shape == estimate.shape
    flat, rough = (np.sqrt(np.mean(part**2)) for part in (deviation[:, :, :28], deviation[:, :, 36:]))
    assert flat == pytest.approx(np.sqrt(0.05), rel=0.3) and rough == pytest.approx(np.sqrt(0.5), rel=0.15)


def test_the_deviation_follows_the_leverage(subspace, leverage):
    model = default_error_model(subspace, uses_leverage=True)
    zeros = np.zeros((BANDS, SIDE, SIDE), np.float32)
    one = model.deviation(subspace, zeros, zeros[0], leverage)
    np.testing.assert_allclose(model.deviation(subspace, zeros, zeros[0], 4.0 * leverage), 2.0 * one, rtol=1e-5)
    np.testing.assert_allclose(one**2, 1.4 * np.tensordot(np.square(subspace.basis), leverage, 1), rtol=1e-4)
