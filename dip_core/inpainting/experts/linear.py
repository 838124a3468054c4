"""The *linear* fill: one-dimensional interpolation across the gap, along the shorter way.

Each missing pixel lies between two observed pixels of its column and between two of its row. The pair
that is nearer together is interpolated linearly; with one side only, its value is continued.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from .laplace import fill_harmonic


def linear(observation: Observation) -> Cube:
    """Linear interpolation across the gaps; ``(band, row, column)``.

    Pixels with no observed pixel in their row and column get the harmonic value.
    """
    out = observation.values.astype(np.float64)
    for numbers, observed, target in observation.bands_by_mask():
        missing: Mask = target & ~observed
        values = out[numbers]
        rows, columns = np.nonzero(missing)
        near, far, share, span = _along_rows(observed)
        near_down, far_down, share_down, span_down = (part.T for part in _along_rows(observed.T))
        left, right = values[:, rows, near[missing]], values[:, rows, far[missing]]
        above, below = values[:, near_down[missing], columns], values[:, far_down[missing], columns]
        across = left + (right - left) * share[missing]
        down = above + (below - above) * share_down[missing]
        values[:, missing] = np.where(span_down[missing] <= span[missing], down, across)
        unreached: Mask = missing & ~np.isfinite(np.minimum(span_down, span))
        if unreached.any():
            values[:, unreached] = 0.0
            values = fill_harmonic(values, observed | (target & ~unreached), unreached)
        out[numbers] = values
    return observation.keep_observed(out)


def _along_rows(
    observed: Mask,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The columns of the pair around each pixel of its row, the share of the second, and the span that it bridges.

    Spans are infinite where the row is empty; columns are within the row in any case.
    """
    columns = np.arange(observed.shape[1])
    before = np.maximum.accumulate(np.where(observed, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(observed, columns, observed.shape[1])[:, ::-1], axis=1)[:, ::-1]
    has_before, has_after = before >= 0, after < observed.shape[1]
    span = (after - before).astype(np.float64)
    share = np.where(has_before & has_after, (columns - before) / np.maximum(span, 1.0), np.where(has_before, 0.0, 1.0))
    one_sided = np.where(has_before, columns - before, after - columns) * 2.0 + observed.shape[1]
    span = np.where(has_before & has_after, span, np.where(has_before | has_after, one_sided, np.inf))
    return np.maximum(before, 0), np.minimum(after, observed.shape[1] - 1), share, span
