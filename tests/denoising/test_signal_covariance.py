"""The signal covariance: free of noise, and what it adds to a subspace."""

import numpy as np
import pytest
from scipy import ndimage

from dip_core.denoising import validation as trial
from dip_core.denoising.clipping import no_limits
from dip_core.denoising.model import Settings, denoise
from dip_core.denoising.nl_ridge import nl_ridge
from dip_core.denoising.signal_covariance import signal_covariance, with_weak_directions
from dip_core.imaging.subspace import find_subspace

BANDS, ROWS, COLUMNS = 40, 72, 80
EVERYWHERE = np.ones((BANDS, ROWS, COLUMNS), bool)


def directions(count: int) -> np.ndarray:
    """Orthonormal spectra, ``(band, count)``."""
    return np.linalg.qr(np.random.default_rng(0).normal(size=(BANDS, count)))[0]


def fields(count: int, seed: int = 1) -> np.ndarray:
    """Smooth images of variance 1, ``(count, row, column)``."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(count, ROWS, COLUMNS)), (0, 5, 5))
    return (smooth - smooth.mean((1, 2), keepdims=True)) / smooth.std((1, 2), keepdims=True)


def spectra(powers) -> np.ndarray:
    """Whitened spectra without noise whose eigen-images have these variances."""
    images = np.sqrt(powers)[:, None, None] * fields(len(powers))
    return np.tensordot(directions(len(powers)), images, axes=1)


def noise(seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(BANDS, ROWS, COLUMNS))


def test_noise_alone_has_none():
    """The noise's own variance, 1 in every direction, is gone; what chance leaves spreads evenly about 0."""
    flat = np.zeros((1, ROWS, COLUMNS), np.float32)
    found, alike = signal_covariance(noise(), flat, EVERYWHERE[0])
    assert alike > 50  # the window's, whose weights sum to 2 pi 4^2 = 100 inside
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    values = np.linalg.eigvalsh(found)
    assert abs(values.mean()) < 0.01 and np.abs(values).max() < 0.15


def test_signal_keeps_its_variance():
    """Fields that are smooth over the window's 4 pixels are almost the same at neighbours."""
    clean = spectra(np.array([4.0]))
    guide = np.tensordot(directions(1).T, clean, axes=1)
    found, _ = signal_covariance(clean + noise(), guide, EVERYWHERE[0])
    power = float((directions(1).T @ found @ directions(1))[0, 0])
    assert power == pytest.approx(4.0, rel=0.1)


def test_pixels_that_are_not_seen_take_no_part():
    seen = EVERYWHERE[0].copy()
    seen[20:30, 30:50] = False
    values = noise()
    guide = fields(1)
    first, _ = signal_covariance(np.where(seen, values, 0), np.where(seen, guide, 0), seen)
    second, _ = signal_covariance(np.where(seen, values, 1e3), np.where(seen, guide, -1e3), seen)
    np.testing.assert_array_equal(first, second)


def test_images_smaller_than_the_window():
    values = noise()[:, :3, :1]
    assert np.isfinite(signal_covariance(values, fields(1)[:, :3, :1], EVERYWHERE[0, :3, :1])[0]).all()
    one, _ = signal_covariance(values[:, :1], fields(1)[:, :1, :1], EVERYWHERE[0, :1, :1])
    np.testing.assert_array_equal(one, np.zeros((BANDS, BANDS)))


def test_a_weak_direction_is_found_that_the_pixels_themselves_hide():
    """A twelfth of the noise's variance, below the edge of 1 + 2 sqrt(40 / 5760) = 1.17."""
    powers = np.array([20.0, 2.0, 0.08])
    values = (spectra(powers) + noise()).astype(np.float32)
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    assert plain.rank == 2
    guide, _ = plain.project(spectra(powers), EVERYWHERE)
    richer = with_weak_directions(plain, values, EVERYWHERE, guide, (slice(None),) * 3)
    assert richer.rank in (3, 4)  # one of noise may slip in: its gain is small, see below
    np.testing.assert_allclose(richer.basis.T @ richer.basis, np.eye(richer.rank), atol=1e-9)
    hidden = directions(3)[:, 2]
    assert np.linalg.norm(plain.basis.T @ hidden) ** 2 < 0.2
    assert (richer.basis[:, 2] @ hidden) ** 2 > 0.8
    assert (np.diff(richer.variance) < 0).all() and (richer.variance > 1).all()
    assert not richer.weak[:2].any() and richer.weak[2:].all()


def test_what_neighbours_do_not_share_is_kept():
    """Single pixels of another material: strong in the pixels themselves, nothing in the signal covariance."""
    powers = np.array([20.0, 2.0])
    targets = np.zeros((ROWS, COLUMNS))
    targets[::6, ::7] = 15.0
    other = directions(3)[:, 2]
    values = (spectra(powers) + other[:, None, None] * targets + noise()).astype(np.float32)
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    images, _ = plain.project(values, EVERYWHERE)
    richer = with_weak_directions(plain, values, EVERYWHERE, images, (slice(None), slice(0, 40), slice(0, 40)))
    assert np.linalg.norm(richer.basis.T @ other) ** 2 > 0.9


def test_gains_are_those_that_the_truth_would_choose():
    powers = np.array([20.0, 2.0, 0.5])
    clean = spectra(powers)
    values = (clean + noise()).astype(np.float32)
    space = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    assert space.rank == 3
    test = trial.hold_out(values, EVERYWHERE, space, np.random.default_rng(0))
    truth, _ = space.project(clean.astype(np.float32), EVERYWHERE)
    # Errors as large as the signal in the last image: half of it is best, to 0.1 (one standard deviation is 0.03).
    error = np.random.default_rng(5).normal(size=truth.shape) * np.sqrt([0.01, 0.01, 0.5])[:, None, None]
    found = trial.gains(test, space.reconstruct(truth + error), no_limits(BANDS))
    np.testing.assert_allclose(found, [1.0, 1.0, 0.5], atol=0.1)
    weaker = space.apply_gains(space.reconstruct(truth + error), found)
    assert np.square(weaker - clean).mean() < 0.8 * np.square(space.reconstruct(truth + error) - clean).mean()


def test_weak_directions_make_denoising_better():
    """The non-local ridge on the two directions that the pixels themselves show leaves the third one out."""
    clean = spectra(np.array([20.0, 2.0, 0.12])) + 30.0
    values = clean + noise()
    estimate, _, model = denoise(values, EVERYWHERE, Settings("fast", sigma=1.0))
    assert model.subspace.rank >= 3 and (model.gains[:2] > 0.95).all() and 0.3 < model.gains[2] <= 1
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    images, seen = plain.project(values, EVERYWHERE)
    simpler = plain.reconstruct(nl_ridge(images, seen).images)
    assert plain.rank == 2
    assert np.square(estimate - clean).mean() < 0.9 * np.square(simpler - clean).mean()


def test_weak_images_of_almost_complete_pixels_stay_as_they_are():
    """Where one band of forty is missing, the weak eigen-image hardly changes; one band alone says next to nothing."""
    powers = np.array([20.0, 0.5])
    values = (spectra(powers) + noise()).astype(np.float32)
    space = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    whole, _ = space.project(values, EVERYWHERE)
    observed = EVERYWHERE.copy()
    observed[3] = False
    almost, _ = space.project(values, observed)
    np.testing.assert_allclose(almost.std((1, 2)), whole.std((1, 2)), rtol=0.05)
    observed[:] = False
    observed[7] = True
    single, _ = space.project(values, observed)
    assert single[1].std() < 0.4 * whole[1].std()


def test_low_noise_needs_no_signal_covariance():
    """A hundred noise deviations of texture: no pixel resembles another within the noise; nothing can be learned."""
    rng = np.random.default_rng(4)
    texture = ndimage.gaussian_filter(rng.normal(size=(3, ROWS, COLUMNS)), (0, 1, 1))
    texture /= texture.std((1, 2), keepdims=True)
    clean = np.tensordot(directions(3), np.array([100.0, 30.0, 10.0])[:, None, None] * texture, axes=1)
    values = (clean + noise()).astype(np.float32)
    plain = find_subspace(values, EVERYWHERE, np.ones(BANDS))
    guide, _ = plain.project(clean, EVERYWHERE)
    assert with_weak_directions(plain, values, EVERYWHERE, guide, (slice(None),) * 3) is plain


def test_targets_outside_the_trials_part_keep_their_strength():
    """Another material on the rim only, which the trial in the middle of the scene never sees."""
    rows, columns = 176, 176
    rng = np.random.default_rng(5)
    smooth = ndimage.gaussian_filter(rng.normal(size=(2, rows, columns)), (0, 5, 5))
    smooth /= smooth.std((1, 2), keepdims=True)
    clean = np.tensordot(directions(2), np.array([4.0, 1.5])[:, None, None] * smooth, axes=1)
    targets = np.zeros((rows, columns), bool)
    targets[2:20:3, ::3] = True
    other = np.linalg.qr(np.column_stack([directions(2), rng.normal(size=BANDS)]))[0][:, 2]
    clean += 15.0 * other[:, None, None] * targets
    values = clean + rng.normal(size=clean.shape)
    estimate, _, model = denoise(values, np.ones(values.shape, bool), Settings("fast", sigma=1.0))
    kept = np.tensordot(other, estimate, axes=1)[targets].mean()
    assert kept > 0.75 * np.tensordot(other, clean, axes=1)[targets].mean()
    assert (model.gains[model.subspace.basis.T @ other > 0.5] == 1).all()
