"""*Tiles*: windows that cover a raster with overlap, and how their results are blended without a seam.

In the overlap of two tiles the weight of one falls linearly while that of the other rises, so a step
between them is spread over the whole overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window


@dataclass(frozen=True)
class Tile:
    """A window, and the rows and columns of overlap with its neighbours (top, bottom, left, right)."""

    window: Window
    overlap: tuple[int, int, int, int]

    def weight(self) -> NDArray[np.float32]:
        """Blending weights ``(row, column)``, between 0 and 1; those of all tiles sum to 1 at each pixel."""
        top, bottom, left, right = self.overlap
        rows = _ramp(int(self.window.height), top, bottom)
        columns = _ramp(int(self.window.width), left, right)
        return rows[:, None] * columns[None]


def split(rows: int, columns: int, size: int, overlap: int) -> list[list[Tile]]:
    """Rows of tiles of at most ``size`` pixels (smaller rasters: one tile) that overlap by ``overlap`` pixels.

    ``overlap`` is less than half of ``size``.
    """
    spans_down, spans_right = _spans(rows, size, overlap), _spans(columns, size, overlap)
    return [
        [
            Tile(Window(left, top, right - left, bottom - top), (above, below, before, after))
            for left, right, before, after in spans_right
        ]
        for top, bottom, above, below in spans_down
    ]


def finished(rows: list[list[Tile]], number: int) -> int:
    """When the row of tiles ``number`` is done: the first row of pixels that later tiles still add to."""
    following = rows[min(number + 1, len(rows) - 1)][0].window
    return int(following.row_off + (following.height if number + 1 == len(rows) else 0))


class Mosaic:
    """Blends tiles of one row after the other; rows that no later tile touches are handed out.

    ``layers``: arrays ``(band, row, column)`` a tile, such as estimate and deviation.
    """

    def __init__(self, bands: int, columns: int, layers: int) -> None:
        self._shape = (layers, bands, columns)
        self._top = 0
        self._sums = np.zeros((layers, bands, 0, columns), np.float32)

    def add(self, tile: Tile, *layers: NDArray[np.float32]) -> None:
        """Blend in one tile's results."""
        window = tile.window
        bottom = int(window.row_off + window.height)
        missing = bottom - self._top - self._sums.shape[2]
        if missing > 0:
            count, bands, columns = self._shape
            self._sums = np.concatenate([self._sums, np.zeros((count, bands, missing, columns), np.float32)], axis=2)
        rows = slice(int(window.row_off) - self._top, bottom - self._top)
        columns_ = slice(int(window.col_off), int(window.col_off + window.width))
        weight = tile.weight()
        for number, layer in enumerate(layers):
            self._sums[number, :, rows, columns_] += layer * weight

    def take(self, until: int) -> Iterator[tuple[Window, NDArray[np.float32]]]:
        """The blended rows above row ``until``, ``(layer, band, row, column)`` with their window."""
        count = min(until - self._top, self._sums.shape[2])
        if count > 0:
            window = Window(0, self._top, self._shape[2], count)
            done = self._sums[:, :, :count].copy()
            self._sums = self._sums[:, :, count:].copy()
            self._top += count
            yield window, done


def blend(
    rows: list[list[Tile]], results: Iterable[Sequence[NDArray[np.float32]]], bands: int, columns: int
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Blend the results of tiles, in the order of the tiles; yields full-width windows from top to bottom.

    Each result holds two layers ``(band, row, column)``: the estimate and its standard deviation.
    """
    mosaic = Mosaic(bands, columns, 2)
    numbered = ((row, tile, tile is tiles[-1]) for row, tiles in enumerate(rows) for tile in tiles)
    for (row, tile, last_of_row), layers in zip(numbered, results):
        mosaic.add(tile, *layers)
        if last_of_row:
            yield from mosaic.take(finished(rows, row))


def _spans(length: int, size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Start, end and the overlaps before and after of each span along one axis."""
    if length <= size:
        return [(0, length, 0, 0)]
    count = int(np.ceil((length - overlap) / (size - overlap)))
    # As even as can be, but never so narrow that a tile's two overlaps would meet.
    stride = max(int(np.ceil((length - overlap) / count)), overlap)
    found = []
    for start in range(0, length - overlap, stride):
        end = min(start + stride + overlap, length)
        found.append((start, end, overlap if start else 0, overlap if end < length else 0))
    return found


def _ramp(length: int, before: int, after: int) -> NDArray[np.float32]:
    ramp = np.ones(length, np.float32)
    if before:
        ramp[:before] = (np.arange(before) + 0.5) / before
    if after:
        ramp[-after:] = ((np.arange(after) + 0.5) / after)[::-1]
    return ramp


def tile_seed(seed: int, row: int, column: int) -> int:
    """A seed for the tile in a row and column, the same wherever the tile runs."""
    return int(np.random.SeedSequence([seed, row, column]).generate_state(1)[0])
