"""What a band shows that the other bands do not: the *band residual*, in which stripes stand alone.

Each band is predicted linearly from all others. With the precision matrix P (the inverse covariance of
the bands), the residual of band b is (P y)_b / P_bb, so one inverse serves all bands. A stripe in band k
leaks into the residual of band b by P_bk / P_bb, which is known, and can be undone. Bands that are known
to be striped alike would predict each other's stripes: they are *suspects*, predicted from the others only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask

MIN_BANDS = 5  # with less, a stripe and its leak cannot be told apart
PIXELS_A_BAND = 8  # that the covariance needs
_RIDGE = 1e-6
_MOST_SAMPLES = 100_000  # enough for any number of bands


@dataclass(frozen=True)
class Residual:
    """Residuals ``(band, row, column)`` in the data's units, NaN where a pixel was not used.

    ``leak[b, k]``: how much of an offset in band k appears in the residual of band b; the unit matrix where
    bands are taken alone (``spectral`` is False).
    """

    values: Cube
    leak: NDArray[np.float64]
    spectral: bool

    def add(self, band: int, change: NDArray, rows: slice = slice(None), columns: slice = slice(None)) -> None:
        """Account for a change of band ``band`` by ``change`` (row, column) within a window."""
        weight = self.leak[:, band].astype(np.float32)
        for number in np.flatnonzero(weight):
            self.values[number, rows, columns] += weight[number] * change


def residual(values: Cube, used: Mask, suspects: Sequence[int] = (), model: Cube | None = None) -> Residual:
    """Predict each band of a cube ``(band, row, column)`` from the others and subtract the prediction.

    ``used`` (same shape): pixels to learn from and to give a residual; elsewhere ``values`` must be finite.
    ``suspects``: bands that predict no other, if enough others are left. ``model``: a cube to learn from instead,
    such as ``values`` less known stripes. With few bands, or few pixels, each band is taken as it is.
    """
    count = len(values)
    everywhere = used.mean(axis=0) >= 0.8
    number = np.count_nonzero(everywhere)
    if count < MIN_BANDS or number < PIXELS_A_BAND * count:
        return Residual(np.where(used, values, np.float32(np.nan)), np.eye(count), False)
    spectra = (values if model is None else model)[:, everywhere][:, :: max(1, number // _MOST_SAMPLES)].astype(
        np.float64
    )
    spectra -= spectra.mean(axis=1, keepdims=True)
    scale = np.maximum(spectra.std(axis=1), np.finfo(np.float32).tiny)
    spectra /= scale[:, None]
    covariance = spectra @ spectra.T / spectra.shape[1] + _RIDGE * np.eye(count)
    good = np.setdiff1d(np.arange(count), np.asarray(suspects, int))
    if len(good) < MIN_BANDS:
        good = np.arange(count)
    precision = np.linalg.inv(covariance[np.ix_(good, good)])
    leak = np.eye(count)
    leak[:, good] -= covariance[:, good] @ precision
    leak[np.ix_(good, good)] = precision / np.diag(precision)[:, None]
    leak *= scale[:, None] / scale
    level = np.array([float(np.median(band[seen])) if seen.any() else 0.0 for band, seen in zip(values, used)])
    flat = (values - level[:, None, None].astype(np.float32)).reshape(count, -1)
    out = (leak.astype(np.float32) @ flat).reshape(values.shape)
    out[~(used & everywhere)] = np.nan
    return Residual(out, leak, True)


def filled(values: Cube, seen: Mask, keep: Sequence[int]) -> Cube:
    """A float32 copy of the bands ``keep`` whose unseen pixels have the value of the nearest seen one."""
    out = values[list(keep)].astype(np.float32)
    for place, band in enumerate(keep):
        if not seen[band].all():
            fill_unseen(out[place], seen[band])
    return out


def fill_unseen(image: NDArray[np.float32], seen: Mask) -> None:
    """Give unseen pixels ``(row, column)`` the value of the nearest seen one, in place."""
    if seen.any():
        rows, columns = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
        image[~seen] = image[rows[~seen], columns[~seen]]
