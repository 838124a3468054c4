"""Partial line drop-outs: straight runs of one to a few lines that hold one exact value over a part of their length.

The value may be 0, saturation, or the last one before the failure. A run is a drop-out if the lines beside it vary
along it, do not have its value, and would not repeat a value so often by chance. Water, clouds, shadows and flat
polygons are flat in their neighbouring lines too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .lines import MIN_PIXELS, Plane

_MAX_WIDTH = 6  # lines; wider areas of one value are objects or masks
_MIN_SHARE = 0.08  # of the length of a line
_MAX_MIN_LENGTH = 64  # pixels; a longer run is long enough in any raster
_MIN_ASPECT = 6.0  # length to width
_MIN_COVERED = 0.5  # of a run, by long runs in the next line, to count as one area
_MIN_EXAMINED = 0.5  # of a run, beside which both lines vary
_FLAT_SHARE = 0.25  # of the run's length; runs of this length in the lines beside it are flat objects
_MAX_EQUAL_SHARE = 1 / 3  # of the pixels beside a run that have its value
_AROUND = 3  # lines on either side that show how often a value repeats by chance
_LOG_CHANCE = 14.0  # minus the logarithm of the accepted number of runs by chance in a raster
_MAX_RUNS = 2000  # of narrow runs in a band; with more, the band consists of flat areas


@dataclass(frozen=True)
class LineRun:
    """Lines ``first`` to ``last`` (exclusive) of an area of drop-outs, and the run of one of them: ``line``, from
    ``start`` to ``stop``."""

    line: int
    start: int
    stop: int
    first: int
    last: int


def find_dropouts(view: Plane) -> list[LineRun]:
    """The partial drop-outs of a view ``(line, position)``, which is NaN for missing pixels."""
    length = view.shape[1]
    shortest = max(MIN_PIXELS, min(round(_MIN_SHARE * length), _MAX_MIN_LENGTH))
    if length < shortest:
        return []
    line, start, stop = constant_runs(view, shortest)
    if not len(line):
        return []
    covered = np.zeros(view.shape, bool)
    for at, first, last in zip(line.tolist(), start.tolist(), stop.tolist()):
        covered[at, first:last] = True
    narrow = _thickness(covered)[line, (start + stop) // 2] <= _MAX_WIDTH
    if not 0 < np.count_nonzero(narrow) <= _MAX_RUNS:
        return []
    candidates = zip(line[narrow].tolist(), start[narrow].tolist(), stop[narrow].tolist())
    found = (_examine(view, covered, *candidate) for candidate in candidates)
    return [run for run in found if run is not None]


def constant_runs(view: Plane, shortest: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Line, start and stop of the runs of at least ``shortest`` pixels with exactly one value."""
    same = np.zeros((len(view), view.shape[1] + 1), np.int8)
    np.equal(view[:, 1:], view[:, :-1], out=same[:, 1:-1], casting="unsafe")
    edges = np.diff(same, axis=1)
    line, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1] + 1
    long = stop - start >= shortest
    return line[long], start[long], stop[long]


def _thickness(covered: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The number of covered pixels in a column of them, across the lines, up to slightly more than the limit."""
    out = np.zeros(covered.shape, np.intp)
    for order in (covered, covered[::-1]):
        count = np.zeros(covered.shape[1], np.intp)
        rows = []
        for row in order:
            count = np.where(row, count + 1, 0)
            rows.append(count)
        out += np.array(rows) if order is covered else np.array(rows)[::-1]
    return out - covered


def _examine(view: Plane, covered: NDArray[np.bool_], line: int, start: int, stop: int) -> LineRun | None:
    """The run as a drop-out, or None if it may be a part of the scene."""
    length = stop - start
    first, last = line, line + 1
    while first > 0 and covered[first - 1, start:stop].mean() >= _MIN_COVERED and last - first <= _MAX_WIDTH:
        first -= 1
    while last < len(view) and covered[last, start:stop].mean() >= _MIN_COVERED and last - first <= _MAX_WIDTH:
        last += 1
    if last - first > _MAX_WIDTH or length < _MIN_ASPECT * (last - first):
        return None
    beside = [view[near, start:stop] for near in (first - 1, last) if 0 <= near < len(view)]
    beside = [near for near in beside if np.isfinite(near).mean() >= _MIN_EXAMINED]
    if not beside:
        return None
    examined = np.ones(length, bool)
    flat = max(4, int(_FLAT_SHARE * length))
    value = view[line, start]
    for near in beside:
        examined &= np.isfinite(near)
        for flat_start, flat_stop in zip(*constant_runs(near[None], flat)[1:]):
            examined[flat_start:flat_stop] &= near[flat_start] == value
    number = int(np.count_nonzero(examined))
    if number < max(0.75 * MIN_PIXELS, _MIN_EXAMINED * length):
        return None
    if any(np.mean(near[examined] == value) > _MAX_EQUAL_SHARE for near in beside):
        return None
    around = np.concatenate(
        [view[max(first - _AROUND, 0) : first, start:stop], view[last : last + _AROUND, start:stop]]
    )
    pairs = around[:, 1:], around[:, :-1], np.broadcast_to(examined[1:] & examined[:-1], around[:, 1:].shape)
    known = pairs[2] & np.isfinite(pairs[0]) & np.isfinite(pairs[1])
    repeats = (np.count_nonzero(known & (pairs[0] == pairs[1])) + 1) / (np.count_nonzero(known) + 2)
    if (number - 1) * -np.log(repeats) < np.log(view.size) + _LOG_CHANCE:
        return None
    return LineRun(line, start, stop, first, last)
