"""Outliers: impulses, dead pixels and lines, and stripes, which are not normal noise of the band's level.

A sample is an outlier if it differs by several noise deviations from what the spectral subspace predicts from the
pixel's other bands. A *line* (row or column of one band) is an outlier if the median of these differences differs from
that of neighbouring lines. Outliers are treated as not observed, so other bands and pixels replace them.

The first subspace is found without samples that differ strongly from the median of their neighbours. If the bands are
too few to predict each other, only this first test is made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Mask
from ..imaging.subspace import Subspace, find_subspace

_MAX_MEDIAN_DIFFERENCE = 6.0  # robust deviations from the local median
_MAX_SAMPLE_DIFFERENCE = 4.5  # noise deviations from the prediction; 7 samples in a million of normal noise exceed it
_MAX_LINE_DIFFERENCE = 6.0  # standard errors of a line's median
_MIN_LINE_DIFFERENCE = 0.3  # noise deviations that a line's median must differ by, however small its standard error
_NEIGHBOUR_LINES = 7  # on either side
_MIN_LINE_SAMPLES = 12
_MAX_LINE_SHARE = 0.6  # of outliers in a line; with more, the whole line is an outlier
_MAX_BAND_SHARE = 0.5  # of outliers in a band; with more, none is marked
_ROUNDS = 2


def find_outliers(values: NDArray, observed: Mask, subspace: Subspace) -> Mask:
    """Outliers among the observed samples of ``values`` ``(band, row, column)``."""
    outliers = _differ_from_neighbours(values, observed)
    if subspace.rank > len(values) / 2:
        return outliers
    for _ in range(_ROUNDS):
        kept = observed & ~outliers
        images, _ = subspace.project(values, kept)
        # A kept sample contributes to its own prediction, which makes its residual smaller.
        shrinkage = np.sqrt(np.maximum(1.0 - subspace.leverage, 0.1))[:, None, None]
        residual = (values - subspace.reconstruct(images)) / (subspace.sigma[:, None, None] * shrinkage)
        outliers = observed & (np.abs(residual) > _MAX_SAMPLE_DIFFERENCE)
        columns = _outlier_columns(residual, observed, outliers)
        rows = _outlier_columns(*(array.swapaxes(1, 2) for array in (residual, observed, outliers))).swapaxes(1, 2)
        outliers |= columns | rows
        outliers[outliers.mean(axis=(1, 2)) > _MAX_BAND_SHARE * observed.mean(axis=(1, 2))] = False
    return outliers


def replace_outliers(values: NDArray, observed: Mask, sigma: NDArray[np.float64] | None) -> tuple[NDArray, Mask]:
    """Values with outliers replaced by the subspace's predictions, and the observed samples that are no outliers.

    ``sigma``: known noise levels ``(band,)``; None: estimated.
    """
    subspace = robust_subspace(values, observed, sigma)
    outliers = find_outliers(values, observed, subspace)
    prediction = subspace.reconstruct(subspace.project(values, observed & ~outliers)[0])
    return np.where(outliers, prediction, values), observed & ~outliers


def robust_subspace(values: NDArray, observed: Mask, sigma: NDArray[np.float64] | None) -> Subspace:
    """The subspace of data with outliers; arguments and errors as in `subspace.find_subspace`."""
    outliers = _differ_from_neighbours(values, observed)
    subspace = find_subspace(_replace_by_median(values, outliers), observed, sigma)
    for _ in range(_ROUNDS):
        outliers = find_outliers(values, observed, subspace)
        # Outliers are replaced by predictions, because the fit needs pixels with values in all bands.
        images, _ = subspace.project(values, observed & ~outliers)
        subspace = find_subspace(np.where(outliers, subspace.reconstruct(images), values), observed, sigma)
    return subspace


def _differ_from_neighbours(values: NDArray, observed: Mask) -> Mask:
    """Observed samples that differ strongly from the median of 5 x 5 pixels."""
    outliers = np.zeros(observed.shape, bool)
    for band, (image, mask) in enumerate(zip(values, observed)):
        if not mask.any():
            continue
        filled = np.where(mask, image, np.median(image[mask]))
        difference = filled - ndimage.median_filter(filled, 5)
        scale = 1.4826 * float(np.median(np.abs(difference[mask])))
        outliers[band] = mask & (np.abs(difference) > _MAX_MEDIAN_DIFFERENCE * scale) & (scale > 0)
    return outliers


def _replace_by_median(values: NDArray, outliers: Mask) -> NDArray:
    out = values.copy()
    for band in np.flatnonzero(outliers.any(axis=(1, 2))):
        filtered = ndimage.median_filter(values[band], 5)
        out[band][outliers[band]] = filtered[outliers[band]]
    return out


def _outlier_columns(residual: NDArray, observed: Mask, outliers: Mask) -> Mask:
    """Observed samples of columns whose median differs from that of neighbouring columns, ``(band, row, column)``."""
    out = np.zeros(observed.shape, bool)
    count = observed.sum(axis=1)
    enough = count >= _MIN_LINE_SAMPLES
    if not enough.any():
        return out
    with np.errstate(invalid="ignore"):
        medians = np.ma.median(np.ma.array(residual, mask=~observed), axis=1).filled(0.0)
    neighbours = ndimage.median_filter(medians, (1, 2 * _NEIGHBOUR_LINES + 1))
    standard_error = 1.2533 / np.sqrt(np.maximum(count, 1))  # of a median of normal values
    # Where columns differ anyway, for example because signal is not in the subspace, the threshold is higher.
    usual = 1.4826 * np.median(np.abs(medians - neighbours), axis=1, keepdims=True)
    threshold = np.maximum(_MAX_LINE_DIFFERENCE * np.maximum(standard_error, usual), _MIN_LINE_DIFFERENCE)
    striped = enough & (np.abs(medians - neighbours) > threshold)
    striped |= enough & (np.sum(outliers, axis=1) > _MAX_LINE_SHARE * count)
    return observed & striped[:, None, :]
