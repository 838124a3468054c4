"""The sequence of steps of a stripe detection, ordered so that no defect hides another one."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray

from ..arrays import Mask
from ..runtime.progress import ProgressReporter
from .noisy_lines import find_noisy_lines
from .offset_lines import find_axis_offsets
from .state import DetectionState
from .tilted_lines import find_tilted_offsets

_LARGE_SHARE = 0.5  # of a band's largest offset; larger stripes impair the regression


def search_stripes(
    values: NDArray, observed: Mask | None, use: Sequence[bool] | None, progress: ProgressReporter
) -> DetectionState:
    """Run all steps on a cube ``(band, row, column)``; the result holds the found lines and the noise.

    ``observed`` and ``use``: pixels and bands that take part; all by default.
    """
    state = DetectionState(values, observed, use)
    if not state.bands:
        return state
    for band in range(len(state.bands)):
        for direction in state.axes:
            state.find_dead(band, direction)
        progress.update(0.3 * (band + 1) / len(state.bands))
    state.fill_dead()
    state.update_residual()
    progress.update(0.4)
    state.measure_noise()
    progress.update(0.55)
    if state.residual.is_predicted:
        find_tilted_offsets(state)
        progress.update(0.7)
        for direction in state.axes:
            find_noisy_lines(state, direction)
    progress.update(0.8)
    before = list(state.found)
    find_axis_offsets(state)
    progress.update(0.9)
    if state.residual.is_predicted and len(state.found) > len(before):
        # Large stripes impair the prediction with which they were found: repeat with a regression without them.
        training = state.corrected_values(_LARGE_SHARE)
        state.found = before
        state.update_residual(state.corrected_values(), training=training)
        state.measure_noise()
        find_axis_offsets(state)
    return state
