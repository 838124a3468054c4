"""The sequence of steps of a stripe detection, ordered so that no defect hides another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from numpy.typing import NDArray

from ..arrays import Mask
from ..runtime.progress import ProgressReporter
from .band_residual import MIN_BANDS, compute_band_residual
from .dead_search import find_dead_lines
from .dense_striping import find_dense_striping, measure_offsets
from .found_stripes import DenseStriping
from .noisy_lines import find_noisy_lines
from .offset_lines import find_axis_offsets
from .state import DetectionState
from .tilted_lines import find_tilted_offsets

_MIN_CONFIRMED_SHARE = 0.5  # of a strength, that remains without the striped bands as predictors
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
    find_dead_lines(state, progress)
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
    state.dense = _find_dense_bands(state)
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


def _find_dense_bands(state: DetectionState) -> list[DenseStriping]:
    """The bands in which most lines have an offset.

    Such stripes leak into the residuals of clean bands. They are therefore measured again with the strongest of these
    bands excluded as predictors; a clean band then loses them.
    """
    found = []
    for band, image in enumerate(state.residual.values):
        if state.noise[band] > 0:
            views = [(direction, state.view(image, direction)) for direction in state.axes]
            found.append(find_dense_striping(state.bands[band], views, float(state.noise[band])))
    dense = [item for item in found if item is not None]
    if not dense or not state.residual.is_predicted:
        return dense
    strongest = sorted(dense, key=lambda item: -item.strength / item.noise)[: len(state.bands) - MIN_BANDS]
    excluded = [state.bands.index(item.band) for item in strongest]
    residual = compute_band_residual(state.corrected_values(), state.observed & ~state.dead, excluded)
    confirmed = []
    for item in dense:
        direction = next(axis for axis in state.axes if axis.orientation == item.orientation)
        image = residual.values[state.bands.index(item.band)]
        strength = measure_offsets(state.view(image, direction)).deviation
        if strength >= _MIN_CONFIRMED_SHARE * item.strength:
            confirmed.append(replace(item, strength=min(strength, item.strength)))
    return confirmed
