"""The *survey*: what is known of a scene before it is restored: gaps, statistics, and a guide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .gaps import FILL_VALUE, Gaps
from .guide import Guide
from .observation import Observation, Standard
from .scene import Scene


@dataclass(frozen=True)
class Survey:
    """An open scene with its gaps, the statistics of its observed pixels, and the guide if there is one.

    ``low``, ``high``: the lowest and highest observed value of each band, in the data's units, ``(band,)``.
    """

    scene: Scene
    gaps: Gaps
    standard: Standard
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    guide: Guide | None = None

    @property
    def forbidden(self) -> float | None:
        """The value that a filled pixel must not take: it would read as missing."""
        return 0.0 if self.gaps.origin == FILL_VALUE else self.scene.nodata

    def correction(self, window: Window | None = None) -> NDArray[np.float32] | None:
        """What is to be subtracted from the stored pixels, ``(band, row, column)``; None for nothing."""
        return None

    def observe(self, window: Window | None = None) -> Observation:
        """The observation in a window, or in the whole scene."""
        observed, target = self.gaps.window(window)
        guide = None if self.guide is None else self.guide.read(window)
        return Observation(self.standard.apply(self.scene.read(window), observed), observed, target, guide)


def survey(scene: Scene, gaps: Gaps, guide: Guide | None = None) -> Survey:
    """Measure mean, deviation and range of every band's observed pixels; unobserved bands get 0, 1, 0, 0."""
    count, total, squares, shift = (np.zeros(scene.count) for _ in range(4))
    low, high = np.full(scene.count, np.inf), np.full(scene.count, -np.inf)
    for window in scene.blocks():
        observed, _ = gaps.window(window)
        pixels = scene.read(window).astype(np.float64)
        here = observed.sum(axis=(1, 2))
        # Sums are taken about the first mean that is met: no cancellation where values are far from 0.
        first = np.where(observed, pixels, 0.0).sum(axis=(1, 2)) / np.maximum(here, 1)
        shift = np.where(count > 0, shift, first)
        moved = np.where(observed, pixels - shift[:, None, None], 0.0)
        count += here
        total += moved.sum(axis=(1, 2))
        squares += np.square(moved).sum(axis=(1, 2))
        low = np.minimum(low, np.where(observed, pixels, np.inf).min(axis=(1, 2)))
        high = np.maximum(high, np.where(observed, pixels, -np.inf).max(axis=(1, 2)))
    number = np.maximum(count, 1.0)
    variance = np.maximum(squares / number - np.square(total / number), 0.0)
    standard = Standard(
        np.where(count > 0, total / number + shift, 0.0), np.where(variance > 0, np.sqrt(variance), 1.0)
    )
    return Survey(scene, gaps, standard, np.where(count > 0, low, 0.0), np.where(count > 0, high, 0.0), guide)
