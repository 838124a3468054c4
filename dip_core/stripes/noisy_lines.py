"""Noisy lines: lines that disagree with all other bands even after their offset is subtracted.

A noisy line counts as dead if interpolation between its neighbours agrees better with the other bands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .band_residual import fill_missing
from .lines import MAX_WIDTH, Direction, LineMask, Profile, line_medians, line_spreads, runs
from .state import DetectionState, min_pixels

_MIN_SPREAD = 3.0  # typical spreads of the residual along a line
_MAX_INTERPOLATED_SPREAD = 0.6  # of the spread of a noisy line, after interpolation
_MAX_NOISY_SHARE = 0.2  # of the lines of a band
_PARTS = 4  # of a line; a stripe may end within the line


def find_noisy_lines(state: DetectionState, direction: Direction) -> None:
    """Find the noisy lines of all bands and record them as dead."""
    count = len(state.bands)
    spread = np.full((count, direction.count), np.nan)
    for band, residual in enumerate(state.residual.values):
        view = direction.view(residual)
        examined = np.isfinite(line_medians(view, min_pixels(direction, direction.length))[0])
        spread[band] = np.where(examined, _spread_about_parts(view), np.nan)
    if not np.isfinite(spread).any():
        return
    typical = np.array([line_medians(profile[None], 1)[0][0] for profile in spread])
    limit = _MIN_SPREAD * typical
    for line in np.flatnonzero((spread > limit[:, None]).any(axis=0)):
        leaked = np.zeros(count)  # variance from noisy bands that are already found
        for band in np.argsort(-np.nan_to_num(spread[:, line] / np.maximum(typical, 1e-30))):
            if spread[band, line] ** 2 - leaked[band] > limit[band] ** 2:
                leaked += (state.residual.leakage[:, band] * spread[band, line]) ** 2
            else:
                spread[band, line] = np.nan
    noisy = spread > limit[:, None]
    for band in np.flatnonzero(noisy.any(axis=1)).tolist():
        noisy[band] &= _better_interpolated(state, band, direction, noisy[band], spread[band])
        if noisy[band].any() and noisy[band].mean() <= _MAX_NOISY_SHARE:
            state.add_dead(band, direction, 0, direction.length, noisy[band])
            before = state.values[band].copy()
            fill_missing(state.values[band], state.observed[band] & ~state.dead[band])
            state.residual.add(band, state.values[band] - before)
            state.residual.values[band][state.dead[band]] = np.nan


def _spread_about_parts(view: NDArray) -> Profile:
    """The spread along each line about the medians of its quarters."""
    view = view.copy()
    for part in np.array_split(np.arange(view.shape[1]), min(_PARTS, view.shape[1])):
        view[:, part] -= line_medians(view[:, part], 1)[0][:, None]
    return line_spreads(view, np.zeros(len(view)))


def _better_interpolated(
    state: DetectionState, band: int, direction: Direction, noisy: LineMask, spread: Profile
) -> LineMask:
    """True for noisy lines that agree better with the other bands after interpolation; false along an edge."""
    residual, values = (direction.view(image[band]) for image in (state.residual.values, state.values))
    better = np.zeros(len(noisy), bool)
    for first, last in runs(noisy):
        if first == 0 or last == len(noisy) or last - first > MAX_WIDTH:
            continue
        weight = (np.arange(first, last) - first + 1)[:, None] / (last - first + 1)
        interpolated = (1 - weight) * values[first - 1] + weight * values[last]
        new_spread = _spread_about_parts(residual[first:last] + interpolated - values[first:last])
        better[first:last] = new_spread < _MAX_INTERPOLATED_SPREAD * spread[first:last]
    return better
