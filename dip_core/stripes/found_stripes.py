"""The result of a stripe detection: striped lines by band, their maps of pixels, and a table."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from .lines import Direction, LineMask, Profile

DEAD, OFFSET = 1, 2  # values of a stripe mask; 0 is clean, other values count as dead


@dataclass(frozen=True)
class StripedLines:
    """The striped lines of one band in one direction, from position ``start`` to ``stop`` along them.

    ``offset`` ``(line,)``: the value that the stripe added, 0 for other lines. ``dead`` ``(line,)``: True for dead
    lines. ``score``: the largest score of an offset, in standard deviations of the line medians; 0 without offsets.
    """

    band: int
    direction: Direction
    start: int
    stop: int
    offset: Profile
    dead: LineMask
    score: float

    def locate(
        self, rows: slice = slice(None), columns: slice = slice(None)
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The line of each pixel of a window ``(row, column)``, and True between ``start`` and ``stop``."""
        position = self.direction.positions(rows, columns)
        return self.direction.line_numbers(rows, columns), (position >= self.start) & (position < self.stop)

    def mark_dead(self, image: Mask, rows: slice = slice(None), columns: slice = slice(None)) -> None:
        """Set the pixels of dead lines in ``image``, a window ``(row, column)``, to True."""
        if self.direction.tilted:
            line, between = self.locate(rows, columns)
            image |= self.dead[line] & between
            return
        along, across = (rows, columns) if self.direction.orientation == "columns" else (columns, rows)
        position = np.arange(self.direction.length)[along]
        places = np.flatnonzero((position >= self.start) & (position < self.stop))
        lines = np.flatnonzero(self.dead[across])
        image[np.ix_(places, lines) if self.direction.orientation == "columns" else np.ix_(lines, places)] = True


@dataclass(frozen=True)
class BandStripes:
    """A table row: the striped lines of one band in one orientation (``columns``, ``rows``, ``tilted ...``).

    ``dead_lines`` and ``offset_lines`` count pixels across the lines; ``largest_offset`` is in the data's units.
    """

    band: int
    orientation: str
    slope: float
    dead_lines: int
    offset_lines: int
    largest_offset: float
    score: float


@dataclass(frozen=True)
class DenseStriping:
    """Offsets in most lines of a band.

    ``band`` (from 0); ``orientation``: columns or rows; ``strength``: the standard deviation of the offsets, in the
    data's units; ``noise``: that of the noise of a pixel.
    """

    band: int
    orientation: str
    strength: float
    noise: float


@dataclass(frozen=True)
class Stripes:
    """The stripes of a cube of ``shape`` (band, row, column).

    ``noise``: of each band, NaN if it was not examined. ``resampled``: bands (from 0) with lines that resampling
    repeated. ``dense``: bands in which most lines have an offset; only some of these are in ``lines``.
    """

    shape: tuple[int, int, int]
    lines: tuple[StripedLines, ...] = ()
    noise: tuple[float, ...] = field(default=())
    resampled: tuple[int, ...] = field(default=())
    dense: tuple[DenseStriping, ...] = field(default=())

    @property
    def bands(self) -> tuple[int, ...]:
        """The striped bands (from 0)."""
        return tuple(sorted({item.band for item in self.lines}))

    @property
    def dead(self) -> Mask:
        """True for the pixels of dead lines, ``(band, row, column)``."""
        return self.dead_map()

    def dead_map(self, rows: slice = slice(None), columns: slice = slice(None)) -> Mask:
        """True for the pixels of dead lines within a window, ``(band, row, column)``."""
        out = self._empty_window(rows, columns, bool)
        for item in self.lines:
            if item.dead.any():
                item.mark_dead(out[item.band], rows, columns)
        return out

    def offset_map(self, rows: slice = slice(None), columns: slice = slice(None)) -> Cube:
        """The offsets that stripes added to the pixels of a window, ``(band, row, column)``; 0 on dead lines."""
        out = self._empty_window(rows, columns, np.float32)
        for item in (item for item in self.lines if item.offset.any()):
            line, inside = item.locate(rows, columns)
            out[item.band] += (item.offset[line] * inside).astype(np.float32)
        out[self.dead_map(rows, columns)] = 0.0
        return out

    def tilted_map(self) -> Mask:
        """True for the pixels of tilted offset lines, and those next to them across, ``(band, row, column)``.

        The rectification resampled such lines, so that these pixels hold various fractions of the offset.
        """
        out = np.zeros(self.shape, bool)
        for item in self.lines:
            if item.direction.tilted:
                line, inside = item.locate()
                across = np.ones((3, 1) if item.direction.orientation == "rows" else (1, 3))
                out[item.band] |= ndimage.binary_dilation((item.offset[line] != 0) & inside, across)
        return out & ~self.dead

    def table(self) -> list[BandStripes]:
        """One row per striped band, orientation and slope, in this order."""
        found = []
        keys = sorted({(item.band, item.direction.name, item.direction.slope) for item in self.lines})
        for band, name, slope in keys:
            same = [i for i in self.lines if (i.band, i.direction.name, i.direction.slope) == (band, name, slope)]
            dead = np.any([item.dead for item in same], axis=0)
            offset = np.any([item.offset != 0 for item in same], axis=0) & ~dead
            largest = max((float(abs(value)) for item in same for value in item.offset[~dead]), default=0.0)
            score = max(item.score for item in same)
            per_pixel = same[0].direction.lines_per_pixel
            dead_count, offset_count = (-(-int(lines.sum()) // per_pixel) for lines in (dead, offset))
            found.append(BandStripes(band, name, slope, dead_count, offset_count, largest, score))
        return found

    def _empty_window(self, rows: slice, columns: slice, dtype: type) -> NDArray:
        height, width = (len(range(size)[cut]) for size, cut in zip(self.shape[1:], (rows, columns)))
        return np.zeros((self.shape[0], height, width), dtype)
