"""Validation on held-out samples: weights, gains and scores."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube
from noisy_spectra import BANDS, EVERYWHERE, everywhere, noise, rmse, spectra

from dip_core.denoising.clipping import no_limits
from dip_core.denoising.held_out import hold_out
from dip_core.denoising.model import denoise
from dip_core.denoising.options import DenoiseOptions
from dip_core.denoising.validation import optimal_gains, pairwise_weights
from dip_core.imaging.subspace import find_subspace


@pytest.mark.parametrize(("bands", "side"), [(1, 128), (2, 128), (30, 80)])
def test_the_estimated_error_is_the_true_one(bands, side):
    """With a given noise level, within a third; and errors are within the deviations as often as they should be."""
    clean = material_cube(bands, side, side)
    values = add_noise(clean, 0.1)
    estimate, deviation, model = denoise(values, everywhere(values), DenoiseOptions("fast", sigma=0.1))
    true = rmse(estimate, clean)
    assert true < 0.5 * 0.1
    assert model.score is not None and model.score.rmse == pytest.approx(true, rel=0.34)
    assert model.score.rmse < model.score.baseline_rmse
    ratio = np.abs(estimate - clean) / deviation
    assert 0.5 < np.mean(ratio <= 1) < 0.85 and np.mean(ratio <= 2) > 0.85


def test_weights_select_the_better_estimate_and_combine_independent_errors():
    clean = material_cube()
    values = add_noise(clean, 0.1)
    subspace = find_subspace(values, everywhere(values))
    held_out = hold_out(values, everywhere(values), subspace, np.random.default_rng(0))
    rng = np.random.default_rng(5)
    independent = [clean + rng.normal(0, 0.05, clean.shape) for _ in range(2)]
    np.testing.assert_allclose(pairwise_weights(held_out, independent, no_limits(30)), 0.5, atol=0.1)
    np.testing.assert_allclose(pairwise_weights(held_out, [clean, clean + 0.3], no_limits(30)), [1, 0], atol=0.05)


def test_gains_are_those_that_the_truth_would_give():
    clean = spectra(np.array([20.0, 2.0, 0.5]))
    values = (clean + noise()).astype(np.float32)
    subspace = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    assert subspace.rank == 3
    held_out = hold_out(values, EVERYWHERE, subspace, np.random.default_rng(0))
    truth, _ = subspace.project(clean.astype(np.float32), EVERYWHERE)
    # Errors as large as the signal in the last image: half of it is best, to 0.1 (the standard error is 0.03).
    error = np.random.default_rng(5).normal(size=truth.shape) * np.sqrt([0.01, 0.01, 0.5])[:, None, None]
    estimate = subspace.reconstruct(truth + error)
    gains = optimal_gains(held_out, estimate, no_limits(BANDS))
    np.testing.assert_allclose(gains, [1.0, 1.0, 0.5], atol=0.1)
    scaled = subspace.apply_gains(estimate, gains)
    assert np.square(scaled - clean).mean() < 0.8 * np.square(estimate - clean).mean()
