"""The papers' protocols: from public cubes to problems with a known answer.

All cubes are ``(band, row, column)`` float32. DHP's own data but Indian Pines (DC Mall, Pavia Center) are not
available; the Reno cube stands in for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks import common
from dip_core.arrays import Mask
from dip_core.imaging.degradation import bicubic_decimation

RENO = "hsi/reno_100b.tif"
SIGMA = 100.0 / 255.0
NOISE_SEED = 2019
# The masked columns of the enlarged Indian Pines, first and last, counted from 1.
STRIPES = ((22, 26), (52, 68), (100, 102), (106, 110), (118, 128), (180, 182))
_ENLARGED = 192
_FINE = 144
_CASCADE_BANDS = 31
_TRAINING_ROWS, _TEST_ROWS = 100, 46

Cube = NDArray[np.float32]


@dataclass(frozen=True)
class Problem:
    """A clean cube and what methods are given of it.

    ``task``: the presets' word for it. ``given``: the damaged cube, coarser by ``factor``. ``observed``: its pixels
    that hold data.
    """

    task: str
    clean: Cube
    given: Cube
    observed: Mask
    factor: int = 1

    @property
    def hidden(self) -> Mask | None:
        """Pixels that methods do not see, None where they see all."""
        return None if self.observed.all() else ~self.observed

    def part(self, size: int, bands: int) -> Problem:
        """Every n-th band of a square of ``size`` fine pixels around the middle; 0: all pixels, all bands."""
        count, rows, columns = self.clean.shape
        chosen = evenly(count, bands or count)
        step = self.factor
        height, width = (min(size or length, length) // step for length in (rows, columns))
        top, left = (rows // step - height) // 2, (columns // step - width) // 2

        def cut(cube: NDArray, scale: int) -> NDArray:
            window = (slice(top * scale, (top + height) * scale), slice(left * scale, (left + width) * scale))
            return np.ascontiguousarray(cube[(chosen, *window)])

        return replace(self, clean=cut(self.clean, step), given=cut(self.given, 1), observed=cut(self.observed, 1))


def inpainting() -> Problem:
    """DHP: Indian Pines in 0..1 by its global range, enlarged to 192 x 192, six stripes masked in all bands.

    The authors enlarge by MATLAB's imresize; here by a cubic spline.
    """
    from tensorly.datasets import load_indian_pines

    cube = _unit(np.moveaxis(load_indian_pines().tensor, -1, 0).astype(np.float64), (0, 1, 2))
    # The spline is linear in the pixels and separates, so that one matrix enlarges rows and columns of all bands.
    side = cube.shape[-1]
    spline = ndimage.zoom(np.eye(side), (_ENLARGED / side, 1), order=3, mode="mirror", grid_mode=True)
    clean = (spline @ cube @ spline.T).clip(0.0, 1.0).astype(np.float32)
    observed = stripe_mask(clean.shape)
    return Problem("inpaint", clean, np.where(observed, clean, np.float32(0)), observed)


def stripe_mask(shape: tuple[int, ...]) -> Mask:
    """The observed pixels of the enlarged Indian Pines."""
    observed = np.ones(shape, bool)
    for first, last in STRIPES:
        observed[..., first - 1 : last] = False
    return observed


def denoising(clipped: bool) -> Problem:
    """DHP's denoising, with Reno for DC Mall: each band in 0..1, normal noise of 100/255, clipped to 0..1 or not."""
    clean = _unit(reno(), (1, 2))
    noisy = clean + np.random.default_rng(NOISE_SEED).normal(0.0, SIGMA, clean.shape)
    given = (noisy.clip(0.0, 1.0) if clipped else noisy).astype(np.float32)
    return Problem("denoise", clean.astype(np.float32), given, np.ones(clean.shape, bool))


def superresolution() -> Problem:
    """DHP's super-resolution, with Reno for Pavia Center: 144 x 144 pixels in 0..1 by their range, halved.

    Halved as MATLAB's ``imresize(x, 0.5)`` does it, with antialiasing.
    """
    clean = _unit(reno()[:, :_FINE, :_FINE], (0, 1, 2))
    coarse = bicubic_decimation((_FINE, _FINE), 2).apply(clean).astype(np.float32)
    return Problem("superresolve", clean.astype(np.float32), coarse, np.ones(coarse.shape, bool), factor=2)


def cascade_parts() -> tuple[NDArray, NDArray]:
    """What the cascade is trained on and what it is tested on: 31 of Reno's bands, rows that are not shared."""
    cube = reno()[evenly(100, _CASCADE_BANDS)].astype(np.float32)
    return cube[:, :_TRAINING_ROWS], cube[:, -_TEST_ROWS:]


def evenly(count: int, wanted: int) -> list[int]:
    """``wanted`` numbers out of ``range(count)``, from the first to the last, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(int)).tolist()


def reno() -> NDArray[np.float64]:
    """The Reno cube in its own units."""
    return common.read_raster(common.data_file(RENO)).astype(np.float64)


def _unit(cube: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    low, high = cube.min(axis=axes, keepdims=True), cube.max(axis=axes, keepdims=True)
    return (cube - low) / (high - low)
