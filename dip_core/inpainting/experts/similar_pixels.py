"""Weighted mean of observed pixels nearby that look alike in a guide (another date or sensor).

The 20 observed pixels with the lowest ``h / range + d / tolerance`` are averaged with weights of its negative
exponential: *h* is the distance in pixels, *d* the root mean square difference in the guide's standardised bands.
Unlike a regression on the guide, this needs no linear relation between the dates.

Source: after Chen et al., A simple and effective method for filling gaps in Landsat ETM+ SLC-off images (2011), without
its correction for the change between dates, which `guided` covers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from .interface import DEFAULT_CONTEXT, ExpertContext
from .laplace import harmonic

SEARCH_RADIUS = 14  # pixels
_RANGE = 4.0  # pixels
_TOLERANCE = 0.15  # standard deviations of the guide
_NEIGHBOURS = 20
_MIN_WEIGHT_SUM = 1e-9  # below it the neighbours are too dissimilar
_WORKING_FLOATS = 1 << 22


def similar(observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
    """The weighted mean of similar pixels; ``(band, row, column)``.

    Pixels outside the guide or without similar pixels nearby get the harmonic value, and all pixels without a guide.
    """
    out = harmonic(observation)
    if observation.guide is None:
        return out
    has_guide: Mask = np.all(np.isfinite(observation.guide), axis=0)
    # Assumed values deep inside a gap come from a coarse surface, which has no detail to copy.
    useful = observation.measured.any(axis=0) & has_guide
    rows, columns = np.nonzero((observation.target & ~observation.measured).any(axis=0) & has_guide)
    offsets = _search_offsets()
    size = max(1, _WORKING_FLOATS // (len(offsets) * (1 + len(observation.guide))))
    padded = _PaddedObservation(observation, useful)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        values, exists = padded.weighted_means(rows[part], columns[part], offsets)
        for band in range(len(out)):
            filled = exists[band]
            out[band, rows[part][filled], columns[part][filled]] = values[band, filled]
    return observation.keep_observed(out)


class _PaddedObservation:
    """Flat arrays of an observation with a margin of the search radius, so that no pixel lies near the border."""

    def __init__(self, observation: Observation, useful: Mask) -> None:
        assert observation.guide is not None  # nosec B101: the caller has checked
        margins = ((SEARCH_RADIUS, SEARCH_RADIUS), (SEARCH_RADIUS, SEARCH_RADIUS))
        self.width = useful.shape[1] + 2 * SEARCH_RADIUS
        self.useful = np.pad(useful, margins).ravel()
        self.observed = np.pad(observation.measured, ((0, 0), *margins)).reshape(len(observation.values), -1)
        self.values = np.pad(observation.values, ((0, 0), *margins)).reshape(len(observation.values), -1)
        guide = np.where(np.isfinite(observation.guide), observation.guide, 0).astype(np.float32)
        self.guide = np.pad(guide, ((0, 0), *margins)).reshape(len(guide), -1)

    def weighted_means(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], Mask]:
        """Estimates of the pixels at ``rows`` and ``columns``, and where they exist, both ``(band, pixel)``."""
        centre = (rows + SEARCH_RADIUS) * self.width + columns + SEARCH_RADIUS
        candidates = centre[:, None] + offsets[:, 0] * self.width + offsets[:, 1]
        squared_difference = np.zeros(candidates.shape, np.float32)
        for band in self.guide:
            squared_difference += np.square(band[candidates] - band[centre, None])
        distance = np.hypot(*offsets.T).astype(np.float32) / np.float32(_RANGE)
        dissimilarity = np.sqrt(squared_difference / len(self.guide)) / np.float32(_TOLERANCE) + distance
        dissimilarity[~self.useful[candidates]] = np.inf
        nearest = np.argpartition(dissimilarity, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        weights = np.exp(-np.take_along_axis(dissimilarity, nearest, axis=1).astype(np.float64))
        neighbours = np.take_along_axis(candidates, nearest, axis=1)
        observed_weights = weights * self.observed[:, neighbours]
        total = observed_weights.sum(axis=2)
        exists = total > _MIN_WEIGHT_SUM
        return (observed_weights * self.values[:, neighbours]).sum(axis=2) / np.where(exists, total, 1.0), exists


def _search_offsets() -> NDArray[np.int64]:
    """Offsets ``(candidate, 2)`` within the search radius without (0, 0); in its outer half every second one."""
    axis = np.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
    down, right = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    distance = np.hypot(down, right)
    checkerboard = (down + right) % 2 == 0
    kept = (distance > 0) & (distance <= SEARCH_RADIUS) & ((2 * distance <= SEARCH_RADIUS) | checkerboard)
    return np.stack([down[kept], right[kept]], axis=1)
