"""Overlapping tiles that cover a raster, and the blending of their results without a seam.

In the overlap of two tiles, the weight of one falls linearly while the weight of the other rises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube
from .blocks import block_rows
from .memory import format_bands, require_memory

_BYTES_PER_VALUE = 4

TileResults = Iterator[tuple[Cube, Cube]]  # estimate and standard deviation of each tile
TileWork = Callable[..., tuple[Cube, Cube]]  # called with (recipe, task, progress)


@dataclass(frozen=True)
class Tile:
    """A window and its overlap in pixels with the neighbouring tiles (top, bottom, left, right)."""

    window: Window
    overlap: tuple[int, int, int, int]

    def weight(self) -> NDArray[np.float32]:
        """Blending weights ``(row, column)`` between 0 and 1; the weights of all tiles sum to 1 at each pixel."""
        top, bottom, left, right = self.overlap
        rows = _ramp(int(self.window.height), top, bottom)
        columns = _ramp(int(self.window.width), left, right)
        return rows[:, None] * columns[None]


def split_into_tiles(rows: int, columns: int, size: int, overlap: int) -> list[list[Tile]]:
    """Rows of tiles of at most ``size`` x ``size`` pixels that overlap by ``overlap`` pixels.

    A raster that is not larger than ``size`` is one tile. ``overlap`` must be less than half of ``size``.
    """
    spans_down, spans_right = _spans(rows, size, overlap), _spans(columns, size, overlap)
    return [
        [
            Tile(Window(left, top, right - left, bottom - top), (above, below, before, after))
            for left, right, before, after in spans_right
        ]
        for top, bottom, above, below in spans_down
    ]


def finished_rows(rows: list[list[Tile]], number: int) -> int:
    """Number of pixel rows that no later tile changes once the row of tiles ``number`` is done."""
    following = rows[min(number + 1, len(rows) - 1)][0].window
    return int(following.row_off + (following.height if number + 1 == len(rows) else 0))


class Mosaic:
    """Blends tiles row by row and releases the pixel rows that no later tile changes.

    ``layers``: number of arrays ``(band, row, column)`` per tile, such as estimate and standard deviation.
    """

    def __init__(self, bands: int, columns: int, layers: int) -> None:
        self._shape = (layers, bands, columns)
        self._top = 0
        self._sums = np.zeros((layers, bands, 0, columns), np.float32)

    def add(self, tile: Tile, *layers: NDArray[np.float32]) -> None:
        """Add the results of one tile."""
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
        """Release the blended rows above row ``until`` in blocks: their window and ``(layer, band, row, column)``."""
        count = min(until - self._top, self._sums.shape[2])
        if count <= 0:
            return
        step = block_rows(*self._shape[1:])
        for first in range(0, count, step):
            last = min(first + step, count)
            window = Window(0, self._top + first, self._shape[2], last - first)
            yield window, self._sums[:, :, first:last].copy()
        self._sums = self._sums[:, :, count:].copy()
        self._top += count


def require_mosaic_memory(rows: list[list[Tile]], bands: int, columns: int, min_size: int, factor: int = 1) -> None:
    """Raise OutOfMemory if one row of tiles with estimate and deviation exceeds the available memory.

    ``rows``, ``columns``: tiles and width of the input. ``min_size``: of tiles; if they are that small, TILE_SIZE does
    not help. ``factor``: pixels of the output in a pixel of the input, along one axis.
    """
    height = max(int(tile.window.height) for row in rows for tile in row)
    clip = "clip the raster into parts"
    require_memory(
        2.0 * _BYTES_PER_VALUE * bands * columns * height * factor**2,
        f"the result of a row of tiles, {format_bands(bands)} of {columns * factor} x {height * factor} pixels,",
        f"Set a smaller TILE_SIZE, or {clip}." if height > min_size else f"{clip.capitalize()}, or give fewer bands.",
    )


def blend_tiles(
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
            yield from mosaic.take(finished_rows(rows, row))


def _spans(length: int, size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Start, end, overlap before and overlap after of each span along one axis."""
    if length <= size:
        return [(0, length, 0, 0)]
    count = int(np.ceil((length - overlap) / (size - overlap)))
    # Tiles of equal size, but never so narrow that the two overlaps of a tile meet.
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
    """The seed of the tile in a row and column of tiles; independent of where the tile runs."""
    return int(np.random.SeedSequence([seed, row, column]).generate_state(1)[0])
