"""The *survey*: what is known of a scene before it is restored: gaps, statistics, and a guide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from ..arrays import Cube, Mask
from ..imaging.observation import Observation, Standardization, distance_to, per_mask
from ..raster.guide import Guide
from ..raster.scene import Scene
from .experts.laplace import harmonic
from .gap_mask import FILL_VALUE, Gaps

BACKDROP_FACTOR = 16
# Deeper in a gap than this, in pixels, the near surroundings that a tile holds say no more than the backdrop.
DEEP = 96


@dataclass(frozen=True)
class Correction:
    """What is to be subtracted from the stored pixels of a window ``(band, row, column)``, 0 for nothing.

    ``deviation``: one standard deviation of the correction of each band, in the data's units, ``(band,)``.
    """

    of: Callable[[Window | None], NDArray[np.float32]]
    deviation: NDArray[np.float64]


@dataclass(frozen=True)
class Survey:
    """An open scene with its gaps, the statistics of its observed pixels, and the guide if there is one.

    ``low``, ``high``: the lowest and highest observed value of each band, in the data's units, ``(band,)``.
    ``backdrop``: the harmonic surface on a grid 16 times as coarse, standardised.
    """

    scene: Scene
    gaps: Gaps
    standard: Standardization
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    backdrop: Cube
    guide: Guide | None = None
    correction: Correction | None = None

    @property
    def forbidden(self) -> float | None:
        """The value that a filled pixel must not take: it would read as missing."""
        return 0.0 if self.gaps.origin == FILL_VALUE else self.scene.nodata

    def observe(self, window: Window | None = None) -> Observation:
        """The observation in a window, or in the whole scene."""
        observed, target = self.gaps.window(window)
        guide = None if self.guide is None else self.guide.read(window)
        values = self.standard.apply(_corrected(self.scene, window, self.correction), observed)
        # Where the window ends within the scene, its far rim may be out of sight: it must be so large that what is
        # assumed stands in its place.
        ends = [size for size, whole in zip(observed.shape[1:], self.scene.grid.shape) if size < whole]
        assumed = _deep(observed, target, min([DEEP, *(size // 4 for size in ends)]))
        if assumed is None:
            return Observation(values, observed, target, guide)
        values = np.where(assumed, self._behind(window, observed.shape), values)
        return Observation(values, observed | assumed, target, guide, assumed)

    def _behind(self, window: Window | None, shape: tuple[int, ...]) -> Cube:
        """The backdrop at a window's pixels, bilinear, ``(band, row, column)``."""
        top, left = (0, 0) if window is None else (int(window.row_off), int(window.col_off))
        rows = (np.arange(top, top + shape[1]) + 0.5) / BACKDROP_FACTOR - 0.5
        columns = (np.arange(left, left + shape[2]) + 0.5) / BACKDROP_FACTOR - 0.5
        grid = np.meshgrid(rows, columns, indexing="ij")
        return np.stack([ndimage.map_coordinates(band, grid, order=1, mode="nearest") for band in self.backdrop])


def survey(
    scene: Scene,
    gaps: Gaps,
    guide: Guide | None = None,
    correction: Correction | None = None,
    *,
    one_scale: bool = False,
) -> Survey:
    """Measure mean, deviation and range of every band's observed pixels; unobserved bands get 0, 1, 0, 0.

    ``one_scale``: all bands share one mean and deviation, so that their levels keep their proportions, as the
    DHP paper's scaling by the minimum and maximum of the whole cube wants it.
    """
    count, total, squares, shift = (np.zeros(scene.count) for _ in range(4))
    low, high = np.full(scene.count, np.inf), np.full(scene.count, -np.inf)
    coarse = _Coarse(scene.shape)
    for window in scene.blocks():
        observed, _ = gaps.window(window)
        pixels = _corrected(scene, window, correction).astype(np.float64)
        here = observed.sum(axis=(1, 2))
        known = np.where(observed, pixels, 0.0)
        # Sums are taken about the first mean that is met: no cancellation where values are far from 0.
        shift = np.where(count > 0, shift, known.sum(axis=(1, 2)) / np.maximum(here, 1))
        coarse.add(int(window.row_off), known, observed)
        moved = np.where(observed, known - shift[:, None, None], 0.0)
        count += here
        total += moved.sum(axis=(1, 2))
        squares += np.square(moved).sum(axis=(1, 2))
        low = np.minimum(low, np.where(observed, pixels, np.inf).min(axis=(1, 2)))
        high = np.maximum(high, np.where(observed, pixels, -np.inf).max(axis=(1, 2)))
    number = np.maximum(count, 1.0)
    variance = np.maximum(squares / number - np.square(total / number), 0.0)
    mean = np.where(count > 0, total / number + shift, 0.0)
    if one_scale and count.any():
        share = count / count.sum()
        middle = float(share @ mean)
        variance = np.full(scene.count, float(share @ (variance + np.square(mean - middle))))
        mean = np.full(scene.count, middle)
    standard = Standardization(mean, np.where(variance > 0, np.sqrt(variance), 1.0))
    low, high = np.where(count > 0, low, 0.0), np.where(count > 0, high, 0.0)
    return Survey(scene, gaps, standard, low, high, coarse.surface(standard), guide, correction)


def _corrected(scene: Scene, window: Window | None, correction: Correction | None) -> NDArray:
    pixels = scene.read(window)
    return pixels if correction is None else pixels - correction.of(window)


class _Coarse:
    """Block sums of observed pixels, from which the backdrop is made."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        bands, rows, columns = shape
        size = (bands, -(-rows // BACKDROP_FACTOR), -(-columns // BACKDROP_FACTOR))
        self._sums, self._counts = np.zeros(size), np.zeros(size)

    def add(self, top: int, pixels: NDArray[np.float64], observed: Mask) -> None:
        """Add full-width rows from row ``top`` on, a multiple of the factor."""
        rows, columns = pixels.shape[1:]
        pad = ((0, 0), (0, -rows % BACKDROP_FACTOR), (0, -columns % BACKDROP_FACTOR))
        first = top // BACKDROP_FACTOR
        for target, values in ((self._sums, pixels), (self._counts, observed.astype(np.float64))):
            padded = np.pad(values, pad)
            bands, height, width = padded.shape
            blocks = padded.reshape(
                bands, height // BACKDROP_FACTOR, BACKDROP_FACTOR, width // BACKDROP_FACTOR, BACKDROP_FACTOR
            )
            target[:, first : first + height // BACKDROP_FACTOR] += blocks.sum(axis=(2, 4))

    def surface(self, standard: Standardization) -> Cube:
        """Block means, standardised; blocks without observed pixels get the harmonic surface."""
        known = self._counts > 0
        means = standard.apply(self._sums / np.maximum(self._counts, 1.0), known)
        return harmonic(Observation(means, known, ~known))


def _deep(observed: Mask, target: Mask, reach: int) -> Mask | None:
    """Target pixels farther than ``reach`` from every observed pixel of their band; None where there are none."""
    if not target.any():
        return None
    distance = per_mask(observed, distance_to)
    unseen = ~np.any(observed, axis=(1, 2), keepdims=True)  # the window holds nothing of the band
    deep = target & ((distance > reach) | unseen)
    return deep if deep.any() else None
