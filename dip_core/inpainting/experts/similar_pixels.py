"""*Similar pixels*: a missing pixel takes after observed ones nearby that look like it in the guide.

Of the observed pixels around, those are taken that are nearest in place and in the guide's spectrum together; the fill
is their mean with weights ``exp(-(h / reach + d / likeness))``, *h* the distance in pixels and *d* the root mean square
difference in the guide (in its standard deviations). Unlike a regression on the guide, this holds for any relation
between the two dates, as long as like stays like: fields of one crop change alike.

Source: the idea of Chen et al., A simple and effective method for filling gaps in Landsat ETM+ SLC-off images (2011),
without its correction for the change between dates, which the regression's residual sees to in `guided`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from .laplace import harmonic

SEARCH_RADIUS = 14  # pixels
_REACH = 4.0  # pixels
_LIKENESS = 0.15  # standard deviations of the guide
_TAKEN = 20
_LEAST_SUM = 1e-9  # of weights: what is further off than that says nothing
_WORKING_FLOATS = 1 << 22


def similar(observation: Observation) -> Cube:
    """The weighted mean of similar pixels; ``(band, row, column)``. Needs ``observation.guide``.

    Pixels that the guide does not show, or that have no observed ones around, get the harmonic value.
    """
    out = harmonic(observation)
    if observation.guide is None:
        return out
    shown: Mask = np.all(np.isfinite(observation.guide), axis=0)
    # What is assumed deep inside a gap is a coarse surface, and no pixel to take after.
    useful = observation.measured.any(axis=0) & shown
    rows, columns = np.nonzero((observation.target & ~observation.measured).any(axis=0) & shown)
    offsets = _offsets()
    size = max(1, _WORKING_FLOATS // (len(offsets) * (1 + len(observation.guide))))
    padded = _Padded(observation, useful)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        values, reached = padded.means(rows[part], columns[part], offsets)
        for band in range(len(out)):
            own = reached[band]
            out[band, rows[part][own], columns[part][own]] = values[band, own]
    return observation.keep_observed(out)


class _Padded:
    """The observation with a border as wide as the search, so that no pixel lies near a rim."""

    def __init__(self, observation: Observation, useful: Mask) -> None:
        assert observation.guide is not None  # nosec B101: the caller has checked
        border = ((SEARCH_RADIUS, SEARCH_RADIUS), (SEARCH_RADIUS, SEARCH_RADIUS))
        self.width = useful.shape[1] + 2 * SEARCH_RADIUS
        self.useful = np.pad(useful, border).ravel()
        self.seen = np.pad(observation.measured, ((0, 0), *border)).reshape(len(observation.values), -1)
        self.values = np.pad(observation.values, ((0, 0), *border)).reshape(len(observation.values), -1)
        guide = np.where(np.isfinite(observation.guide), observation.guide, 0).astype(np.float32)
        self.guide = np.pad(guide, ((0, 0), *border)).reshape(len(guide), -1)

    def means(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], Mask]:
        """Estimates ``(band, pixel)``, and which of them there are."""
        centre = (rows + SEARCH_RADIUS) * self.width + columns + SEARCH_RADIUS
        around = centre[:, None] + offsets[:, 0] * self.width + offsets[:, 1]
        unlike = np.zeros(around.shape, np.float32)
        for band in self.guide:
            unlike += np.square(band[around] - band[centre, None])
        away = np.hypot(*offsets.T).astype(np.float32) / np.float32(_REACH)
        cost = np.sqrt(unlike / len(self.guide)) / np.float32(_LIKENESS) + away
        cost[~self.useful[around]] = np.inf
        taken = np.argpartition(cost, _TAKEN, axis=1)[:, :_TAKEN]
        weights = np.exp(-np.take_along_axis(cost, taken, axis=1).astype(np.float64))
        places = np.take_along_axis(around, taken, axis=1)
        counted = weights * self.seen[:, places]
        total = counted.sum(axis=2)
        reached = total > _LEAST_SUM
        return (counted * self.values[:, places]).sum(axis=2) / np.where(reached, total, 1.0), reached


def _offsets() -> NDArray[np.int64]:
    """All pixels within the search radius but the middle one; beyond half of it every other one, as in chess."""
    span = np.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
    down, right = (part.ravel() for part in np.meshgrid(span, span, indexing="ij"))
    away = np.hypot(down, right)
    kept = (away > 0) & (away <= SEARCH_RADIUS) & ((2 * away <= SEARCH_RADIUS) | ((down + right) % 2 == 0))
    return np.stack([down[kept], right[kept]], axis=1)
