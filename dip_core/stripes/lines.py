"""Lines across an image: columns, rows, and tilted ones, as arrays in which a line is a row.

A *direction* says how the lines run. Its *slope* is how many columns a line moves for each row (for rows:
how many rows for each column), so that stripes which a rectification has turned are lines too. A *view*
of an image has a line in each row, ``(line, place along it)``, NaN where the line leaves the image or
nothing was observed; a *profile* is one number a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.floating]
Profile = NDArray[np.float64]

_BOX = 41  # pixels over which a level is taken: a stripe is narrower than half of it


@dataclass(frozen=True)
class Direction:
    """Lines along the columns or the rows of an image of ``shape`` (rows, columns), tilted by ``slope``.

    A rectification takes each pixel from the nearest of the lines that the sensor saw. These lie anywhere
    between pixels, so tilted lines are a third of a pixel wide (`finer` = 3), and a stripe is three or more.
    """

    orientation: str
    slope: float
    shape: tuple[int, int]

    @property
    def tilted(self) -> bool:
        """True where a line moves by half a pixel or more."""
        return abs(self.slope) * self.length >= 0.5

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"tilted {self.orientation}" if self.tilted else self.orientation

    @property
    def finer(self) -> int:
        """Lines in a pixel's width."""
        return 3 if self.tilted else 1

    @property
    def length(self) -> int:
        """The most pixels along a line."""
        return self.shape[0] if self.orientation == "columns" else self.shape[1]

    @property
    def count(self) -> int:
        """Number of lines."""
        across = self.shape[1] if self.orientation == "columns" else self.shape[0]
        return int(self._first.max()) + 1 + (across - 1) * self.finer

    def view(self, image: Plane) -> Plane:
        """The lines of a float image ``(row, column)``."""
        upright = image if self.orientation == "columns" else image.T
        if not self.tilted:
            return np.ascontiguousarray(upright.T)
        out = np.full((self.count, self.length), np.nan, image.dtype)
        out[self.line_of(), self.along()] = image
        return out

    def line_of(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.intp]:
        """The number of the line that each pixel ``(row, column)`` of a window lies on."""
        along, across = (rows, columns) if self.orientation == "columns" else (columns, rows)
        width = self.shape[1] if self.orientation == "columns" else self.shape[0]
        numbers = self._first[along][:, None] + self.finer * np.arange(width)[across]
        return numbers if self.orientation == "columns" else numbers.T

    def along(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.intp]:
        """How far along its line each pixel of a window lies, to be broadcast over ``(row, column)``."""
        place = np.arange(self.length)
        return place[rows][:, None] if self.orientation == "columns" else place[columns][None, :]

    @property
    def _first(self) -> NDArray[np.intp]:
        """The line of the first pixel at each place along: a line that moves right leaves pixels behind."""
        if not self.tilted:
            return np.zeros(self.length, np.intp)
        shifts = np.floor(-self.slope * self.finer * np.arange(self.length)).astype(np.intp)
        return shifts - shifts.min()


def medians(view: Plane, fewest: int) -> tuple[Profile, NDArray[np.intp]]:
    """The median of each line and its number of pixels; NaN for lines with less than ``fewest``."""
    number = np.isfinite(view).sum(axis=1)
    ordered = np.sort(view, axis=1)  # NaN comes last
    line = np.arange(len(view))
    last = np.maximum(number - 1, 0)
    middle = (ordered[line, last // 2].astype(np.float64) + ordered[line, (last + 1) // 2]) / 2
    return np.where(number >= max(fewest, 1), middle, np.nan), number


def spreads(view: Plane, centre: Profile) -> Profile:
    """The robust deviation (1.4826 MAD) along each line about its ``centre``."""
    return 1.4826 * medians(np.abs(view - centre[:, None]), 1)[0]


def running_median(profile: Profile, window: int) -> Profile:
    """The median of the finite values around each line; NaN where there are none. Windows shrink at the ends."""
    half = window // 2
    padded = np.pad(profile, half, constant_values=np.nan)
    around = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    return medians(around, 1)[0]


def deviation(profile: Profile) -> float:
    """The robust deviation (1.4826 MAD) of a profile's finite values; 0 where there are none."""
    finite = profile[np.isfinite(profile)]
    return float(1.4826 * np.median(np.abs(finite - np.median(finite)))) if finite.size else 0.0


@dataclass(frozen=True)
class Slant:
    """A direction that stands out in an image: ``evidence`` for it, and the most for upright lines."""

    orientation: str
    slope: float
    evidence: float
    upright: float


class SlopeSearch:
    """Finds the direction in which the line means of an image stand out most, for images with one mask.

    ``seen`` (row, column): pixels to use. Evidence is the sum, over lines, of what their squared score
    exceeds 16 by (four deviations). Images larger than ``most`` pixels are searched in their middle; `refined`
    looks at the whole.
    """

    def __init__(self, seen: NDArray[np.bool_], most: int = 256) -> None:
        self._seen = seen
        self._cut = tuple(slice(max(0, (size - most) // 2), max(0, (size - most) // 2) + most) for size in seen.shape)
        middle = seen[self._cut]
        self._weight = np.maximum(ndimage.uniform_filter(middle.astype(np.float64), _BOX, mode="constant"), 1e-3)
        self._numbers = [slant_sums(plane) for plane in _quadrants(middle.astype(np.float32))]

    def best(self, image: Plane, noise: float) -> Slant:
        """The direction for an image ``(row, column)`` whose pixels have the robust deviation ``noise``."""
        seen = self._seen[self._cut]
        # Clipping keeps a small bright object from looking like a line; the box mean takes out what is large.
        clipped = np.where(seen, np.clip(image[self._cut], -4 * noise, 4 * noise), 0.0)
        level = ndimage.uniform_filter(clipped, _BOX, mode="constant") / self._weight
        flat = np.where(seen, clipped - level, 0.0) / noise
        scores = []
        for number, upright in zip(self._numbers, _quadrants(flat)):
            enough = number >= max(16.0, 0.3 * upright.shape[0])
            scores.append(np.where(enough, slant_sums(upright) / np.sqrt(np.maximum(number, 1.0)), np.nan))
        # Residuals that hang together in space have larger line means in every direction: that is no stripe.
        typical = max(1.0, float(1.4826 * np.nanmedian(np.abs(np.concatenate([s.ravel() for s in scores])))))
        found = Slant("columns", 0.0, 0.0, 0.0)
        upright_evidence = 0.0
        for place, score in enumerate(scores):
            evidence = _evidence(score / typical)
            upright_evidence = max(upright_evidence, float(evidence[0]))
            step = int(np.argmax(evidence))
            if evidence[step] > found.evidence:
                slope = (1, -1)[place % 2] * step / max(len(evidence) - 1, 1)
                found = Slant(("columns", "rows")[place // 2], float(slope), float(evidence[step]), 0.0)
        return Slant(found.orientation, found.slope, found.evidence, upright_evidence)

    def refined(self, image: Plane, noise: float, found: Slant) -> float:
        """The slope near the one found that suits the whole image best, to a quarter of a pixel over its length."""
        shape = self._seen.shape
        length = shape[0] if found.orientation == "columns" else shape[1]
        reach = 1.0 / min(cut.stop - cut.start for cut in self._cut)
        clipped = np.clip(image[self._seen], -4 * noise, 4 * noise) / noise
        best, most = found.slope, -1.0
        for slope in found.slope + np.arange(-reach, reach, 0.25 / length):
            direction = Direction(found.orientation, float(slope), shape)
            line = direction.line_of()[self._seen]
            number = np.bincount(line)
            score = np.bincount(line, clipped) / np.sqrt(np.maximum(number, 1))
            score = np.where(number * direction.finer >= 0.3 * length, score, np.nan)
            level = running_median(score, _BOX * direction.finer)
            evidence = float(_evidence((score - level)[None])[0])
            if evidence > most:
                best, most = float(slope), evidence
        return best


def _quadrants(image: Plane) -> tuple[Plane, Plane, Plane, Plane]:
    """Lines near the columns that move right, and left; lines near the rows that move down, and up."""
    return image, image[:, ::-1], image.T, image.T[:, ::-1]


def _evidence(score: Plane) -> Profile:
    return np.nansum(np.maximum(score**2 - 16.0, 0.0), axis=1)


def slant_sums(image: Plane) -> Plane:
    """Sums along all lines that move right by 0 to 1 columns a row: the fast discrete Radon transform.

    ``(slope, line)`` from ``(row, column)``, with rows padded by zeros to a power of two ``n``: a line of
    slope number s moves by s columns over n rows, and starts at column ``line - (n - 1)``. Sums over halves
    are shared, so all slopes cost n log n additions a column (Goetz and Druckmueller 1996; Brady 1998).
    """
    rows, columns = image.shape
    n = 1 << max(0, int(rows - 1).bit_length())
    sums = np.zeros((n, 1, columns + 2 * (n - 1)), np.float32)
    sums[:rows, 0, n - 1 : n - 1 + columns] = image
    while len(sums) > 1:
        upper, lower = sums[0::2], sums[1::2]
        blocks, slopes, width = upper.shape
        merged = np.empty((blocks, 2 * slopes, width), np.float32)
        for slope in range(2 * slopes):
            shift = (slope + 1) // 2
            merged[:, slope] = upper[:, slope // 2]
            merged[:, slope, : width - shift] += lower[:, slope // 2, shift:]
        sums = merged
    return sums[0][:, : columns + n - 1]
