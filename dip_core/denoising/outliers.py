"""*Outliers*: samples that are no signal with noise of the band's level: impulses, dead pixels and lines, stripes.

A sample is one where it is more than some noise deviations from what the spectral subspace makes of its pixel's other
bands. A *line*, row or column of one band, is one where the median of these differences stands out from those of the
lines beside it. Outliers are taken as not observed, so that other bands and pixels speak for them.

What there is to start from is a median filter: where a sample lies far from the median of its neighbours it is left
out of the first subspace. Data whose bands are too few to predict each other keep this first judgement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Mask
from ..imaging.subspace import Subspace, find_subspace

_PILOT = 6.0  # deviations from the local median
_SAMPLE = 4.5  # deviations from the subspace's prediction; of normal noise 7 samples in a million
_LINE = 6.0  # deviations of a line's median
_LEAST_LINE = 0.3  # noise deviations that a line's median must differ by, however sure it is
_BESIDE = 7  # lines on either side
_FEWEST_IN_LINE = 12
_MOST_SHARE = 0.5  # of a band's samples
_ROUNDS = 2


def find_outliers(values: NDArray, observed: Mask, subspace: Subspace) -> Mask:
    """Outliers among the observed samples of ``values`` ``(band, row, column)``."""
    found = _unlike_neighbours(values, observed)
    if subspace.rank > len(values) / 2:
        return found
    for _ in range(_ROUNDS):
        kept = observed & ~found
        images, _ = subspace.project(values, kept)
        # A kept sample has a part in its own prediction, which makes the residual smaller.
        share = np.sqrt(np.maximum(1.0 - subspace.leverage, 0.1))[:, None, None]
        residual = (values - subspace.reconstruct(images)) / (subspace.sigma[:, None, None] * share)
        found = observed & (np.abs(residual) > _SAMPLE)
        found |= _lines(residual, observed, found) | _lines(
            residual.swapaxes(1, 2), *_turned(observed, found)
        ).swapaxes(1, 2)
        found[found.mean(axis=(1, 2)) > _MOST_SHARE * observed.mean(axis=(1, 2))] = False
    return found


def robust_subspace(values: NDArray, observed: Mask, sigma: NDArray[np.float64] | None) -> Subspace:
    """The subspace of data with outliers; as `subspace.find_subspace`."""
    found = _unlike_neighbours(values, observed)
    subspace = find_subspace(_replaced(values, found), observed, sigma)
    for _ in range(_ROUNDS):
        found = find_outliers(values, observed, subspace)
        # Predictions in the place of outliers: pixels stay complete, which the fit needs.
        images, _ = subspace.project(values, observed & ~found)
        subspace = find_subspace(np.where(found, subspace.reconstruct(images), values), observed, sigma)
    return subspace


def _unlike_neighbours(values: NDArray, observed: Mask) -> Mask:
    found = np.zeros(observed.shape, bool)
    for band, (image, seen) in enumerate(zip(values, observed)):
        if not seen.any():
            continue
        filled = np.where(seen, image, np.median(image[seen]))
        difference = filled - ndimage.median_filter(filled, 5)
        scale = 1.4826 * float(np.median(np.abs(difference[seen])))
        found[band] = seen & (np.abs(difference) > _PILOT * scale) & (scale > 0)
    return found


def _replaced(values: NDArray, found: Mask) -> NDArray:
    out = values.copy()
    for band in np.flatnonzero(found.any(axis=(1, 2))):
        filtered = ndimage.median_filter(values[band], 5)
        out[band][found[band]] = filtered[found[band]]
    return out


def _turned(observed: Mask, found: Mask) -> tuple[Mask, Mask]:
    return observed.swapaxes(1, 2), found.swapaxes(1, 2)


def _lines(residual: NDArray, observed: Mask, found: Mask) -> Mask:
    """Samples of columns whose median differs from those beside; ``(band, row, column)``."""
    out = np.zeros(observed.shape, bool)
    number = observed.sum(axis=1)
    enough = number >= _FEWEST_IN_LINE
    if not enough.any():
        return out
    with np.errstate(invalid="ignore"):
        medians = np.ma.median(np.ma.array(residual, mask=~observed), axis=1).filled(0.0)
    beside = ndimage.median_filter(medians, (1, 2 * _BESIDE + 1))
    sure = 1.2533 / np.sqrt(np.maximum(number, 1))  # the deviation of a median of normal values
    # Lines that differ by themselves anyway, as where signal escaped the subspace, set a higher bar.
    usual = 1.4826 * np.median(np.abs(medians - beside), axis=1, keepdims=True)
    striped = enough & (np.abs(medians - beside) > np.maximum(_LINE * np.maximum(sure, usual), _LEAST_LINE))
    striped |= enough & (np.sum(found, axis=1) > 0.6 * number)
    return observed & striped[:, None, :]
