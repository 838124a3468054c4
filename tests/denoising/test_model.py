"""The model of a noisy scene: given noise levels, and the combination of denoisers."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube
from noisy_spectra import BANDS, EVERYWHERE, directions, everywhere, noise, rmse, spectra

from dip_core.denoising.model import denoise
from dip_core.denoising.nl_ridge import nl_ridge
from dip_core.denoising.options import DenoiseOptions
from dip_core.imaging.subspace import find_subspace


def test_a_given_noise_level_overrides_the_estimate():
    values = add_noise(material_cube(30, 40, 40), 0.05)
    _, _, model = denoise(values, everywhere(values), DenoiseOptions("fast", sigma=0.3))
    np.testing.assert_array_equal(model.subspace.sigma, np.full(30, 0.3))


def test_the_combination_is_never_much_worse_than_its_better_part():
    """A deep prior that is stopped far too early is bad; validation gives it a low weight."""
    clean = material_cube(30, 48, 48)
    values = add_noise(clean, 0.1)
    combined, deviation, model = denoise(values, everywhere(values), DenoiseOptions("best", iterations=20))
    alone, _, _ = denoise(values, everywhere(values), DenoiseOptions("fast"))
    assert set(model.weights) == {"nl_ridge_pair", "deep_prior"} and sum(model.weights.values()) == pytest.approx(1)
    assert model.weights["deep_prior"] < 0.2
    assert rmse(combined, clean) < 1.05 * rmse(alone, clean)
    assert (deviation > 0).all()


def test_weak_directions_improve_denoising():
    """The non-local ridge on the two directions of the pixels' own covariance loses the third one."""
    clean = spectra(np.array([20.0, 2.0, 0.12])) + 30.0
    values = clean + noise()
    estimate, _, model = denoise(values, EVERYWHERE, DenoiseOptions("fast", sigma=1.0))
    assert model.subspace.rank >= 3 and (model.gains[:2] > 0.95).all() and 0.3 < model.gains[2] <= 1
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    images, seen = plain.project(values, EVERYWHERE)
    simpler = plain.reconstruct(nl_ridge(images, seen).images)
    assert plain.rank == 2
    assert np.square(estimate - clean).mean() < 0.9 * np.square(simpler - clean).mean()


@pytest.mark.slow
def test_targets_outside_the_validated_window_keep_their_strength():
    """Another material at the edge only, outside the central window of 96 x 96 pixels."""
    rows, columns = 136, 136
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:rows, :columns]
    smooth = np.stack([np.sin(x / 9.0 + y / 14.0), np.cos(y / 8.0 - x / 21.0)]) * np.sqrt(2)
    clean = np.tensordot(directions(2), np.array([4.0, 1.5])[:, None, None] * smooth, axes=1)
    targets = np.zeros((rows, columns), bool)
    targets[2:20:3, ::3] = True
    other = np.linalg.qr(np.column_stack([directions(2), rng.normal(size=BANDS)]))[0][:, 2]
    clean += 15.0 * other[:, None, None] * targets
    values = clean + rng.normal(size=clean.shape)
    estimate, _, model = denoise(values, everywhere(values), DenoiseOptions("fast", sigma=1.0))
    kept = np.tensordot(other, estimate, axes=1)[targets].mean()
    assert kept > 0.75 * np.tensordot(other, clean, axes=1)[targets].mean()
    assert (model.gains[model.subspace.basis.T @ other > 0.5] == 1).all()


def test_deviations_hold_where_few_bands_observe():
    """A block of pixels that 5 of 40 bands observe, in a scene that is complete elsewhere."""
    rows, columns = np.mgrid[0:64, 0:64] / 64.0
    fields = np.stack([np.sin(9 * rows) * np.cos(7 * columns), rows > 0.4, np.hypot(rows, columns) > 0.8])
    clean = np.tensordot(np.random.default_rng(0).random((BANDS, 3)), fields, 1)
    observed = everywhere(clean)
    observed[5:, 24:40, 24:40] = False
    values = clean + 0.3 * np.random.default_rng(1).normal(size=clean.shape)
    options = DenoiseOptions("fast", "gaussian", sigma=0.3)
    estimate, deviation, _ = denoise(np.where(observed, values, 0), observed, options)
    ratio = np.abs(estimate - clean)[:, 24:40, 24:40] / deviation[:, 24:40, 24:40]
    assert 0.55 < np.mean(ratio <= 1) < 0.9 and 0.85 < np.mean(ratio <= 2)


@pytest.mark.parametrize("seed", [0, 1])
def test_deviations_hold_under_strong_noise(seed):
    """Sixty bands with noise as large as their range: the samples of one band say nothing about its error."""
    rows, columns = np.mgrid[0:72, 0:72] / 72.0
    fields = np.stack([np.sin(9 * rows) * np.cos(7 * columns), rows > 0.4, np.hypot(rows, columns) > 0.8])
    clean = np.tensordot(np.random.default_rng(0).random((60, 3)), fields, 1)
    clean = (clean - clean.min()) / np.ptp(clean)
    values = clean + np.random.default_rng(10 + seed).normal(size=clean.shape)
    estimate, deviation, _ = denoise(values, everywhere(clean), DenoiseOptions("fast", "gaussian", seed=seed))
    ratio = np.abs(estimate - clean) / deviation
    assert 0.6 < np.mean(ratio <= 1) < 0.9 and np.mean(ratio <= 2) > 0.93
