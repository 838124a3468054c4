"""Lines of an image: columns, rows and tilted lines, as arrays with one line per row, and their medians.

The *slope* of a direction is the number of columns that a line moves per row (for rows: rows per column), so that
stripes that a rectification has rotated are lines too. A *view* of an image is ``(line, position)``, NaN where the line
is outside the image or the pixel is missing. A *profile* has one number per line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]
Profile = NDArray[np.float64]
LineMask = NDArray[np.bool_]  # True for some lines

MAX_WIDTH = 24  # lines; wider runs of lines are not stripes
MIN_PIXELS = 16  # of a line, to examine it
_TILTED_LINES_PER_PIXEL = 3


@dataclass(frozen=True)
class Direction:
    """Lines along the ``columns`` or ``rows`` of an image of ``shape`` (rows, columns), tilted by ``slope``.

    A rectification takes each pixel from the nearest line of the sensor, which may lie anywhere between pixels. Tilted
    lines are therefore a third of a pixel wide, and a stripe consists of three or more of them.
    """

    orientation: str
    slope: float
    shape: tuple[int, int]

    @property
    def tilted(self) -> bool:
        """True if a line moves by half a pixel or more over the image."""
        return abs(self.slope) * self.length >= 0.5

    @property
    def name(self) -> str:
        """The name in reports."""
        return f"tilted {self.orientation}" if self.tilted else self.orientation

    @property
    def lines_per_pixel(self) -> int:
        """Number of lines per pixel across the lines."""
        return _TILTED_LINES_PER_PIXEL if self.tilted else 1

    @property
    def length(self) -> int:
        """The largest number of pixels of a line."""
        return self.shape[0] if self.orientation == "columns" else self.shape[1]

    @property
    def count(self) -> int:
        """Number of lines."""
        across = self.shape[1] if self.orientation == "columns" else self.shape[0]
        return int(self._first.max()) + 1 + (across - 1) * self.lines_per_pixel

    def view(self, image: Plane) -> Plane:
        """The lines of a float image ``(row, column)``."""
        if not self.tilted:
            return np.ascontiguousarray(image.T if self.orientation == "columns" else image)
        out = np.full((self.count, self.length), np.nan, image.dtype)
        out[self.line_numbers(), self.positions()] = image
        return out

    def line_numbers(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.intp]:
        """The line of each pixel of a window, ``(row, column)``."""
        along, across = (rows, columns) if self.orientation == "columns" else (columns, rows)
        width = self.shape[1] if self.orientation == "columns" else self.shape[0]
        numbers = self._first[along][:, None] + self.lines_per_pixel * np.arange(width)[across]
        return numbers if self.orientation == "columns" else numbers.T

    def positions(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.intp]:
        """The position along its line of each pixel of a window; broadcasts to ``(row, column)``."""
        position = np.arange(self.length)
        return position[rows][:, None] if self.orientation == "columns" else position[columns][None, :]

    @property
    def _first(self) -> NDArray[np.intp]:
        """The line of the first pixel across, per position."""
        if not self.tilted:
            return np.zeros(self.length, np.intp)
        shifts = np.floor(-self.slope * self.lines_per_pixel * np.arange(self.length)).astype(np.intp)
        return shifts - shifts.min()


def line_medians(view: Plane, min_pixels: int) -> tuple[Profile, NDArray[np.intp]]:
    """The median and the number of pixels of each line; the median is NaN with fewer than ``min_pixels``."""
    number = np.isfinite(view).sum(axis=1)
    ordered = np.sort(view, axis=1)  # NaN comes last
    line = np.arange(len(view))
    last = np.maximum(number - 1, 0)
    middle = (ordered[line, last // 2].astype(np.float64) + ordered[line, (last + 1) // 2]) / 2
    return np.where(number >= max(min_pixels, 1), middle, np.nan), number


def line_spreads(view: Plane, centre: Profile) -> Profile:
    """The robust standard deviation (1.4826 MAD) along each line about its ``centre``."""
    return 1.4826 * line_medians(np.abs(view - centre[:, None]), 1)[0]


def line_rms(view: Plane, min_pixels: int) -> Profile:
    """The root mean square along each line; NaN for lines with fewer than ``min_pixels`` pixels."""
    finite = np.isfinite(view)
    number = finite.sum(axis=1)
    total = np.square(np.where(finite, view, 0.0), dtype=np.float64).sum(axis=1)
    return np.where(number >= min_pixels, np.sqrt(total / np.maximum(number, 1)), np.nan)


def running_median(profile: Profile, window: int) -> Profile:
    """The median of the finite values in a window of lines; NaN without any. Windows are cut at the ends."""
    half = window // 2
    padded = np.pad(profile, half, constant_values=np.nan)
    around = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    return line_medians(around, 1)[0]


def robust_spread(values: Profile) -> float:
    """The robust standard deviation (1.4826 MAD) of the finite values; 0 without any."""
    finite = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(finite - np.median(finite)))) if finite.size else 0.0


def runs(marked: LineMask) -> Iterator[tuple[int, int]]:
    """The first line and the line after the last of each run of marked lines."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist())
