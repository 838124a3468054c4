"""Offset lines: lines of a band to which a stripe added a constant.

The offset of a line is its median in the band residual minus the running median across lines. It counts if it stands
out from those of all lines, is large enough compared with the noise, and has one sign in each quarter of the line.
Orthogonal matching pursuit, line by line, separates stripes from the leakage of other bands' stripes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .found_stripes import StripedLines
from .lines import MAX_WIDTH, Direction, LineMask, Profile, line_medians, robust_spread, running_median, runs
from .state import WINDOW, DetectionState, line_parts, min_pixels

_MIN_SCORE = 8.0  # standard deviations of the line medians; high, because edges in the scene have heavy tails
_MIN_NOISE_SHARE = 1.0  # of the noise; a smaller offset is not worth a correction
_MIN_SIGNAL_SHARE = 0.002  # of the band's robust deviation; a smaller offset is invisible
_MIN_INTERPOLATED_SHARE = (
    0.25  # the same, if pixels are interpolated and no other band predicts them: texture has lines
)
_HALF_LINE_FACTOR = 1.6  # stricter limits for half lines, because more objects are as long as half the image
_MIN_AGREEMENT = 0.4  # of the offset, in each quarter of a line
_PARTS = 4
_MAX_INFLATION = 3.0  # of the largest line median; larger offsets come from an ill-conditioned solution
_MAX_DEVIATION_RATIO = 2.0  # of the deviation of line medians in the other direction
_MEDIAN_ERROR = 1.2533  # standard error of a median, relative to that of a mean


def find_axis_offsets(state: DetectionState) -> None:
    """Find offsets of columns and rows, of whole lines first."""
    for direction in state.axes:
        for start, stop in line_parts(direction):
            find_offsets(state, direction, start, stop)


def find_offsets(
    state: DetectionState, direction: Direction, start: int, stop: int, only: Sequence[int] | None = None
) -> None:
    """Find offsets of lines from ``start`` to ``stop``, record them and subtract them from the residuals.

    ``only``: the bands that may have offsets; all by default.
    """
    count, length = len(state.bands), stop - start
    views = [state.view(residual, direction)[:, start:stop] for residual in state.residual.values]
    centre = np.empty((count, direction.count))
    number = np.empty((count, direction.count))
    for band, view in enumerate(views):
        centre[band], number[band] = line_medians(view, min_pixels(direction, length))
    window = WINDOW * direction.lines_per_pixel
    excess = centre - np.stack([running_median(profile, window) for profile in centre])
    median_noise = _median_noise(state, excess * np.sqrt(number))
    factor = 1.0 if length == direction.length else _HALF_LINE_FACTOR
    blurred = state.interpolated & (not state.residual.is_predicted)
    signal_share = np.where(blurred, _MIN_INTERPOLATED_SHARE, _MIN_SIGNAL_SHARE)
    smallest = factor * np.maximum(_MIN_NOISE_SHARE * state.noise, signal_share * state.signal)
    limit = np.maximum(factor * _MIN_SCORE * median_noise[:, None] / np.sqrt(np.maximum(number, 1)), smallest[:, None])
    leakage = state.residual.leakage
    offset = _pursue(leakage, excess, limit, only)
    # Repeat with the level of the lines that have no offset.
    level = np.stack([running_median(profile, window) for profile in np.where(offset != 0, np.nan, centre)])
    excess = np.where(np.isfinite(level), centre - level, excess)
    offset = _pursue(leakage, excess, limit, only)
    from_others = leakage @ offset - offset
    for band in np.flatnonzero(offset.any(axis=1)).tolist():
        shift = from_others[band] + np.nan_to_num(centre[band] - excess[band])
        offset[band] *= _agrees(views[band] - shift[:, None], offset[band])
        if direction.tilted:
            _widen(offset[band], excess[band] - from_others[band])
        for first, last in runs(offset[band] != 0):
            if last - first > MAX_WIDTH * direction.lines_per_pixel and not _alternates(offset[band, first:last]):
                offset[band, first:last] = 0.0
    for band in np.flatnonzero(offset.any(axis=1)).tolist():
        score = float(np.max(np.abs(offset[band]) * np.sqrt(number[band]) / median_noise[band]))
        none = np.zeros(direction.count, bool)
        item = StripedLines(state.bands[band], direction, start, stop, offset[band], none, score)
        state.found.append(item)
        line, inside = item.locate()
        state.residual.add(band, -(offset[band][line] * inside).astype(np.float32))


def _median_noise(state: DetectionState, scaled: NDArray) -> NDArray[np.float64]:
    """The deviation ``(band,)`` of line medians times the root of their length, without stripes.

    It is at least that of independent noise, and at most twice that in the other direction, so that a band in which all
    lines are striped is found.
    """
    own = np.array([robust_spread(profile) for profile in scaled])
    ceiling = _MAX_DEVIATION_RATIO * state.median_noise if state.residual.is_predicted else np.inf
    return np.maximum(np.minimum(own, ceiling), np.maximum(_MEDIAN_ERROR * state.noise, 1e-30))


def _pursue(
    leakage: NDArray[np.float64], excess: NDArray, limit: NDArray, only: Sequence[int] | None
) -> NDArray[np.float64]:
    """Offsets ``(band, line)`` that explain the line medians by as few bands as possible."""
    offset = np.zeros(excess.shape)
    allowed = np.ones(len(excess), bool)
    if only is not None:
        allowed[:] = False
        allowed[list(only)] = True
    measured = np.nan_to_num(excess)
    for line in np.flatnonzero((np.abs(measured) > limit)[allowed].any(axis=0)):
        rest = measured[:, line]
        chosen: list[int] = []
        values = np.zeros(0)
        while len(chosen) < len(excess) // 2 + 1:
            ratio = np.where(allowed, np.abs(rest) / limit[:, line], 0.0)
            ratio[chosen] = 0.0
            best = int(np.argmax(ratio))
            if not ratio[best] > 1.0:
                break
            chosen.append(best)
            solved = np.linalg.solve(leakage[np.ix_(chosen, chosen)], measured[chosen, line])
            if np.abs(solved).max() > _MAX_INFLATION * np.abs(measured[:, line]).max():
                chosen.pop()  # the bands are too similar to separate their offsets
                break
            values = solved
            rest = measured[:, line] - leakage[:, chosen] @ values
        strong = np.abs(values) > limit[chosen, line]
        offset[np.asarray(chosen, int)[strong], line] = values[strong]
    return offset


def _agrees(view: NDArray, offset: Profile) -> LineMask:
    """True for lines whose offset shows in each quarter that has enough pixels."""
    agrees = offset != 0
    for part in np.array_split(np.arange(view.shape[1]), min(_PARTS, view.shape[1])):
        centre = line_medians(view[:, part], min(4, len(part)))[0]
        agrees &= ~(centre * np.sign(offset) < _MIN_AGREEMENT * np.abs(offset))
    return agrees


def _widen(offset: Profile, excess: Profile) -> None:
    """Extend offsets of tilted lines to the thirds of a pixel next to them that share them, in place."""
    count = len(offset)
    for line in np.flatnonzero(offset).tolist():
        for near in (line - 2, line - 1, line + 1, line + 2):
            if 0 <= near < count and offset[near] == 0 and excess[near] / offset[line] >= _MIN_AGREEMENT:
                offset[near] = excess[near]


def _alternates(offset: Profile) -> bool:
    """True if neighbouring offsets differ as much as their size: separate lines, not one wide step."""
    return float(np.median(np.abs(np.diff(offset)))) > 0.5 * float(np.median(np.abs(offset)))
