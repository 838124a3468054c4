"""A residual prepared for tests: without impulses and stripes, and with the same variance everywhere.

Noise often grows with the signal, and its level may differ from place to place. So the residual is divided by the
deviation that a pixel's brightness and its neighbourhood suggest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask

_MAX_ALONE = 4.5  # deviations of a sample whose neighbours are not high too
_MIN_NEIGHBOUR = 2.5  # deviations of such a neighbour, of the same sign
_MIN_NEIGHBOUR_SHARE = 0.3  # of the sample
_MAX_LINE_ERROR = 5.0  # standard errors of the median of a line, beyond which it is subtracted
_MIN_LINE = 16  # samples
_BRIGHTNESS_BINS = 16
_MIN_PIXELS = 640  # for the variation of the noise
_NEIGHBOURHOOD = 31  # pixels
_MAX_SQUARE = 9.0  # of a sample, in noise variances
_MIN_VARIANCE = 0.5  # that brightness suggests, relative to the usual one
_DEVIATION_RANGE = (0.7, 8.0)
_CLIPS = (5.0, 4.0, 3.0)  # deviations
_MAX_COVARIANCE_PIXELS, _MIN_PIXELS_PER_BAND = 20_000, 4
_TRIMMED_SHARE = 0.02  # of the pixels
_EIGENVALUE_MARGIN = 1.1
_MAX_COINCIDENCES = 2e-6  # of impulses, in a pixel


def subtract_stripes(residual: Cube, observed: Mask) -> None:
    """Subtract from each row and column ``(band, row, column)`` its median, where that is significantly not 0."""
    for image, seen in zip(residual, observed):
        _subtract_columns(image, seen)
        _subtract_columns(image.T, seen.T)


def remove_impulses(residual: Cube, outliers: Mask | None = None) -> float:
    """Set samples to 0 that are high where no sample beside them is high with the same sign; returns their share.

    ``residual`` ``(band, row, column)``, in noise deviations. Beside a sample are the next bands and pixels; beside
    known ``outliers``, which may be lines, the next bands only.
    """
    high = np.abs(residual) > _MAX_ALONE
    if outliers is not None:
        high |= outliers
    place = np.nonzero(high)
    if not len(place[0]):
        return 0.0
    sign = np.sign(residual[place])
    limit = np.maximum(_MIN_NEIGHBOUR, _MIN_NEIGHBOUR_SHARE * np.abs(residual[place]))
    supported = np.zeros(len(sign), bool)
    for axis in range(3 if outliers is None else 1):
        for step in (-1, 1):
            beside = list(place)
            beside[axis] = place[axis] + step
            inside = (beside[axis] >= 0) & (beside[axis] < residual.shape[axis])
            value = residual[tuple(np.where(inside, index, 0) for index in beside)]
            supported |= inside & (value * sign > limit)
    residual[tuple(index[~supported] for index in place)] = 0.0
    return float(np.count_nonzero(~supported) / residual.size)


def clipping_level(bands: int, impulse_share: float) -> float:
    """Deviations at which samples are clipped, so that impulses side by side by chance do not look like a target.

    The more frequent impulses are, the more of them must not suffice together.
    """
    for number, level in zip((2, 3), _CLIPS):
        # Adjacent bands of one pixel, all with the same sign.
        if bands * impulse_share**number * 0.5 ** (number - 1) < _MAX_COINCIDENCES:
            return level
    return _CLIPS[-1]


def local_deviation(residual: Cube, estimate: Cube, sigma: NDArray, observed: Mask) -> NDArray[np.float32]:
    """One deviation of ``residual`` ``(band, row, column)`` in each pixel ``(row, column)``; the usual one is 1.

    ``estimate``: in the data's units, ``sigma``: noise levels ``(band,)``; their ratio is the brightness.
    """
    count = observed.sum(axis=0)
    square, bright = np.zeros(count.shape, np.float32), np.zeros(count.shape, np.float32)
    for own, image, level, seen in zip(residual, estimate, sigma, observed):
        square += np.minimum(np.square(own), _MAX_SQUARE)
        bright += np.where(seen, image / np.float32(level), 0)
    known = count > 0
    if np.count_nonzero(known) < _MIN_PIXELS:
        return np.ones(count.shape, np.float32)
    square /= np.maximum(count, 1)
    bright /= np.maximum(count, 1)
    variance = _by_brightness(square, bright, known)
    ratio = np.where(known, square / variance, 0.0)
    # Small targets hardly change the mean of their neighbourhood if their squares are limited.
    ratio = np.minimum(ratio, 2.0 * float(np.median(ratio[known])))
    share = ndimage.uniform_filter(known.astype(np.float32), _NEIGHBOURHOOD, mode="constant")
    mean = ndimage.uniform_filter(ratio, _NEIGHBOURHOOD, mode="constant") / np.maximum(share, 1e-3)
    usual = float(np.median(mean[known])) or 1.0
    variance = variance * np.maximum(mean / usual, 1.0)
    return np.clip(np.sqrt(variance), *_DEVIATION_RANGE).astype(np.float32)


def correlation_root(residual: Cube, observed: Mask) -> NDArray[np.float64] | None:
    """The symmetric root of the covariance between bands ``(band, band)`` of ``residual`` ``(band, row, column)``.

    Only what exceeds independent noise counts: other eigenvalues are 1. None if all are. ``observed`` ``(row,
    column)``: pixels that count, without the few with the highest values, which may be targets.
    """
    places = np.flatnonzero(observed)
    places = places[:: max(1, len(places) // _MAX_COVARIANCE_PIXELS)]
    sample = residual.reshape(len(residual), -1)[:, places].astype(np.float64)
    square = np.square(sample).sum(axis=0)
    if not len(square):
        return None
    sample = sample[:, square <= np.quantile(square, 1.0 - _TRIMMED_SHARE)]
    bands, pixels = sample.shape
    if pixels < _MIN_PIXELS_PER_BAND * bands:
        return None
    eigenvalues, vectors = np.linalg.eigh(sample @ sample.T / pixels)
    high = eigenvalues > _EIGENVALUE_MARGIN * (1.0 + np.sqrt(bands / pixels)) ** 2
    if not high.any():
        return None
    growth = np.sqrt(eigenvalues[high]) - 1.0
    return np.asarray(np.eye(bands) + (vectors[:, high] * growth) @ vectors[:, high].T)


def _subtract_columns(image: NDArray[np.float32], observed: Mask) -> None:
    count = observed.sum(axis=0)
    error = 1.2533 / np.sqrt(np.maximum(count, 1))  # of a median of normal values
    # Unobserved samples are 0, so they make the first estimate smaller, never larger.
    striped = (count >= _MIN_LINE) & (np.abs(np.median(image, axis=0)) > _MAX_LINE_ERROR * error)
    for column in np.flatnonzero(striped):
        seen = observed[:, column]
        image[seen, column] -= np.median(image[seen, column])


def _by_brightness(square: NDArray, bright: NDArray, known: Mask) -> NDArray[np.float64]:
    """The variance that a line through the medians of brightness bins gives, relative to the usual one."""
    x, y = bright[known], square[known]
    parts = np.array_split(np.argsort(x, kind="stable"), _BRIGHTNESS_BINS)
    centres, medians = (np.array([np.median(values[part]) for part in parts]) for values in (x, y))
    usual = float(np.median(medians))
    if np.ptp(centres) <= 0 or usual <= 0:
        return np.ones(bright.shape)
    slope, start = np.polyfit(centres, medians / usual, 1)
    return np.asarray(np.maximum(start + slope * bright, _MIN_VARIANCE), np.float64)
