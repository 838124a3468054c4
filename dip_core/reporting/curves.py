"""Data of the curves in a validation section: error by distance from the gap edge, and coverage of the uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri


def rmse_by_distance(errors: NDArray, distances: NDArray, min_pixels: int = 20) -> tuple[list[float], list[float]]:
    """RMSE by distance from the gap edge: (distances in pixels, RMSE).

    ``errors``, ``distances``: one value per hidden pixel; errors that are not finite do not count. Distances are
    rounded to whole pixels; distances with fewer than ``min_pixels`` are left out as too noisy.
    """
    usable = np.isfinite(errors)
    rounded = np.rint(distances[usable]).astype(np.int64)
    pixels = np.bincount(rounded)
    squares = np.bincount(rounded, np.square(errors[usable].astype(np.float64)))
    kept = np.flatnonzero(pixels >= max(1, min_pixels))
    return kept.astype(float).tolist(), np.sqrt(squares[kept] / pixels[kept]).tolist()


def coverage(errors: NDArray, deviation: NDArray, nominal: Sequence[float] | NDArray) -> list[float]:
    """The share of errors inside the central prediction interval of each ``nominal`` share, for a calibration plot.

    ``deviation``: predicted standard deviation of each error. The interval of share p is +- z deviation, where z is the
    normal quantile of (1 + p) / 2; a calibrated prediction has coverage p. NaN without errors.
    """
    usable = np.isfinite(errors) & np.isfinite(deviation)
    size, sigma = np.abs(errors[usable].astype(np.float64)), deviation[usable].astype(np.float64)
    inside = [int((size <= ndtri((1.0 + share) / 2.0) * sigma).sum()) for share in nominal]
    return [number / size.size if size.size else math.nan for number in inside]
