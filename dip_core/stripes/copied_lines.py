"""Copied lines: lines that repeat a neighbour, or are the mean of their neighbours.

Resampling makes such lines too. This module compares the lines of one view; `resampling` tells the two causes apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from .lines import MAX_WIDTH, LineMask, Plane, Profile, line_medians, line_rms, runs

_MIN_LINES = 5
_MAX_COPY_DIFFERENCE = 0.1  # of the typical difference between lines
_MAX_COPIED_SHARE = 0.15  # of the lines; if more look copied, the raster has been enlarged
_MAX_EQUAL_SHARE = 0.4  # of the lines; with more, the typical difference is that of the other lines
_MIN_VARIATION = 2.0  # of a copied line, to its difference from the other one
_DIP = 0.5  # of the differences beside it
_DIP_REACH = 9  # lines; resampling by a factor below this leaves dips


@dataclass(frozen=True)
class LineDifferences:
    """How much the lines of a view differ from their neighbours.

    ``step`` ``(line + 1,)``: the root mean square difference of lines j - 1 and j, NaN if unknown. ``pairs``: True
    where it vanishes. ``bend`` ``(line,)``: that of a line and the mean of its neighbours. ``means``: True where it
    vanishes.
    """

    step: Profile
    bend: Profile
    pairs: LineMask
    means: LineMask

    @cached_property
    def pair_dips(self) -> LineMask:
        """True where ``step`` is less than half as large as before and after."""
        return _dips(self.step)

    @cached_property
    def mean_dips(self) -> LineMask:
        """True where ``bend`` is less than half as large as before and after."""
        return _dips(self.bend)

    @property
    def candidates(self) -> LineMask:
        """True for lines that are a mean, or the second of a pair, ``(line,)``."""
        return self.pairs[:-1] | self.means


def compare_lines(view: Plane, min_pixels: int) -> LineDifferences:
    """Compare the lines of a view ``(line, position)``, NaN for missing pixels, with their neighbours.

    Lines with fewer than ``min_pixels`` pixels are not compared.
    """
    count = len(view)
    step, bend = np.full(count + 1, np.nan), np.full(count, np.nan)
    none = np.zeros(count + 1, bool)
    if count < _MIN_LINES:
        return LineDifferences(step, bend, none, none[1:])
    quantum = _quantum(view)
    difference = np.diff(view, axis=0)
    step[1:count] = line_rms(difference, min_pixels)
    pairs = _vanishing(step, _typical_difference(difference, min_pixels), quantum)
    difference = view[1:-1] - (view[:-2] + view[2:]) / 2
    bend[1:-1] = line_rms(difference, min_pixels)
    means = _vanishing(bend, _typical_difference(difference, min_pixels), quantum)
    if pairs.any() or means.any():
        varied = _variation(view)  # flat lines, as in water or a masked area, are equal without being copies
        pairs[1:count] &= _MIN_VARIATION * step[1:count] < np.minimum(varied[1:], varied[:-1])
        means &= _MIN_VARIATION * bend < varied
    return LineDifferences(step, bend, pairs, means)


def copied_lines(
    lines: LineDifferences, resampled_pairs: LineMask | None = None, resampled_means: LineMask | None = None
) -> LineMask:
    """True for copied lines, ``(line,)``, except for the pairs and means that resampling explains.

    Of two equal lines, the copy is the one that differs more from its other neighbour. No line is copied if more than
    15 % seem to be: then the raster has been enlarged.
    """
    pairs = lines.pairs if resampled_pairs is None else lines.pairs & ~resampled_pairs
    copied = lines.means.copy() if resampled_means is None else lines.means & ~resampled_means
    for line in np.flatnonzero(pairs):
        before, after = lines.step[line - 1], lines.step[line + 1]
        copied[line - 1 if np.nan_to_num(before) > np.nan_to_num(after) else line] = True
    if exceeds_copied_share(copied, lines):
        return np.zeros(len(copied), bool)
    if resampled_pairs is not None and copied.any():  # a line that resampling repeated was copied as a whole
        for line in np.flatnonzero(resampled_pairs & lines.pairs):
            copied[line] |= copied[line - 1]
        for line in np.flatnonzero(resampled_pairs & lines.pairs)[::-1]:
            copied[line - 1] |= copied[line]
    for first, last in runs(copied):
        if last - first > MAX_WIDTH:
            copied[first:last] = False
    return copied


def exceeds_copied_share(copied: LineMask, lines: LineDifferences) -> bool:
    """True if so many lines look copied that the raster must have been enlarged."""
    examined = np.count_nonzero(np.isfinite(lines.step))
    return bool(np.count_nonzero(copied) > max(2, _MAX_COPIED_SHARE * examined))


def _variation(view: Plane) -> Profile:
    """The standard deviation along each line; 0 for lines without pixels."""
    finite = np.isfinite(view)
    number = np.maximum(finite.sum(axis=1), 1)
    mean = np.where(finite, view, 0.0).sum(axis=1, dtype=np.float64) / number
    return np.nan_to_num(line_rms(view - mean[:, None], 1))


def _typical_difference(difference: Plane, min_pixels: int) -> float:
    """The typical difference of neighbouring lines, without offsets of whole lines and stripes across them."""
    centred = difference - line_medians(difference, min_pixels)[0][:, None]
    differences = line_rms(centred, min_pixels)
    known = np.isfinite(differences)
    if not known.any():
        return 0.0
    equal = differences == 0
    if equal.sum() > _MAX_EQUAL_SHARE * known.sum() and (known & ~equal).any():
        differences, centred = differences[known & ~equal], centred[known & ~equal]
    # In flat areas most pixels of neighbouring lines are equal: the second number is 0, and no line is a copy.
    return min(float(np.nanmedian(differences)), 1.4826 * float(np.nanmedian(np.abs(centred))))


def _vanishing(difference: Profile, typical: float, quantum: float) -> LineMask:
    """True for differences that are small between two large ones.

    At inflections of a smooth image differences are small too, but so are those next to them.
    """
    finite = np.isfinite(difference)
    # The rounding of interpolated integers changes a line by up to half a step.
    limit = max(_MAX_COPY_DIFFERENCE * typical, min(0.75 * quantum, 0.3 * typical))
    small = finite & (difference <= limit) & (typical > 0)
    for first, last in runs(small):
        beside = [difference[place] for place in (first - 1, last) if 0 <= place < len(difference) and finite[place]]
        if not beside or min(beside) < 0.5 * typical:
            small[first:last] = False
    return small


def _dips(difference: Profile) -> LineMask:
    """True for differences that are much smaller than others before and after them."""
    finite = np.isfinite(difference)
    if not finite.any():
        return finite
    filled = np.where(finite, difference, np.median(difference[finite]))
    padded = np.pad(filled, _DIP_REACH, constant_values=filled.max())  # the lines at the raster's edge repeat too
    level = ndimage.grey_closing(padded, _DIP_REACH)[_DIP_REACH:-_DIP_REACH]
    return finite & (filled < _DIP * level)


def _quantum(view: Plane) -> float:
    """1 if all pixels are integers, else 0; from 16 or more of the lines."""
    some = view[:: max(1, len(view) // 16)]
    some = some[np.isfinite(some)]
    return 1.0 if some.size and np.array_equal(some, np.rint(some)) else 0.0
