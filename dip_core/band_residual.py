"""What a band shows that the other bands do not: the *band residual*, in which stripes stand alone.

Each band is predicted linearly from all others. With the precision matrix P (the inverse covariance of
the bands), the residual of band b is (P y)_b / P_bb, so one inverse serves all bands. A stripe in band k
leaks into the residual of band b by P_bk / P_bb, which is known, and can be undone.

The covariance is that of *mixed differences* y(i,j) - y(i+h,j) - y(i,j+h) + y(i+h,j+h), from which offsets
of columns and of rows cancel: bands that share stripes do not learn to predict them from one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Cube = NDArray[np.float32]
Mask = NDArray[np.bool_]

FEWEST_BANDS = 5  # with less, a stripe and its leak cannot be told apart
PIXELS_A_BAND = 8  # differences that the covariance needs for each band
_STEP = 8  # pixels over which differences are taken: far enough for a scene to change
_RIDGE = 1e-6


@dataclass(frozen=True)
class Residual:
    """Residuals ``(band, row, column)`` in the data's units, NaN where a pixel was not used.

    ``leak[b, k]``: how much of an offset in band k appears in the residual of band b. ``precision``: P, up to
    a factor; both are the unit matrix where bands are taken alone.
    """

    values: Cube
    leak: NDArray[np.float64]
    precision: NDArray[np.float64]
    spectral: bool

    def add(self, band: int, change: NDArray, rows: slice = slice(None), columns: slice = slice(None)) -> None:
        """Account for a change of band ``band`` by ``change`` (row, column) within a window."""
        weight = self.leak[:, band].astype(np.float32)
        for number in np.flatnonzero(weight):
            self.values[number, rows, columns] += weight[number] * change


def residual(values: Cube, used: Mask) -> Residual:
    """Predict each band of a cube ``(band, row, column)`` from the others and subtract the prediction.

    ``used`` (same shape): pixels to learn from and to give a residual; elsewhere ``values`` must be finite.
    With few bands, or few pixels, each band is taken as it is: ``spectral`` is False then.
    """
    count = len(values)
    everywhere = used.mean(axis=0) >= 0.8
    differences = _mixed_differences(values, everywhere) if count >= FEWEST_BANDS else None
    if differences is None or differences.shape[1] < PIXELS_A_BAND * count:
        unit = np.eye(count)
        return Residual(np.where(used, values, np.float32(np.nan)), unit, unit, False)
    scale = np.maximum(differences.std(axis=1), np.finfo(np.float32).tiny)
    differences /= scale[:, None]
    covariance = (differences @ differences.T).astype(np.float64) / differences.shape[1]
    precision = np.linalg.inv(covariance + _RIDGE * np.eye(count)) / np.outer(scale, scale)
    leak = precision / np.diag(precision)[:, None]
    level = np.array([float(np.median(band[seen])) if seen.any() else 0.0 for band, seen in zip(values, used)])
    flat = (values - level[:, None, None].astype(np.float32)).reshape(count, -1)
    out = (leak.astype(np.float32) @ flat).reshape(values.shape)
    out[~(used & everywhere)] = np.nan
    return Residual(out, leak, precision, True)


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


def _mixed_differences(values: Cube, seen: Mask) -> NDArray[np.float32] | None:
    """Differences ``(band, sample)`` in which offsets of rows and columns cancel."""
    step = min(_STEP, (min(seen.shape) - 1) // 2)
    if step < 1:
        return None
    near, far = slice(None, -step), slice(step, None)
    whole = seen[near, near] & seen[far, near] & seen[near, far] & seen[far, far]
    thin = max(1, int(np.count_nonzero(whole) // 100_000))  # enough for any number of bands
    rows, columns = (place[::thin] for place in np.nonzero(whole))
    return np.stack(
        [
            band[rows, columns]
            - band[rows + step, columns]
            - band[rows, columns + step]
            + band[rows + step, columns + step]
            for band in values
        ]
    ).astype(np.float32)
