"""Offsets of tilted lines, first of single bands, then of bands that share their stripes.

Bands with common stripes predict each other's stripes. Bands with tilted stripes are therefore excluded as predictors,
which reveals the stripes of further bands, until no new ones appear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .dead_search import find_constant_lines
from .lines import Direction
from .offset_lines import find_offsets
from .slope_search import SlopeEstimate, SlopeSearch
from .state import DetectionState

_MIN_EVIDENCE = 150.0  # sum of squared scores beyond 16
_NEW_DIRECTION_FACTOR = 2.0  # more evidence for a direction that no other band has; a road can exceed the minimum
_MIN_UNTILTED_RATIO = 1.5  # of the evidence for lines without tilt
_MIN_SHIFT = 2.0  # columns over the image
_MAX_SLOPE_DIFFERENCE = 3.0  # columns over the image, within one direction
_MAX_DIRECTIONS = 4
_MAX_ROUNDS = 4
_MIN_NEW_SHARE = 0.1  # of the excluded bands, to continue
_MIN_OBSERVED_SHARE = 0.5  # of the bands, at a pixel that is used

TiltedBands = list[tuple[Direction, list[int]]]  # directions, and the striped bands of each


def find_tilted_offsets(state: DetectionState) -> None:
    """Find tilted offset lines, and dead lines in their directions; updates the residual."""
    excluded: set[int] = set()
    tilted: TiltedBands = []
    for _ in range(_MAX_ROUNDS):
        tilted = _find_directions(state, [direction for direction, _ in tilted])
        new = {band for _, bands in tilted for band in bands} - excluded
        if not new or len(new) <= _MIN_NEW_SHARE * len(excluded):
            break
        for direction, bands in tilted:
            for band in bands:
                find_constant_lines(state, band, direction)
        state.fill_dead()
        if not excluded:
            _find_offsets(state, tilted)
        excluded |= new
        state.update_residual(state.corrected_values(), sorted(excluded))
        state.measure_noise()
    if excluded:
        _find_offsets(state, tilted)
        state.update_residual(state.corrected_values())
        state.measure_noise()


def _find_offsets(state: DetectionState, tilted: TiltedBands) -> None:
    for direction, bands in tilted:
        find_offsets(state, direction, 0, direction.length, bands)


def _find_directions(state: DetectionState, known: Sequence[Direction]) -> TiltedBands:
    """Tilted directions (``known`` ones and new ones) in which bands are striped, each with these bands."""
    search = SlopeSearch(np.isfinite(state.residual.values).mean(axis=0) >= _MIN_OBSERVED_SHARE)
    candidates: list[tuple[float, int, SlopeEstimate]] = []
    for band, residual in enumerate(state.residual.values):
        if not state.noise[band] > 0:
            continue
        estimate = search.search(np.nan_to_num(residual), state.noise[band])
        length = state.shape[1] if estimate.orientation == "columns" else state.shape[2]
        limit = max(_MIN_EVIDENCE, _MIN_UNTILTED_RATIO * estimate.untilted_evidence)
        if estimate.evidence > limit and abs(estimate.slope) * length >= _MIN_SHIFT:
            candidates.append((estimate.evidence, band, estimate))
    found: TiltedBands = [(direction, []) for direction in known]
    for _, band, estimate in sorted(candidates, key=lambda item: -item[0]):
        for direction, bands in found:
            near = abs(direction.slope - estimate.slope) * direction.length <= _MAX_SLOPE_DIFFERENCE
            if direction.orientation == estimate.orientation and near:
                bands.append(band)
                break
        else:
            if len(found) < _MAX_DIRECTIONS and estimate.evidence > _NEW_DIRECTION_FACTOR * _MIN_EVIDENCE:
                slope = search.refine(np.nan_to_num(state.residual.values[band]), state.noise[band], estimate)
                found.append((Direction(estimate.orientation, slope, state.shape[1:]), [band]))
    return [(direction, bands) for direction, bands in found if bands]
