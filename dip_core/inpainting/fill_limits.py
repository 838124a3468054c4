"""Limits of filling: the distance to observed pixels, and the convex hull beyond which values are extrapolated."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..arrays import Mask

_BLOCK_ROWS = 1024  # bounds the memory of the distances


def within_distance(observed: Mask, target: Mask, max_distance: float) -> Mask:
    """The target pixels ``(band, row, column)`` at most ``max_distance`` pixels from an observed pixel of their band.

    The distance is Euclidean, between pixel centres.
    """
    near = np.zeros_like(target)
    rows = target.shape[1]
    margin = math.ceil(min(max_distance, rows))
    for band in range(len(target)):
        for top in range(0, rows, _BLOCK_ROWS):
            bottom = min(top + _BLOCK_ROWS, rows)
            first = max(top - margin, 0)
            seen = observed[band, first : bottom + margin]
            wanted = target[band, top:bottom]
            if wanted.any() and seen.any():
                distance = ndimage.distance_transform_edt(~seen)[top - first : bottom - first]
                near[band, top:bottom] = wanted & (distance <= max_distance)
    return near


def count_beyond_hull(observed: Mask, target: Mask) -> int:
    """The number of target pixels ``(row, column)`` outside the convex hull of the observed pixels."""
    rows = np.flatnonzero(observed.any(axis=1))
    if not len(rows) or not target.any():
        return 0
    first = observed.argmax(axis=1)[rows]
    last = observed.shape[1] - 1 - observed[:, ::-1].argmax(axis=1)[rows]
    left, right = _hull_extents(rows, first, last)
    above_and_below = np.count_nonzero(target[: rows[0]]) + np.count_nonzero(target[rows[-1] + 1 :])
    columns = np.arange(observed.shape[1])
    beside = 0
    for row, low, high in zip(range(rows[0], rows[-1] + 1), left, right):
        beside += np.count_nonzero(target[row] & ((columns < low - 1e-6) | (columns > high + 1e-6)))
    return int(above_and_below + beside)


def _hull_extents(
    rows: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The leftmost and rightmost column of the hull in each row from the first to the last of ``rows``."""
    points = np.column_stack([np.concatenate([rows, rows]), np.concatenate([first, last])]).astype(np.float64)
    every = np.arange(rows[0], rows[-1] + 1)
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all points on one line
        return np.interp(every, rows, first), np.interp(every, rows, last)
    edges = [(corners[k - 1], corners[k]) for k in range(len(corners))]
    left, right = np.full(len(every), np.inf), np.full(len(every), -np.inf)
    for (row, column), (next_row, next_column) in edges:
        if row == next_row:
            crossing, at = np.array([column, next_column]), np.full(2, int(row - rows[0]))
        else:
            low, high = sorted((row, next_row))
            at = np.arange(int(low - rows[0]), int(high - rows[0]) + 1)
            crossing = column + (at + rows[0] - row) * (next_column - column) / (next_row - row)
        np.minimum.at(left, at, crossing)
        np.maximum.at(right, at, crossing)
    return left, right
