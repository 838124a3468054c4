"""Dead lines of one band: *stuck* ones (constant, empty, saturated) and *copied* ones (duplicated, interpolated).

Each test compares a line with the other lines of its own band and with its nearest sound neighbours, so
that water clipped to one value, or a raster enlarged by nearest neighbour, is not taken for a defect.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .lines import Plane, Profile, medians

WIDEST = 24  # lines; what is wider is no stripe
FEWEST = 16  # pixels that a line needs to be judged
_STUCK = 0.9  # share of a stuck line's pixels that have its one value
_ONE_VALUE = 0.01  # of the typical deviation along a line: what differs by less is one value
_COPIED = 0.1  # of the typical difference between lines
_COPIED_SHARE = 0.15  # of the lines: where more look copied, the raster has been enlarged

Lines = NDArray[np.bool_]


def dead_lines(view: Plane, fewest: int = FEWEST) -> Lines:
    """True for each dead line of a view ``(line, place along it)``, NaN where a pixel is missing.

    Lines with less than ``fewest`` pixels are not judged.
    """
    stuck = stuck_lines(view, fewest)
    return stuck | copied_lines(np.where(stuck[:, None], np.nan, view), fewest)


def stuck_lines(view: Plane, fewest: int = FEWEST) -> Lines:
    """Lines nearly all of whose pixels have one value, which their neighbours have not."""
    centre, number = medians(view, fewest)
    judged = np.isfinite(centre)
    along = _rms(view - centre[:, None], fewest)
    typical = float(np.nanmedian(along)) if judged.any() else 0.0
    if typical == 0.0:  # the usual line has one value, so having one sets no line apart
        return np.zeros(len(view), bool)

    one_value = _ONE_VALUE * typical
    close = np.count_nonzero(np.abs(view - centre[:, None]) <= one_value, axis=1)
    stuck = judged & (close >= _STUCK * np.maximum(number, 1))
    for first, last in runs(stuck):
        sides = [(line, end) for line, end in ((first - 1, first), (last, last - 1)) if 0 <= line < len(view)]
        alike = [
            float((np.abs(view[line] - centre[end]) <= one_value).sum() / number[line])
            for line, end in sides
            if number[line]
        ]
        if last - first > WIDEST or not alike or max(alike) > 0.5:
            stuck[first:last] = False
    return stuck


def copied_lines(view: Plane, fewest: int = FEWEST) -> Lines:
    """Lines that repeat a neighbour, or lie exactly between their neighbours: filled in by somebody.

    Of two equal lines the one that differs more from its other neighbour is the copy.
    """
    count = len(view)
    copied = np.zeros(count, bool)
    if count < 5:
        return copied
    step = np.full(count + 1, np.nan)  # step[j]: between the lines j - 1 and j
    between = np.diff(view, axis=0)
    step[1:count] = _rms(between, fewest)
    quantum = _quantum(view)
    equal = _small(step, _typical(between, fewest), quantum)
    for line in np.flatnonzero(equal):
        before, after = step[line - 1], step[line + 1]
        copied[line - 1 if np.nan_to_num(before) > np.nan_to_num(after) else line] = True
    bend = np.full(count, np.nan)
    between = view[1:-1] - (view[:-2] + view[2:]) / 2
    bend[1:-1] = _rms(between, fewest)
    copied |= _small(bend, _typical(between, fewest), quantum)
    judged = np.count_nonzero(np.isfinite(step))
    if np.count_nonzero(copied) > max(2, _COPIED_SHARE * judged):
        return np.zeros(count, bool)
    for first, last in runs(copied):
        if last - first > WIDEST:
            copied[first:last] = False
    return copied


def runs(marked: Lines) -> Iterator[tuple[int, int]]:
    """First and last-but-one of each run of marked lines."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist())


def _typical(between: Plane, fewest: int) -> float:
    """The usual difference of neighbouring lines; neither offsets of whole lines nor stripes across count."""
    centred = between - medians(between, fewest)[0][:, None]
    differences = _rms(centred, fewest)
    if not np.isfinite(differences).any():
        return 0.0
    return min(float(np.nanmedian(differences)), 1.4826 * float(np.nanmedian(np.abs(centred))))


def _small(difference: Profile, typical: float, quantum: float) -> Lines:
    """Differences that vanish beside those on both sides; ones that fade to nothing do not count.

    Where a smooth image has an inflection its differences are small too, but then so are those beside it.
    """
    finite = np.isfinite(difference)
    # An interpolated line of whole numbers is off by up to half a step.
    limit = max(_COPIED * typical, min(0.75 * quantum, 0.3 * typical))
    small = finite & (difference <= limit) & (typical > 0)
    for first, last in runs(small):
        beside = [difference[place] for place in (first - 1, last) if 0 <= place < len(difference) and finite[place]]
        if not beside or min(beside) < 0.5 * typical:
            small[first:last] = False
    return small


def _quantum(view: Plane) -> float:
    """1 where all pixels are whole numbers, else 0."""
    some = view[:: max(1, len(view) // 16)]
    some = some[np.isfinite(some)]
    return 1.0 if some.size and np.array_equal(some, np.rint(some)) else 0.0


def _rms(view: Plane, fewest: int) -> Profile:
    """The root mean square along each line; NaN where it has less than ``fewest`` pixels."""
    seen = np.isfinite(view)
    number = seen.sum(axis=1)
    total = np.square(np.where(seen, view, 0.0), dtype=np.float64).sum(axis=1)
    return np.where(number >= fewest, np.sqrt(total / np.maximum(number, 1)), np.nan)
