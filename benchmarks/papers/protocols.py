"""The papers' protocols: make problems with a known solution from public cubes ``(band, row, column)``, float32.

Of DHP's data only Indian Pines is available; the Reno cube replaces DC Mall and Pavia Center.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.rasters import data_file, read_raster
from dip_core.arrays import Mask
from dip_core.imaging.degradation import bicubic_decimation

RENO = "hsi/reno_100b.tif"
SIGMA = 100.0 / 255.0
NOISE_SEED = 2019
# First and last masked columns of the enlarged Indian Pines, counted from 1.
STRIPES = ((22, 26), (52, 68), (100, 102), (106, 110), (118, 128), (180, 182))
_ENLARGED_SIDE = 192
_FINE_SIDE = 144
_CASCADE_BANDS = 31
_TRAINING_ROWS, _TEST_ROWS = 100, 46

Cube = NDArray[np.float32]


@dataclass(frozen=True)
class Problem:
    """A clean cube and the damaged cube that methods get.

    ``task``: as in `dip_core.dip.presets`. ``given``: the damaged cube, coarser by ``factor``. ``observed``: its
    observed pixels.
    """

    task: str
    clean: Cube
    given: Cube
    observed: Mask
    factor: int = 1

    @property
    def hidden(self) -> Mask | None:
        """Pixels that are hidden from methods; None if there are none."""
        return None if self.observed.all() else ~self.observed

    def crop(self, side: int, bands: int) -> Problem:
        """The central ``side`` x ``side`` fine pixels and evenly spaced bands; 0: all pixels, all bands."""
        count, rows, columns = self.clean.shape
        selected = evenly_spaced(count, bands or count)
        factor = self.factor
        height, width = (min(side or length, length) // factor for length in (rows, columns))
        top, left = (rows // factor - height) // 2, (columns // factor - width) // 2

        def cut(cube: NDArray, scale: int) -> NDArray:
            window = (slice(top * scale, (top + height) * scale), slice(left * scale, (left + width) * scale))
            return np.ascontiguousarray(cube[(selected, *window)])

        return replace(self, clean=cut(self.clean, factor), given=cut(self.given, 1), observed=cut(self.observed, 1))


def inpainting() -> Problem:
    """DHP: Indian Pines scaled to 0..1 by its global range, enlarged to 192 x 192, six stripes masked in all bands.

    The authors enlarge with MATLAB's imresize; here a cubic spline is used.
    """
    from tensorly.datasets import load_indian_pines

    cube = _unit(np.moveaxis(load_indian_pines().tensor, -1, 0).astype(np.float64), (0, 1, 2))
    # The spline is linear and separable, so one matrix enlarges rows and columns of all bands.
    side = cube.shape[-1]
    spline = ndimage.zoom(np.eye(side), (_ENLARGED_SIDE / side, 1), order=3, mode="mirror", grid_mode=True)
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
    """DHP's denoising with Reno: each band scaled to 0..1, normal noise of 100/255, clipped to 0..1 or not."""
    clean = _unit(reno(), (1, 2))
    noisy = clean + np.random.default_rng(NOISE_SEED).normal(0.0, SIGMA, clean.shape)
    given = (noisy.clip(0.0, 1.0) if clipped else noisy).astype(np.float32)
    return Problem("denoise", clean.astype(np.float32), given, np.ones(clean.shape, bool))


def superresolution() -> Problem:
    """DHP's super-resolution with Reno: 144 x 144 pixels scaled to 0..1 by their range, and downsampled by 2.

    Downsampling is that of MATLAB's ``imresize(x, 0.5)``, with antialiasing.
    """
    clean = _unit(reno()[:, :_FINE_SIDE, :_FINE_SIDE], (0, 1, 2))
    coarse = bicubic_decimation((_FINE_SIDE, _FINE_SIDE), 2).apply(clean).astype(np.float32)
    return Problem("superresolve", clean.astype(np.float32), coarse, np.ones(coarse.shape, bool), factor=2)


def cascade_parts() -> tuple[NDArray, NDArray]:
    """The training part and the test part of the cascade: 31 of Reno's bands, different rows."""
    cube = reno()[evenly_spaced(100, _CASCADE_BANDS)].astype(np.float32)
    return cube[:, :_TRAINING_ROWS], cube[:, -_TEST_ROWS:]


def evenly_spaced(count: int, selected: int) -> list[int]:
    """``selected`` evenly spaced numbers of ``range(count)``, including the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(selected, count)).round().astype(int)).tolist()


def reno() -> NDArray[np.float64]:
    """The Reno cube in its own units."""
    return read_raster(data_file(RENO)).astype(np.float64)


def _unit(cube: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    low, high = cube.min(axis=axes, keepdims=True), cube.max(axis=axes, keepdims=True)
    return (cube - low) / (high - low)
