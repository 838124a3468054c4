"""Dead lines of one band: *stuck* (constant, empty, saturated) and *copied* (duplicated, interpolated) lines.

Each test compares a line with the other lines of its band and with its nearest intact neighbours. Water that is clipped
to one value, or a raster enlarged by nearest neighbour, is therefore not a defect.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .lines import LineMask, Plane, Profile, line_medians

MAX_WIDTH = 24  # lines; wider runs are not stripes
MIN_PIXELS = 16  # of a line, to examine it
_MIN_LINES = 5
_MIN_STUCK_SHARE = 0.9  # of a stuck line's pixels that have its value
_MAX_NEIGHBOUR_SHARE = 0.5  # of a neighbour's pixels that have a stuck line's value
_EQUAL = 0.01  # of the typical deviation along a line; smaller differences count as equal
_MAX_COPY_DIFFERENCE = 0.1  # of the typical difference between lines
_MAX_COPIED_SHARE = 0.15  # of the lines; if more look copied, the raster has been enlarged


def find_dead_lines(view: Plane, min_pixels: int = MIN_PIXELS) -> LineMask:
    """True for the dead lines of a view ``(line, position)``, which is NaN for missing pixels.

    Lines with fewer than ``min_pixels`` pixels are not examined.
    """
    stuck = find_stuck_lines(view, min_pixels)
    return stuck | find_copied_lines(np.where(stuck[:, None], np.nan, view), min_pixels)


def find_stuck_lines(view: Plane, min_pixels: int = MIN_PIXELS) -> LineMask:
    """True for lines almost all of whose pixels have one value that their neighbours do not have."""
    centre, number = line_medians(view, min_pixels)
    examined = np.isfinite(centre)
    along = _rms(view - centre[:, None], min_pixels)
    typical = float(np.nanmedian(along)) if examined.any() else 0.0
    if typical == 0.0:  # most lines are constant, so a constant line is not unusual
        return np.zeros(len(view), bool)

    equal = _EQUAL * typical
    close = np.count_nonzero(np.abs(view - centre[:, None]) <= equal, axis=1)
    stuck = examined & (close >= _MIN_STUCK_SHARE * np.maximum(number, 1))
    for first, last in runs(stuck):
        sides = [(line, end) for line, end in ((first - 1, first), (last, last - 1)) if 0 <= line < len(view)]
        shares = [
            float((np.abs(view[line] - centre[end]) <= equal).sum() / number[line])
            for line, end in sides
            if number[line]
        ]
        if last - first > MAX_WIDTH or not shares or max(shares) > _MAX_NEIGHBOUR_SHARE:
            stuck[first:last] = False
    return stuck


def find_copied_lines(view: Plane, min_pixels: int = MIN_PIXELS) -> LineMask:
    """True for lines that repeat a neighbour, or are the mean of their neighbours.

    Of two equal lines, the copy is the one that differs more from its other neighbour.
    """
    count = len(view)
    copied = np.zeros(count, bool)
    if count < _MIN_LINES:
        return copied
    step = np.full(count + 1, np.nan)  # step[j]: between lines j - 1 and j
    difference = np.diff(view, axis=0)
    step[1:count] = _rms(difference, min_pixels)
    quantum = _quantum(view)
    equal = _vanishing(step, _typical_difference(difference, min_pixels), quantum)
    for line in np.flatnonzero(equal):
        before, after = step[line - 1], step[line + 1]
        copied[line - 1 if np.nan_to_num(before) > np.nan_to_num(after) else line] = True
    bend = np.full(count, np.nan)
    difference = view[1:-1] - (view[:-2] + view[2:]) / 2
    bend[1:-1] = _rms(difference, min_pixels)
    copied |= _vanishing(bend, _typical_difference(difference, min_pixels), quantum)
    examined = np.count_nonzero(np.isfinite(step))
    if np.count_nonzero(copied) > max(2, _MAX_COPIED_SHARE * examined):
        return np.zeros(count, bool)
    for first, last in runs(copied):
        if last - first > MAX_WIDTH:
            copied[first:last] = False
    return copied


def runs(marked: LineMask) -> Iterator[tuple[int, int]]:
    """The first line and the line after the last of each run of marked lines."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist())


def _typical_difference(difference: Plane, min_pixels: int) -> float:
    """The typical difference of neighbouring lines, without offsets of whole lines and stripes across them."""
    centred = difference - line_medians(difference, min_pixels)[0][:, None]
    differences = _rms(centred, min_pixels)
    if not np.isfinite(differences).any():
        return 0.0
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


def _quantum(view: Plane) -> float:
    """1 if all pixels are integers, else 0; from 16 or more of the lines."""
    some = view[:: max(1, len(view) // 16)]
    some = some[np.isfinite(some)]
    return 1.0 if some.size and np.array_equal(some, np.rint(some)) else 0.0


def _rms(view: Plane, min_pixels: int) -> Profile:
    """The root mean square along each line; NaN for lines with fewer than ``min_pixels`` pixels."""
    finite = np.isfinite(view)
    number = finite.sum(axis=1)
    total = np.square(np.where(finite, view, 0.0), dtype=np.float64).sum(axis=1)
    return np.where(number >= min_pixels, np.sqrt(total / np.maximum(number, 1)), np.nan)
