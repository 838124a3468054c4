"""Stripes: lines of a band that carry an additive *offset*, and lines that are *dead*, whatever their direction.

A stripe is 1 to about 20 pixels wide, runs along the whole image or half of it, and belongs to one band. So
it is looked for in the band residual (what the other bands do not predict): the median along a line, less
the running median across lines, is the line's offset if it stands out from those of all lines, is a share
of the band's noise worth correcting, and has one sign in each quarter of the line. Leaks of one band's
stripes into the residuals of others are told from stripes by orthogonal matching pursuit, line by line.

Dead lines are constant, saturated, copied from a neighbour (see `dead_lines`), or *wild*: after its offset
is taken off, a wild line agrees less with the other bands than interpolation between its neighbours would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from ..errors import OutOfMemory
from ..runtime.progress import SILENT, ProgressReporter
from .search import Search, StripedLines

BYTES_PER_VALUE = 24.0  # that `find_stripes` keeps for each value of the cube, at least
MASK_BYTES_PER_VALUE = 6.0  # that the masks of a stripe job take


@dataclass(frozen=True)
class BandStripes:
    """A row of the table: the striped lines of one band in one orientation (``columns``, ``rows``, ``tilted ...``)."""

    band: int
    orientation: str
    slope: float
    dead_lines: int
    offset_lines: int
    largest_offset: float
    score: float


@dataclass(frozen=True)
class Stripes:
    """What was found in a cube of ``shape`` (band, row, column)."""

    shape: tuple[int, int, int]
    lines: tuple[StripedLines, ...] = ()
    noise: tuple[float, ...] = field(default=())

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
        out = self._window(rows, columns, bool)
        for item, numbers, inside in self._placed(rows, columns):
            out[item.band] |= item.dead[numbers] & inside
        return out

    def offset_map(self, rows: slice = slice(None), columns: slice = slice(None)) -> Cube:
        """What stripes added to the pixels of a window, ``(band, row, column)``: subtract it. 0 on dead lines."""
        out = self._window(rows, columns, np.float32)
        for item, numbers, inside in self._placed(rows, columns):
            out[item.band] += (item.offset[numbers] * inside).astype(np.float32)
        out[self.dead_map(rows, columns)] = 0.0
        return out

    def tilted_map(self) -> Mask:
        """True for pixels that tilted offset lines reach, and for those beside them, ``(band, row, column)``.

        Rectification resampled such lines: their pixels, and those beside them, hold various shares of the offset.
        """
        out = np.zeros(self.shape, bool)
        for item, numbers, inside in self._placed(slice(None), slice(None)):
            if item.direction.tilted:
                across = np.ones((3, 1) if item.direction.orientation == "rows" else (1, 3))
                out[item.band] |= ndimage.binary_dilation((item.offset[numbers] != 0) & inside, across)
        return out & ~self.dead

    def table(self) -> list[BandStripes]:
        """A row for each striped band and orientation, in order."""
        found = []
        keys = sorted({(item.band, item.direction.name, item.direction.slope) for item in self.lines})
        for band, name, slope in keys:
            # Tilted lines are thirds of a pixel wide; people count pixels.
            same = [i for i in self.lines if (i.band, i.direction.name, i.direction.slope) == (band, name, slope)]
            dead = np.any([item.dead for item in same], axis=0)
            offset = np.any([item.offset != 0 for item in same], axis=0) & ~dead
            largest = max((float(abs(value)) for item in same for value in item.offset[~dead]), default=0.0)
            score = max(item.score for item in same)
            finer = same[0].direction.finer
            found.append(
                BandStripes(
                    band, name, slope, -(-int(dead.sum()) // finer), -(-int(offset.sum()) // finer), largest, score
                )
            )
        return found

    def _window(self, rows: slice, columns: slice, dtype: type) -> NDArray:
        height, width = (len(range(size)[cut]) for size, cut in zip(self.shape[1:], (rows, columns)))
        return np.zeros((self.shape[0], height, width), dtype)

    def _placed(self, rows: slice, columns: slice) -> Iterator[tuple[StripedLines, NDArray[np.intp], Mask]]:
        for item in self.lines:
            along = item.direction.along(rows, columns)
            yield item, item.direction.line_of(rows, columns), (along >= item.start) & (along < item.stop)


def check_memory(shape: tuple[int, int, int], per_value: float = BYTES_PER_VALUE) -> None:
    """Raise OutOfMemory where ``per_value`` bytes for each pixel and band are more than the machine has.

    Stripes run through the whole scene, so that it is examined whole.
    """
    from ..runtime.memory import available_memory

    bands, rows, columns = shape
    wanted, there = per_value * bands * rows * columns, available_memory()
    if wanted > there:
        raise OutOfMemory(
            reason=f"stripes in {bands} bands of {columns} x {rows} pixels take about {wanted / 1e9:.0f} GB, and this "
            f"machine has {there / 1e9:.0f} GB",
            advice="Clip the raster into parts first.",
        )


def find_stripes(
    values: NDArray,
    observed: Mask | None = None,
    use: Sequence[bool] | None = None,
    progress: ProgressReporter = SILENT,
) -> Stripes:
    """Find the stripes and dead lines of a cube ``(band, row, column)``, in the data's units.

    ``observed``: False for pixels to leave out (any shape that broadcasts); those that are not finite are
    left out anyway. ``use``: False for bands to leave out. An offset is
    found from about one and a half deviations of the band's noise; tilted offsets need five bands or more.
    """
    search = Search(values, observed, use)
    lines = search.run(progress)
    return Stripes(values.shape, tuple(lines), tuple(search.noise_by_band().tolist()))
