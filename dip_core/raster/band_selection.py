"""Selection of the bands to restore, their value ranges, and a sample of the scene for estimating statistics.

A *bad band* is flagged in the metadata (``bbl``), constant, empty or mostly empty, or holds classes; it is copied
unchanged. The *sample* is the whole scene if it is small; otherwise windows spread over it, stacked from top to bottom
with an unobserved row between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..errors import InvalidJob, NothingObserved, NoUsableBand
from ..runtime.context import Context
from . import metadata
from .magnitude import require_computable
from .scene import Scene, join_names

_WINDOW = 128
_MAX_WINDOWS = 16
_MAX_WHOLE_PIXELS = 512 * 512  # up to this size the sample is the whole scene
_MIN_OBSERVED_SHARE = 0.5  # of the scene's observed pixels, in a band that is restored with the others
_EMPTY = "no observed pixel"


@dataclass(frozen=True)
class SelectedScene:
    """An open scene and the bands of it that are restored.

    ``bands``: their numbers (from 0); ``low``, ``high`` ``(band,)``: their lowest and highest observed value.
    ``skipped``: the reason for each other band, by number. ``observed_pixels``: pixels that any of the bands observes.
    """

    scene: Scene
    bands: tuple[int, ...]
    skipped: dict[int, str]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    observed_pixels: int

    def read(self, window: Window) -> tuple[NDArray, Mask]:
        """Pixels of the selected bands as float32, 0 where not observed, and observed pixels."""
        pixels, observed = _read(self.scene, window, self.bands)
        return np.where(observed, pixels, 0).astype(np.float32), observed

    @property
    def sample_pixels(self) -> int:
        """The most pixels that `sample` returns, rows times columns."""
        rows, columns = self.scene.grid.shape
        return min(rows * columns, max(_MAX_WHOLE_PIXELS, _MAX_WINDOWS * (_WINDOW + 1) * _WINDOW))

    def subset(self, places: Sequence[int]) -> SelectedScene:
        """The bands at these places of ``bands`` only."""
        bands = tuple(self.bands[place] for place in places)
        return replace(self, bands=bands, low=self.low[list(places)], high=self.high[list(places)])

    def sample(self) -> tuple[NDArray, Mask]:
        """The sample's pixels and observed pixels, ``(band, row, column)``."""
        rows, columns = self.scene.grid.shape
        if rows * columns <= _MAX_WHOLE_PIXELS:
            return self.read(Window(0, 0, columns, rows))
        height, width = min(_WINDOW, rows), min(_WINDOW, columns)
        side = int(np.sqrt(_MAX_WINDOWS))
        down = min(_MAX_WINDOWS if columns < 2 * width else side, rows // height)
        across = min(_MAX_WINDOWS // down, columns // width)
        tops = np.unique(np.linspace(0, rows - height, 2 * down + 1).astype(int)[1::2])
        lefts = np.unique(np.linspace(0, columns - width, 2 * across + 1).astype(int)[1::2])
        parts = [self.read(Window(int(left), int(top), width, height)) for top in tops for left in lefts]
        # Windows with the most observed pixels first: validation uses the first ones.
        parts.sort(key=lambda part: -int(np.count_nonzero(part[1])))
        separator = np.zeros((len(self.bands), 1, width), np.float32)
        values = [array for pixels, _ in parts for array in (pixels, separator)]
        observed = [array for _, mask in parts for array in (mask, separator > 0)]
        return np.concatenate(values, axis=1), np.concatenate(observed, axis=1)


def select_bands(scene: Scene, context: Context) -> SelectedScene:
    """Select the bands to restore and measure their ranges; reports the other bands to ``context``.

    Raises NothingObserved or NoUsableBand if no band is left, InvalidJob if all bands hold classes, ValuesOutOfRange.
    """
    skipped = {number: "flagged bad" for number, info in enumerate(metadata.read_spectral_info(scene)) if info.is_bad}
    skipped |= dict.fromkeys(scene.categorical, "classes")
    bands = tuple(number for number in range(scene.count) if number not in skipped)
    low, high, count = np.full(len(bands), np.inf), np.full(len(bands), -np.inf), np.zeros(len(bands), np.int64)
    observed_pixels = 0
    for window in scene.blocks():
        values, observed = _read(scene, window, bands)
        low = np.minimum(low, np.where(observed, values, np.inf).min(axis=(1, 2), initial=np.inf))
        high = np.maximum(high, np.where(observed, values, -np.inf).max(axis=(1, 2), initial=-np.inf))
        count += observed.sum(axis=(1, 2))
        observed_pixels += int(np.count_nonzero(observed.any(axis=0)))
    for place, number in enumerate(bands):
        if not count[place]:
            skipped[number] = _EMPTY
        elif low[place] == high[place]:
            skipped[number] = "one single value"
        elif count[place] < _MIN_OBSERVED_SHARE * observed_pixels:
            skipped[number] = "mostly not observed"
    kept = [place for place, number in enumerate(bands) if number not in skipped]
    if len(scene.categorical) == scene.count:
        raise InvalidJob(
            reason=f"All bands of '{scene.paths[0]}' hold classes, which must not be averaged, so there is nothing to "
            "restore. If they are measurements, remove their colour table or class names, or rename them; to change "
            "the pixel size of classes, warp them with nearest neighbour."
        )
    if not kept:
        if set(skipped.values()) == {_EMPTY}:
            raise NothingObserved(path=scene.paths[0], reason="every pixel is missing")
        raise NoUsableBand(path=scene.paths[0])
    _report_skipped(scene, skipped, context)
    selected = tuple(bands[place] for place in kept)
    require_computable(scene.paths[0], selected, low[kept], high[kept])
    return SelectedScene(scene, selected, skipped, low[kept], high[kept], observed_pixels)


def _report_skipped(scene: Scene, skipped: dict[int, str], context: Context) -> None:
    for reason in sorted(set(skipped.values())):
        names = [scene.names[number] for number in sorted(skipped) if skipped[number] == reason]
        context.info(f"Bands copied unchanged ({reason}): {join_names(names)}.")


def _read(scene: Scene, window: Window, bands: tuple[int, ...]) -> tuple[NDArray, Mask]:
    return scene.read(window, bands), scene.valid(window, bands)
