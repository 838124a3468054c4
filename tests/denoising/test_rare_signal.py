"""Rare signal: targets of few pixels keep their contrast, and noise is not given back."""

from __future__ import annotations

import numpy as np
import pytest
from noisy_spectra import BANDS, COLUMNS, EVERYWHERE, ROWS, directions, noise, rmse, spectra
from scipy import ndimage

from dip_core.denoising import rare_signal
from dip_core.denoising.model import denoise
from dip_core.denoising.options import DenoiseOptions
from dip_core.denoising.rare_signal import keep_rare_signal
from dip_core.imaging.subspace import find_subspace

SCENE = spectra(np.array([30.0, 8.0, 2.0])) + 40.0


def feature(centre: int, width: int, depth: float) -> np.ndarray:
    """A narrow absorption (negative) or emission in ``width`` bands, ``(band,)``."""
    own = np.zeros(BANDS)
    own[centre - width // 2 : centre - width // 2 + width] = depth * np.hanning(width + 2)[1:-1]
    return own


def area(top: int, left: int, rows: int, columns: int) -> np.ndarray:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[top : top + rows, left : left + columns] = True
    return mask


def scattered(count: int, seed: int = 3) -> np.ndarray:
    """Single pixels that do not touch."""
    places = np.random.default_rng(seed).permutation((ROWS // 4) * (COLUMNS // 4))[:count]
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[places // (COLUMNS // 4) * 4 + 1, places % (COLUMNS // 4) * 4 + 2] = True
    return mask


def share_kept(estimate: np.ndarray, spectrum: np.ndarray, mask: np.ndarray) -> float:
    """The share of a target's part outside the scene's subspace that is left."""
    basis = directions(3)
    own = spectrum - basis @ (basis.T @ spectrum)
    return float(np.tensordot(own, estimate - SCENE, 1)[mask].mean() / (own @ spectrum))


TARGETS = {
    "eighteen scattered pixels": [(feature(20, 5, -6.5), scattered(18))],
    "one pixel": [(feature(9, 4, -9.0), scattered(1))],
    "emission in nine pixels": [(feature(30, 6, 4.0), area(40, 50, 3, 3))],
    "weak plume": [(feature(28, 7, -3.0), area(20, 30, 4, 6))],
    "large weak plume": [(feature(12, 8, -2.5), area(20, 30, 6, 10))],
    "two targets": [(feature(8, 6, -5.0), area(6, 6, 2, 2)), (feature(31, 8, 3.5), area(50, 50, 5, 5))],
}


# One target in the default run.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "weak plume" else [pytest.mark.slow]) for name in TARGETS]
)
def test_targets_keep_at_least_half_of_their_contrast(name):
    clean = SCENE.copy()
    for spectrum, mask in TARGETS[name]:
        clean += spectrum[:, None, None] * mask
    estimate, deviation, _ = denoise(clean + noise(), EVERYWHERE, DenoiseOptions("fast", sigma=1.0))
    for spectrum, mask in TARGETS[name]:
        assert share_kept(estimate, spectrum, mask) > 0.5
        error = np.abs(estimate - clean)[spectrum != 0][:, mask].mean()
        assert error < 1.5 * deviation[spectrum != 0][:, mask].mean()


@pytest.mark.parametrize("noise_model", ["auto", "mixed"])
def test_scattered_pixels_with_estimated_noise_and_outlier_detection(noise_model):
    spectrum, mask = feature(20, 6, -6.0), scattered(15)
    values = SCENE + spectrum[:, None, None] * mask + noise()
    estimate, _, _ = denoise(values, EVERYWHERE, DenoiseOptions("fast", noise_model))
    assert share_kept(estimate, spectrum, mask) > 0.5


def damaged(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Noise of variance about 1 that is not ideal."""
    own = rng.normal(size=SCENE.shape)
    if kind == "correlated bands":
        for band in range(1, BANDS):
            own[band] = 0.5 * own[band - 1] + np.sqrt(0.75) * own[band]
    elif kind == "correlated pixels":
        own = ndimage.gaussian_filter(own, (0, 0.6, 0.6))
        own /= own.std()
    elif kind == "grows with signal":
        own *= np.sqrt(SCENE / SCENE.mean())
    elif kind == "stripes":
        own[::4, :, rng.random(COLUMNS) < 0.15] += 4.0
    elif kind == "heavy tails":
        own = rng.standard_t(6, SCENE.shape)
    return own


@pytest.mark.parametrize(
    "kind", ["ideal", "correlated bands", "correlated pixels", "grows with signal", "stripes", "heavy tails"]
)
def test_noise_is_not_given_back(kind):
    """The residual of the true scene is noise only: what is given back is a false alarm."""
    false = 0
    for seed in range(3):
        values = SCENE + damaged(kind, np.random.default_rng(10 + seed))
        level = np.array([np.median(np.abs(band - clean)) / 0.6745 for band, clean in zip(values, SCENE)])
        subspace = find_subspace(values, EVERYWHERE, level)
        estimate, deviation = SCENE.astype(np.float32), np.full(SCENE.shape, 0.2, np.float32)
        false += np.count_nonzero(keep_rare_signal(subspace, values, EVERYWHERE, estimate, deviation))
        assert (deviation > 0.2001).mean() < 0.02
    assert false <= 5  # of 17,280 pixels


def test_impulses_and_dead_lines_are_not_given_back():
    rng = np.random.default_rng(4)
    values = SCENE + noise()
    struck = rng.random(values.shape) < 0.01
    values[struck] += rng.choice([-20.0, 20.0], np.count_nonzero(struck))
    values[12, 30] = 0.0
    values[25, :, 41] += 15.0
    options = DenoiseOptions("fast", "mixed", sigma=1.0)
    estimate, _, _ = denoise(values, EVERYWHERE, options)
    assert rmse(estimate, SCENE) < 0.4
    assert np.abs(estimate - SCENE).max() < 6.0


def test_published_methods_stay_as_they_are(monkeypatch):
    monkeypatch.setattr("dip_core.denoising.model.keep_rare_signal", lambda *_: pytest.fail("a preset was changed"))
    values = (SCENE + noise())[:24, :24, :24]
    denoise(values, np.ones(values.shape, bool), DenoiseOptions("paper_2d", iterations=1))


def test_a_group_that_shows_in_one_band_must_cover_an_area():
    subspace = find_subspace(SCENE + noise(), EVERYWHERE, np.ones(BANDS))
    for mask, kept in ((area(20, 20, 4, 4), True), (area(10, 33, 18, 1), False)):
        values = SCENE + noise(5)
        values[17][mask] += 5.0
        estimate, deviation = SCENE.astype(np.float32), np.full(SCENE.shape, 0.2, np.float32)
        pixels = keep_rare_signal(subspace, values, EVERYWHERE, estimate, deviation)
        assert pixels[mask].any() == kept


def test_pixels_without_data_and_tiny_scenes():
    values, observed = SCENE + noise(), EVERYWHERE.copy()
    observed[:, :30], observed[5:9, 40:, 20:40] = False, False
    values[~observed] = 1e6
    subspace = find_subspace(SCENE + noise(), EVERYWHERE, np.ones(BANDS))
    for part in (np.s_[:, :, :], np.s_[:, 28:33, 10:12], np.s_[:, 40:41, 20:21]):
        estimate, deviation = SCENE[part].astype(np.float32), np.full(SCENE[part].shape, 0.2, np.float32)
        kept = keep_rare_signal(subspace, values[part], observed[part], estimate, deviation)
        assert np.isfinite(estimate).all() and np.abs(estimate - SCENE[part]).max() < 8
        assert not kept[~observed[part].any(axis=0)].any()


def test_scan_in_strips_gives_the_same_result(monkeypatch):
    values = SCENE + noise() + feature(20, 6, -6.0)[:, None, None] * scattered(9)
    subspace = find_subspace(SCENE + noise(), EVERYWHERE, np.ones(BANDS))
    results = []
    for size in (1 << 22, 5 * BANDS * COLUMNS):
        monkeypatch.setattr("dip_core.denoising.residual_scan._MAX_STRIP_VALUES", size)
        monkeypatch.setattr(rare_signal, "_MAX_STRIP_VALUES", size)
        estimate, deviation = SCENE.astype(np.float32), np.full(SCENE.shape, 0.2, np.float32)
        keep_rare_signal(subspace, values, EVERYWHERE, estimate, deviation)
        results.append(estimate)
    np.testing.assert_allclose(*results, rtol=1e-5)
