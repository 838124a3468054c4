"""What is known of a noisy scene before it is denoised: which bands and pixels, their range, and a sample.

A *bad band* is flagged so by the data's producer (``bbl``), or holds no or one single value; it passes through. The
*sample* is what noise and subspace are learned from, once for the whole scene: the scene itself where it is small,
else windows spread over it, one above the other with an unobserved row between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..errors import NothingObserved
from ..runtime.context import Context
from . import metadata
from .scene import Scene

_WINDOW = 128
_MOST_WINDOWS = 16
_WHOLE = 512 * 512  # pixels up to which a scene is its own sample
_FEWEST_SHARE = 0.5  # of the scene's pixels that a band must see to be denoised with the others


@dataclass(frozen=True)
class SelectedScene:
    """An open scene, the numbers of the bands to denoise, and their lowest and highest observed value ``(band,)``.

    ``skipped``: why each other band passes through, by number. ``pixels``: how many any of the bands sees.
    """

    scene: Scene
    bands: tuple[int, ...]
    skipped: dict[int, str]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    pixels: int

    def read(self, window: Window) -> tuple[NDArray, Mask]:
        """Pixels of the bands to denoise as float32, 0 where not observed, and observed pixels."""
        pixels, observed = _read(self.scene, window, self.bands)
        return np.where(observed, pixels, 0).astype(np.float32), observed

    def sample(self) -> tuple[NDArray, Mask]:
        """The sample's pixels and observed pixels, ``(band, row, column)``."""
        rows, columns = self.scene.grid.shape
        if rows * columns <= _WHOLE:
            return self.read(Window(0, 0, columns, rows))
        tall, wide = min(_WINDOW, rows), min(_WINDOW, columns)
        side = int(np.sqrt(_MOST_WINDOWS))
        down = min(_MOST_WINDOWS if columns < 2 * wide else side, rows // tall)
        right = min(_MOST_WINDOWS // down, columns // wide)
        tops = np.unique(np.linspace(0, rows - tall, 2 * down + 1).astype(int)[1::2])
        lefts = np.unique(np.linspace(0, columns - wide, 2 * right + 1).astype(int)[1::2])
        parts = [self.read(Window(int(left), int(top), wide, tall)) for top in tops for left in lefts]
        parts.sort(key=lambda part: -int(np.count_nonzero(part[1])))  # the fullest first: trials take those
        gap = np.zeros((len(self.bands), 1, wide), np.float32)
        values = [array for pixels, _ in parts for array in (pixels, gap)]
        observed = [array for _, seen in parts for array in (seen, gap > 0)]
        return np.concatenate(values, axis=1), np.concatenate(observed, axis=1)


def select_bands(scene: Scene, context: Context) -> SelectedScene:
    """Choose the bands and measure their range. Raises NothingObserved where no band can be denoised."""
    known = metadata.read_spectral_info(scene)
    skipped = {number: "flagged bad" for number, item in enumerate(known) if item.good is False}
    bands = tuple(number for number in range(scene.count) if number not in skipped)
    low, high, count = np.full(len(bands), np.inf), np.full(len(bands), -np.inf), np.zeros(len(bands), np.int64)
    pixels = 0
    for window in scene.blocks():
        values, observed = _read(scene, window, bands)
        low = np.minimum(low, np.where(observed, values, np.inf).min(axis=(1, 2), initial=np.inf))
        high = np.maximum(high, np.where(observed, values, -np.inf).max(axis=(1, 2), initial=-np.inf))
        count += observed.sum(axis=(1, 2))
        pixels += int(np.count_nonzero(observed.any(axis=0)))
    for place, number in enumerate(bands):
        if not count[place]:
            skipped[number] = "no observed pixel"
        elif low[place] == high[place]:
            skipped[number] = "one single value"
        elif count[place] < _FEWEST_SHARE * pixels:
            skipped[number] = "mostly not observed"
    kept = [place for place, number in enumerate(bands) if number not in skipped]
    if not kept:
        raise NothingObserved(path=scene.paths[0], reason="every band is flagged bad, empty or constant")
    for why in sorted(set(skipped.values())):
        names = [scene.names[number] for number in sorted(skipped) if skipped[number] == why]
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        context.info(f"Passed through unchanged ({why}): {shown}.")
    return SelectedScene(scene, tuple(bands[place] for place in kept), skipped, low[kept], high[kept], pixels)


def _read(scene: Scene, window: Window, bands: tuple[int, ...]) -> tuple[NDArray, Mask]:
    pixels, observed = scene.read(window, bands), scene.valid(window, bands)
    if scene.zero_is_fill():
        observed = observed & (pixels != 0).any(axis=0)
    return pixels, observed
