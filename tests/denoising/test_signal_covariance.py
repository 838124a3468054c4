"""The signal covariance: free of noise, and the directions that it adds to a subspace."""

from __future__ import annotations

import numpy as np
import pytest
from noisy_spectra import BANDS, COLUMNS, EVERYWHERE, ROWS, directions, fields, noise, spectra
from scipy import ndimage

from dip_core.denoising.signal_covariance import add_weak_directions, signal_covariance
from dip_core.imaging.subspace import find_subspace


def test_noise_alone_has_no_signal_covariance():
    """The noise's own variance, 1 in every direction, is gone; random eigenvalues are centred on 0."""
    flat = np.zeros((1, ROWS, COLUMNS), np.float32)
    covariance, similar_pixels = signal_covariance(noise(), flat, EVERYWHERE[0])
    assert similar_pixels > 50  # the weights of a whole window sum to 2 pi 4^2 = 100
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    eigenvalues = np.linalg.eigvalsh(covariance)
    assert abs(eigenvalues.mean()) < 0.01 and np.abs(eigenvalues).max() < 0.15


def test_signal_keeps_its_variance():
    """Fields that are smooth over 4 pixels are almost equal at neighbouring pixels."""
    clean = spectra(np.array([4.0]))
    guide = np.tensordot(directions(1).T, clean, axes=1)
    covariance, _ = signal_covariance(clean + noise(), guide, EVERYWHERE[0])
    power = float((directions(1).T @ covariance @ directions(1))[0, 0])
    assert power == pytest.approx(4.0, rel=0.1)


def test_unobserved_pixels_have_no_influence():
    observed = EVERYWHERE[0].copy()
    observed[20:30, 30:50] = False
    values = noise()
    guide = fields(1)
    first, _ = signal_covariance(np.where(observed, values, 0), np.where(observed, guide, 0), observed)
    second, _ = signal_covariance(np.where(observed, values, 1e3), np.where(observed, guide, -1e3), observed)
    np.testing.assert_array_equal(first, second)


def test_images_smaller_than_the_window():
    values = noise()[:, :3, :1]
    assert np.isfinite(signal_covariance(values, fields(1)[:, :3, :1], EVERYWHERE[0, :3, :1])[0]).all()
    one, _ = signal_covariance(values[:, :1], fields(1)[:, :1, :1], EVERYWHERE[0, :1, :1])
    np.testing.assert_array_equal(one, np.zeros((BANDS, BANDS)))


def test_weak_directions_that_the_pixels_own_covariance_hides_are_found():
    """A twelfth of the noise's variance, below the edge of 1 + 2 sqrt(40 / 5760) = 1.17."""
    powers = np.array([20.0, 2.0, 0.08])
    values = (spectra(powers) + noise()).astype(np.float32)
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    assert plain.rank == 2
    guide, _ = plain.project(spectra(powers), EVERYWHERE)
    richer = add_weak_directions(plain, values, EVERYWHERE, guide, (slice(None),) * 3)
    assert richer.rank in (3, 4)  # a direction of noise is possible; its gain is small
    np.testing.assert_allclose(richer.basis.T @ richer.basis, np.eye(richer.rank), atol=1e-9)
    hidden = directions(3)[:, 2]
    assert np.linalg.norm(plain.basis.T @ hidden) ** 2 < 0.2
    assert (richer.basis[:, 2] @ hidden) ** 2 > 0.8
    assert (np.diff(richer.variance) < 0).all() and (richer.variance > 1).all()
    assert not richer.weak[:2].any() and richer.weak[2:].all()


def test_signal_that_neighbours_do_not_share_is_kept():
    """Single pixels of another material: strong in the pixels' own covariance, absent in the signal covariance."""
    powers = np.array([20.0, 2.0])
    targets = np.zeros((ROWS, COLUMNS))
    targets[::6, ::7] = 15.0
    other = directions(3)[:, 2]
    values = (spectra(powers) + other[:, None, None] * targets + noise()).astype(np.float32)
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    images, _ = plain.project(values, EVERYWHERE)
    richer = add_weak_directions(plain, values, EVERYWHERE, images, (slice(None), slice(0, 40), slice(0, 40)))
    assert np.linalg.norm(richer.basis.T @ other) ** 2 > 0.9


def test_low_noise_needs_no_signal_covariance():
    """Texture of a hundred noise deviations: no pixels are similar within the noise, so nothing can be gained."""
    rng = np.random.default_rng(4)
    texture = ndimage.gaussian_filter(rng.normal(size=(3, ROWS, COLUMNS)), (0, 1, 1))
    texture /= texture.std((1, 2), keepdims=True)
    clean = np.tensordot(directions(3), np.array([100.0, 30.0, 10.0])[:, None, None] * texture, axes=1)
    values = (clean + noise()).astype(np.float32)
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    guide, _ = plain.project(clean, EVERYWHERE)
    assert add_weak_directions(plain, values, EVERYWHERE, guide, (slice(None),) * 3) is plain
