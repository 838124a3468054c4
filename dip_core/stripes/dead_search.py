"""The first step of a stripe detection: stuck lines, partial drop-outs and copied lines of all bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..runtime.progress import ProgressReporter
from .copied_lines import LineDifferences, compare_lines
from .line_dropouts import LineRun, find_dropouts
from .lines import Direction, LineMask, runs
from .resampling import Part, separate_copies
from .state import DetectionState, line_parts, min_pixels
from .stuck_lines import find_stuck_lines

_MIN_INTACT = 3  # observed pixels beside the run of a line that is constant elsewhere


def find_dead_lines(state: DetectionState, progress: ProgressReporter) -> None:
    """Find the dead lines of all bands along both axes and record them; noisy lines are found later."""
    differences: dict[Part, list[LineDifferences]] = {}
    for band in range(len(state.bands)):
        for direction in state.axes:
            find_constant_lines(state, band, direction)
        for axis, direction in enumerate(state.axes):
            view = state.observed_view(band, direction)
            for start, stop in line_parts(direction):
                compared = compare_lines(view[:, start:stop], min_pixels(direction, stop - start))
                differences.setdefault((axis, start, stop), []).append(compared)
        progress.update(0.3 * (band + 1) / len(state.bands))
    copied, resampled = separate_copies(differences)
    state.resampled = [state.bands[band] for band in resampled]
    whole: dict[tuple[int, int], LineMask] = {}
    for (axis, start, stop), masks in copied.items():  # whole lines come first
        for band, mask in enumerate(masks):
            known = whole.setdefault((axis, band), mask)
            part = mask if known is mask else mask & ~_beside(known)
            if part.any():
                state.add_dead(band, state.axes[axis], start, stop, part)


def find_constant_lines(state: DetectionState, band: int, direction: Direction) -> None:
    """Find the stuck lines and partial drop-outs of a band along one direction and record them."""
    view = state.observed_view(band, direction)
    dropouts = [] if direction.tilted else find_dropouts(view)
    stuck = find_stuck_lines(view, min_pixels(direction, direction.length))
    parts: dict[tuple[int, int], LineMask] = {}
    for run in dropouts:
        intact = np.isfinite(view[run.line])
        intact[run.start : run.stop] = False
        if np.count_nonzero(intact) >= _MIN_INTACT and not _is_exterior(state, direction, run):
            stuck[run.line] = False
            parts.setdefault((run.start, run.stop), np.zeros(len(view), bool))[run.line] = True
    for (start, stop), lines in {(0, direction.length): stuck, **parts}.items():
        _record(state, band, direction, start, stop, lines, view)
    for start, stop in line_parts(direction)[1:]:
        lines = find_stuck_lines(view[:, start:stop], min_pixels(direction, stop - start))
        for first, last in runs(lines):
            if _is_exterior(state, direction, LineRun(first, start, stop, first, last)):
                lines[first:last] = False
        _record(state, band, direction, start, stop, lines, view)


def _record(
    state: DetectionState, band: int, direction: Direction, start: int, stop: int, lines: LineMask, view: NDArray
) -> None:
    if lines.any():
        state.add_dead(band, direction, start, stop, lines)
        view[lines, start:stop] = np.nan


def _is_exterior(state: DetectionState, direction: Direction, run: LineRun) -> bool:
    """True for a corner of the raster that has one value in all bands: a scene that is rotated slightly ends there."""
    at_edge = run.first == 0 or run.last == direction.count
    if not (at_edge and (run.start == 0 or run.stop == direction.length)):
        return False
    pixels = state.values[:, run.line, run.start : run.stop]
    if direction.orientation == "columns":
        pixels = state.values[:, run.start : run.stop, run.line]
    return bool((pixels == pixels.flat[0]).all())


def _beside(lines: LineMask) -> LineMask:
    """True for the lines and those next to them: a half line may name the other line of an equal pair."""
    out = lines.copy()
    out[1:] |= lines[:-1]
    out[:-1] |= lines[1:]
    return out
