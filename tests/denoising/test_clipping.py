"""Clipped data: limits are detected, and the truth is estimated instead of the clipped mean."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube
from noisy_spectra import everywhere, rmse

from dip_core.denoising.clipping import Limits, complete, find_limits, moments, no_limits, unclipped
from dip_core.denoising.model import denoise
from dip_core.denoising.options import DenoiseOptions


def test_limits_are_found_in_the_clipped_bands_only():
    values = add_noise(material_cube(), 0.3)
    clipped = values.copy()
    clipped[:10] = clipped[:10].clip(0, None)
    clipped[5:] = clipped[5:].clip(None, 1)
    level = np.full(30, 0.3)
    limits = find_limits(clipped, everywhere(values), level)
    np.testing.assert_array_equal(limits.low, [0.0] * 10 + [-np.inf] * 20)
    np.testing.assert_array_equal(limits.high, [np.inf] * 5 + [1.0] * 25)
    assert not find_limits(values, everywhere(values), level).any
    # Many samples at each of some levels, and a saturated target far above its surroundings.
    assert not find_limits(np.rint(values * 200), everywhere(values), 200 * level).any
    values[:, 10:20, 10:20] = 9.0
    assert not find_limits(values, everywhere(values), level).any


def test_moments_of_clipped_samples_are_those_of_a_simulation():
    truth = np.array([[-0.2, 0.0, 0.3, 0.9, 1.3]])
    limits = Limits(np.array([0.0]), np.array([1.0]))
    samples = add_noise(np.repeat(truth, 400_000, axis=0)[None], 0.3)[0].clip(0, 1)
    mean, variance, slope = moments(truth, np.array([0.3]), limits)
    # The standard error of a mean of 400,000 samples is 0.0005; that of slopes of differences over 0.02 is smaller.
    np.testing.assert_allclose(mean[0], samples.mean(axis=0), atol=0.002)
    np.testing.assert_allclose(variance[0], samples.var(axis=0), atol=0.002)
    steps = moments(truth + 1e-4, np.array([0.3]), limits)[0] - mean
    np.testing.assert_allclose(slope, steps / 1e-4, atol=1e-3)
    np.testing.assert_allclose(unclipped(mean[None], np.array([0.3]), limits)[0], truth, atol=0.01)


def test_without_limits_nothing_changes():
    truth = np.array([[-0.2, 0.3, 5.0]])
    mean, variance, slope = moments(truth, np.array([0.3]), no_limits(1))
    np.testing.assert_allclose(mean, truth)
    np.testing.assert_allclose(variance, 0.09)
    np.testing.assert_array_equal(slope, 1.0)


def test_clipped_samples_are_replaced_by_their_expectation():
    limits = Limits(np.array([0.0]), np.array([np.inf]))
    truth = np.full((1, 1, 1_000_000), 0.1)
    full = add_noise(truth, 0.3)
    clipped = full.clip(0, None)
    completed, level = complete(clipped, everywhere(full), truth, np.array([0.3]), limits)
    # A third of 1,000,000 samples: the standard errors of mean and level are 0.0003.
    assert completed[clipped == 0].mean() == pytest.approx(full[full < 0].mean(), abs=0.002)
    assert level[0] == pytest.approx(0.3, abs=0.002)
    np.testing.assert_allclose(completed[clipped > 0], clipped[clipped > 0], rtol=1e-6)


def test_a_clipped_scene_is_denoised_to_the_truth_and_not_to_its_clipped_mean():
    clean = material_cube(30, 48, 48)
    values = add_noise(clean, 0.4).clip(0, 1)
    uncorrected, _, _ = denoise(values, everywhere(values), DenoiseOptions("fast", "gaussian"))
    corrected, deviation, model = denoise(values, everywhere(values), DenoiseOptions("fast", "auto"))
    clipped_mean_error = rmse(moments(clean, np.full(30, 0.4), model.limits)[0], clean)
    assert rmse(uncorrected, clean) > 0.8 * clipped_mean_error
    assert rmse(corrected, clean) < 0.75 * clipped_mean_error
    assert model.clipped_bands == 30
    np.testing.assert_allclose(model.subspace.sigma, 0.4, rtol=0.1)
    assert np.isfinite(deviation).all()
