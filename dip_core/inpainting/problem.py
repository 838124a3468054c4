"""The gap-filling problem of a scene: the scene, its gap mask, the statistics of its observed pixels, and a guide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from ..arrays import Cube, Mask
from ..imaging.observation import Observation, Standardization, distance_to, per_mask
from ..imaging.resampling import block_sums
from ..raster.bands_view import BandsView
from ..raster.guide import Guide
from ..raster.magnitude import require_computable
from ..raster.scene import Scene
from .experts.laplace import harmonic
from .gap_mask import GapMask

COARSE_FACTOR = 16
# In pixels. Deeper inside a gap, the observed pixels of a tile say no more than the scene's coarse surface.
MAX_DEPTH = 96


@dataclass(frozen=True)
class Correction:
    """Offsets to subtract from the stored pixels.

    ``offsets``: returns those of a window, ``(band, row, column)``. ``deviation``: one standard deviation of the
    offsets of each band, ``(band,)``, in the data's units.
    """

    offsets: Callable[[Window | None], NDArray[np.float32]]
    deviation: NDArray[np.float64]


@dataclass(frozen=True)
class GapProblem:
    """An open scene with all that filling its gaps needs.

    ``low``, ``high``: the lowest and highest observed value of each band, ``(band,)``, in the data's units.
    ``coarse_surface``: the harmonic surface at a sixteenth of the resolution, standardised.
    """

    scene: Scene
    gaps: GapMask
    standardization: Standardization
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    coarse_surface: Cube
    guide: Guide | None = None
    correction: Correction | None = None

    def observe(self, window: Window | None = None) -> Observation:
        """The observation in a window, or in the whole scene."""
        observed, target = self.gaps.window(window)
        guide = None if self.guide is None else self.guide.read(window)
        values = self.standardization.apply(_corrected_pixels(self.scene, window, self.correction), observed)
        # Along an axis on which the window ends inside the scene, the other side of a large gap may be outside the
        # window. A quarter of the window's size makes sure that enough assumed pixels take its place.
        inner = [size for size, whole in zip(observed.shape[1:], self.scene.grid.shape) if size < whole]
        assumed = _deep_pixels(observed, target, min([MAX_DEPTH, *(size // 4 for size in inner)]))
        if assumed is None:
            return Observation(values, observed, target, guide)
        values = np.where(assumed, self._interpolate_coarse_surface(window, observed.shape), values)
        return Observation(values, observed | assumed, target, guide, assumed)

    def _interpolate_coarse_surface(self, window: Window | None, shape: tuple[int, ...]) -> Cube:
        """The coarse surface at the pixels of a window, bilinear, ``(band, row, column)``."""
        top, left = (0, 0) if window is None else (int(window.row_off), int(window.col_off))
        rows = (np.arange(top, top + shape[1]) + 0.5) / COARSE_FACTOR - 0.5
        columns = (np.arange(left, left + shape[2]) + 0.5) / COARSE_FACTOR - 0.5
        grid = np.meshgrid(rows, columns, indexing="ij")
        return np.stack([ndimage.map_coordinates(band, grid, order=1, mode="nearest") for band in self.coarse_surface])


def measured_part(scene: Scene, gaps: GapMask) -> tuple[Scene, GapMask]:
    """Scene and gap mask of the bands that hold no classes."""
    if not scene.categorical:
        return scene, gaps
    numbers = [number for number in range(scene.count) if number not in scene.categorical]
    return BandsView(scene, numbers), gaps.of_bands(numbers)


def build_problem(
    scene: Scene,
    gaps: GapMask,
    guide: Guide | None = None,
    correction: Correction | None = None,
    *,
    common_scale: bool = False,
) -> GapProblem:
    """Measure mean, standard deviation and range of the observed pixels of each band.

    Bands without observed pixels get 0, 1, 0 and 0. ``common_scale``: all bands share one mean and deviation, which
    keeps the ratios of their levels.
    """
    count, total, squares, shift = (np.zeros(scene.count) for _ in range(4))
    low, high = np.full(scene.count, np.inf), np.full(scene.count, -np.inf)
    coarse = _CoarseMeans(scene.shape)
    for window in scene.blocks():
        observed, _ = gaps.window(window)
        pixels = _corrected_pixels(scene, window, correction).astype(np.float64)
        window_count = observed.sum(axis=(1, 2))
        values = np.where(observed, pixels, 0.0)
        # Sums are taken about the first window's mean, because values far from 0 would cancel.
        shift = np.where(count > 0, shift, values.sum(axis=(1, 2)) / np.maximum(window_count, 1))
        coarse.add(int(window.row_off), values, observed)
        centred = np.where(observed, values - shift[:, None, None], 0.0)
        count += window_count
        total += centred.sum(axis=(1, 2))
        squares += np.square(centred).sum(axis=(1, 2))
        low = np.minimum(low, np.where(observed, pixels, np.inf).min(axis=(1, 2)))
        high = np.maximum(high, np.where(observed, pixels, -np.inf).max(axis=(1, 2)))
    divisor = np.maximum(count, 1.0)
    variance = np.maximum(squares / divisor - np.square(total / divisor), 0.0)
    mean = np.where(count > 0, total / divisor + shift, 0.0)
    if common_scale and count.any():
        share = count / count.sum()
        common_mean = float(share @ mean)
        variance = np.full(scene.count, float(share @ (variance + np.square(mean - common_mean))))
        mean = np.full(scene.count, common_mean)
    standardization = Standardization(mean, np.where(variance > 0, np.sqrt(variance), 1.0))
    low, high = np.where(count > 0, low, 0.0), np.where(count > 0, high, 0.0)
    require_computable(scene.paths[0], range(scene.count), low, high)
    return GapProblem(scene, gaps, standardization, low, high, coarse.surface(standardization), guide, correction)


def _corrected_pixels(scene: Scene, window: Window | None, correction: Correction | None) -> NDArray:
    pixels = scene.read(window)
    return pixels if correction is None else pixels - correction.offsets(window)


class _CoarseMeans:
    """Means of the observed pixels in blocks of 16 x 16 pixels."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        bands, rows, columns = shape
        size = (bands, -(-rows // COARSE_FACTOR), -(-columns // COARSE_FACTOR))
        self._sums, self._counts = np.zeros(size), np.zeros(size)

    def add(self, top: int, values: NDArray[np.float64], observed: Mask) -> None:
        """Add full-width rows that start at row ``top``; 0 where not observed."""
        first, above = divmod(top, COARSE_FACTOR)
        for target, array in ((self._sums, values), (self._counts, observed)):
            sums = block_sums(np.pad(array, ((0, 0), (above, 0), (0, 0))) if above else array, COARSE_FACTOR)
            target[:, first : first + sums.shape[1]] += sums

    def surface(self, standardization: Standardization) -> Cube:
        """Block means, standardised; blocks without observed pixels get the harmonic surface."""
        observed = self._counts > 0
        means = standardization.apply(self._sums / np.maximum(self._counts, 1.0), observed)
        return harmonic(Observation(means, observed, ~observed))


def _deep_pixels(observed: Mask, target: Mask, max_depth: int) -> Mask | None:
    """Target pixels farther than ``max_depth`` from every observed pixel of their band; None if there are none."""
    if not target.any():
        return None
    distance = per_mask(observed, distance_to)
    empty_band = ~np.any(observed, axis=(1, 2), keepdims=True)
    deep = target & ((distance > max_depth) | empty_band)
    return deep if deep.any() else None
