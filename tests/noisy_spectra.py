"""What the tests of denoising share: spectra with components of known variance, noise, masks, RMSE; no tests here."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

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
    """Noise of variance 1, ``(band, row, column)``."""
    return np.random.default_rng(seed).normal(size=(BANDS, ROWS, COLUMNS))


def everywhere(values: np.ndarray) -> np.ndarray:
    """A mask of the shape of ``values``, all observed."""
    return np.ones(values.shape, bool)


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference."""
    return float(np.sqrt(np.mean(np.square(a - b))))
