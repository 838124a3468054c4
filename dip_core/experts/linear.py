"""The *linear* fill: one-dimensional interpolation across the gap, along the shorter way.

Each missing pixel lies between two observed pixels of its column and between two of its row. The pair
that is nearer together is interpolated linearly; with one side only, its value is continued.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..observation import Cube, Mask, Observation
from .laplace import fill_harmonic


def linear(observation: Observation) -> Cube:
    """Linear interpolation across the gaps; ``(band, row, column)``.

    Pixels with no observed pixel in their row and column get the harmonic value.
    """
    out = observation.values.astype(np.float64)
    for numbers, observed, target in observation.groups():
        values = observation.values[numbers].astype(np.float64)
        down, span_down = _along_rows(np.swapaxes(values, 1, 2), observed.T)
        across, span_across = _along_rows(values, observed)
        filled = np.where(span_down.T <= span_across, np.swapaxes(down, 1, 2), across)
        reached = np.isfinite(np.minimum(span_down.T, span_across))
        filled = np.where(reached, filled, 0.0)
        if (target & ~reached).any():
            filled = fill_harmonic(filled, observed | (target & reached), target & ~reached)
        out[numbers] = filled
    return observation.keep_observed(out)


def _along_rows(values: NDArray[np.float64], observed: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interpolation along each row, and the span that it bridges (infinite where the row is empty)."""
    columns = np.arange(observed.shape[1])
    before = np.maximum.accumulate(np.where(observed, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(observed, columns, observed.shape[1])[:, ::-1], axis=1)[:, ::-1]
    has_before, has_after = before >= 0, after < observed.shape[1]
    left = np.take_along_axis(values, np.maximum(before, 0)[None], axis=2)
    right = np.take_along_axis(values, np.minimum(after, observed.shape[1] - 1)[None], axis=2)
    span = (after - before).astype(np.float64)
    share = np.where(has_before & has_after, (columns - before) / np.maximum(span, 1.0), np.where(has_before, 0.0, 1.0))
    one_sided = np.where(has_before, columns - before, after - columns) * 2.0 + observed.shape[1]
    span = np.where(has_before & has_after, span, np.where(has_before | has_after, one_sided, np.inf))
    return left * (1.0 - share) + right * share, span
