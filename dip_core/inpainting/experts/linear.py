"""Linear interpolation across a gap, along the row or the column, whichever way is shorter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from .interface import DEFAULT_CONTEXT, ExpertContext
from .laplace import fill_harmonic


def linear(observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
    """Linear interpolation across the gaps; ``(band, row, column)``.

    With an observed pixel on one side only, its value is repeated. Pixels without an observed pixel in their row and
    column get the harmonic value.
    """
    out = observation.values.astype(np.float64)
    for bands, observed, target in observation.bands_by_mask():
        missing: Mask = target & ~observed
        values = out[bands]
        rows, columns = np.nonzero(missing)
        left_column, right_column, fraction, width = _neighbours_in_row(observed)
        upper_row, lower_row, fraction_down, height = (part.T for part in _neighbours_in_row(observed.T))
        left, right = values[:, rows, left_column[missing]], values[:, rows, right_column[missing]]
        upper, lower = values[:, upper_row[missing], columns], values[:, lower_row[missing], columns]
        along_row = left + (right - left) * fraction[missing]
        along_column = upper + (lower - upper) * fraction_down[missing]
        values[:, missing] = np.where(height[missing] <= width[missing], along_column, along_row)
        unreached: Mask = missing & ~np.isfinite(np.minimum(height, width))
        if unreached.any():
            values[:, unreached] = 0.0
            values = fill_harmonic(values, observed | (target & ~unreached), unreached)
        out[bands] = values
    return observation.keep_observed(out)


def _neighbours_in_row(
    observed: Mask,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Columns of the nearest observed pixels on both sides of each pixel, the weight of the right one, their distance.

    All are ``(row, column)``. The distance is infinite in rows without observed pixels, and larger than any two-sided
    one where only one side is observed. Columns are always inside the row.
    """
    columns = np.arange(observed.shape[1])
    before = np.maximum.accumulate(np.where(observed, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(observed, columns, observed.shape[1])[:, ::-1], axis=1)[:, ::-1]
    has_before, has_after = before >= 0, after < observed.shape[1]
    distance = (after - before).astype(np.float64)
    fraction = np.where(
        has_before & has_after, (columns - before) / np.maximum(distance, 1.0), np.where(has_before, 0.0, 1.0)
    )
    one_sided = np.where(has_before, columns - before, after - columns) * 2.0 + observed.shape[1]
    distance = np.where(has_before & has_after, distance, np.where(has_before | has_after, one_sided, np.inf))
    return np.maximum(before, 0), np.minimum(after, observed.shape[1] - 1), fraction, distance
