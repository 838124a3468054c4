"""The *band residual*: the part of each band that the other bands do not predict, in which stripes stand out.

Linear regression predicts each band from all others. With the precision matrix P (the inverse covariance of the bands)
the residual of band b is ``(P y)_b / P_bb``, so that one inverse serves all bands. A stripe in band k appears in the
residual of band b with the known factor ``P_bk / P_bb`` (*leakage*), which can be removed. Bands with common stripes
would predict each other's stripes; they can be excluded as predictors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask

MIN_BANDS = 5  # with fewer bands a stripe and its leakage cannot be separated
MIN_PIXELS_PER_BAND = 8  # that the covariance needs
_RIDGE = 1e-6
_MAX_SAMPLES = 100_000
_MIN_OBSERVED_SHARE = 0.8  # of the bands, at a pixel that is used


@dataclass(frozen=True)
class BandResidual:
    """Residuals ``(band, row, column)`` in the data's units, NaN for unused pixels.

    ``leakage[b, k]``: the factor with which an offset in band k appears in the residual of band b. ``is_predicted``
    False: there are too few bands or pixels, so the residuals are the bands themselves and ``leakage`` is the identity.
    """

    values: Cube
    leakage: NDArray[np.float64]
    is_predicted: bool

    def add(self, band: int, change: NDArray, rows: slice = slice(None), columns: slice = slice(None)) -> None:
        """Update all residuals for a ``change`` (row, column) of band ``band`` within a window."""
        weight = self.leakage[:, band].astype(np.float32)
        for number in np.flatnonzero(weight):
            self.values[number, rows, columns] += weight[number] * change


def compute_band_residual(
    values: Cube, used: Mask, excluded: Sequence[int] = (), training: Cube | None = None
) -> BandResidual:
    """Predict each band of ``values`` ``(band, row, column)`` from the others and subtract the prediction.

    ``used`` (same shape): pixels to fit to and to return; elsewhere ``values`` must be finite. ``excluded``: bands that
    predict no other band, if enough others are left. ``training``: a cube to fit to instead of ``values``, such as
    ``values`` without known stripes.
    """
    count = len(values)
    complete = used.mean(axis=0) >= _MIN_OBSERVED_SHARE
    number = np.count_nonzero(complete)
    if count < MIN_BANDS or number < MIN_PIXELS_PER_BAND * count:
        return BandResidual(np.where(used, values, np.float32(np.nan)), np.eye(count), False)
    sample = (values if training is None else training)[:, complete][:, :: max(1, number // _MAX_SAMPLES)]
    spectra = sample.astype(np.float64)
    spectra -= spectra.mean(axis=1, keepdims=True)
    scale = np.maximum(spectra.std(axis=1), np.finfo(np.float32).tiny)
    spectra /= scale[:, None]
    covariance = spectra @ spectra.T / spectra.shape[1] + _RIDGE * np.eye(count)
    predictors = np.setdiff1d(np.arange(count), np.asarray(excluded, int))
    if len(predictors) < MIN_BANDS:
        predictors = np.arange(count)
    precision = np.linalg.inv(covariance[np.ix_(predictors, predictors)])
    leakage = np.eye(count)
    leakage[:, predictors] -= covariance[:, predictors] @ precision
    leakage[np.ix_(predictors, predictors)] = precision / np.diag(precision)[:, None]
    leakage *= scale[:, None] / scale
    level = np.array([float(np.median(band[mask])) if mask.any() else 0.0 for band, mask in zip(values, used)])
    flat = (values - level[:, None, None].astype(np.float32)).reshape(count, -1)
    residual = (leakage.astype(np.float32) @ flat).reshape(values.shape)
    residual[~(used & complete)] = np.nan
    return BandResidual(residual, leakage, True)


def select_filled(values: NDArray, observed: Mask, bands: Sequence[int]) -> Cube:
    """A float32 copy of ``bands`` with missing pixels filled from the nearest observed one."""
    out = values[list(bands)].astype(np.float32)
    for place, band in enumerate(bands):
        if not observed[band].all():
            fill_missing(out[place], observed[band])
    return out


def fill_missing(image: NDArray[np.float32], observed: Mask) -> None:
    """Fill missing pixels of ``image`` ``(row, column)`` from the nearest observed one, in place."""
    if observed.any():
        rows, columns = ndimage.distance_transform_edt(~observed, return_distances=False, return_indices=True)
        image[~observed] = image[rows[~observed], columns[~observed]]
