"""Noise level of each band, one standard deviation, estimated from the noisy data.

Where their assumptions fail, both methods overestimate the noise.

- *Many bands* (20 or more): linear regression predicts each band from all others. Noise that is independent between
  bands is the unpredictable part. With the precision matrix P (the inverse covariance of N pixels and B bands) the
  residual of band i is ``(P y)_i / P_ii``; fitting B numbers to N pixels leaves ``(N - B) / N`` of its variance. Only
  the finest diagonal detail of the residual counts.
- *Few bands*: the finest diagonal detail of the band itself, in the quietest quarter of the scene.

The *finest diagonal detail* is the HH coefficient of the 2 x 2 Haar wavelet, ``(a - b - c + d) / 2``. Smooth structure
vanishes in it; independent noise keeps its variance. Its median absolute value over 0.6745 is a standard deviation that
is robust to edges and outliers. Only complete 2 x 2 blocks of observed pixels count.

Sources: Bioucas-Dias and Nascimento, Hyperspectral subspace identification (2008), for the regression; Donoho and
Johnstone (1994) for the median rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask

MIN_REGRESSION_BANDS = 20
_MAX_PIXELS = 200_000  # more pixels do not change a covariance
_MIN_PIXELS_PER_BAND = 4  # complete pixels that the regression needs
_BLOCK = 8
_MIN_BLOCKS = 16
_MIN_DETAILS = 16
_MIN_RELATIVE_LEVEL = 1e-4  # of a band's standard deviation; a lower level is rounding


def noise_levels(values: NDArray, observed: Mask) -> NDArray[np.float64]:
    """The noise level (one standard deviation) of each band ``(band,)``, in the units of ``values``.

    ``values`` and ``observed``: ``(band, row, column)``. Levels are positive, also those of constant bands.
    """
    complete = np.asarray(observed.all(axis=0))
    if len(values) >= MIN_REGRESSION_BANDS and np.count_nonzero(complete) >= _MIN_PIXELS_PER_BAND * len(values):
        found = _regression_levels(values, complete)
    else:
        found = np.array([_quiet_level(band, mask) for band, mask in zip(values, observed)])
    deviation = np.array([float(band[mask].std()) if mask.any() else 0.0 for band, mask in zip(values, observed)])
    return np.maximum(found, np.where(deviation > 0, _MIN_RELATIVE_LEVEL * deviation, 1.0))


def diagonal_detail(image: NDArray) -> NDArray[np.float64]:
    """HH coefficients of all 2 x 2 blocks of an image ``(row, column)``, overlapping blocks included."""
    image = image.astype(np.float64)
    return (image[:-1, :-1] - image[:-1, 1:] - image[1:, :-1] + image[1:, 1:]) / 2.0


def robust_deviation(values: NDArray) -> float:
    """Standard deviation of values around 0, from their median absolute value.

    It uses the mean absolute value if the median is 0 (coarse integers).
    """
    magnitudes = np.abs(values)
    if not magnitudes.size:
        return 0.0
    return float(np.median(magnitudes) / 0.6745) or float(magnitudes.mean() * np.sqrt(np.pi / 2))


def sample_spectra(values: NDArray, complete: Mask) -> NDArray[np.float64]:
    """Spectra ``(band, pixel)`` of the ``complete`` pixels, evenly subsampled to about 200,000."""
    places = np.flatnonzero(complete)
    places = places[:: max(1, len(places) // _MAX_PIXELS)]
    return values.reshape(len(values), -1)[:, places].astype(np.float64)


def _regression_levels(values: NDArray, complete: Mask) -> NDArray[np.float64]:
    sample = sample_spectra(values, complete)
    bands, pixels = sample.shape
    mean = sample.mean(axis=1, keepdims=True)
    scale = np.maximum(sample.std(axis=1, keepdims=True), 1e-300)
    sample = (sample - mean) / scale
    covariance = sample @ sample.T / pixels
    # The ridge keeps the matrix regular if bands are duplicated.
    precision = np.linalg.inv(covariance + 1e-9 * np.trace(covariance) / bands * np.eye(bands))
    weights = precision / np.diag(precision)[:, None]
    correction = np.sqrt(pixels / max(pixels - bands, 1))
    blocks = complete[:-1, :-1] & complete[:-1, 1:] & complete[1:, :-1] & complete[1:, 1:]
    # The detail is linear in the bands, so their details can be predicted instead of their values.
    details = np.stack([diagonal_detail(band)[blocks] for band in values])
    if details.shape[1] < _MIN_DETAILS:
        return correction * (scale[:, 0] / np.sqrt(np.diag(precision)))
    residual = weights @ (details / scale)
    return correction * scale[:, 0] * np.array([robust_deviation(row) for row in residual])


def _quiet_level(image: NDArray, observed: Mask) -> float:
    """Standard deviation of the diagonal detail of a band, or that of its quietest quarter if it is smaller."""
    if min(image.shape) < 2:
        return float(image[observed].std()) if observed.any() else 0.0
    detail = diagonal_detail(np.where(observed, image, 0.0))
    good = observed[:-1, :-1] & observed[:-1, 1:] & observed[1:, :-1] & observed[1:, 1:]
    if np.count_nonzero(good) < _MIN_DETAILS:
        return float(image[observed].std()) if observed.any() else 0.0
    whole = robust_deviation(detail[good])
    rows, columns = (size // _BLOCK * _BLOCK for size in detail.shape)
    if rows * columns < _MIN_BLOCKS * _BLOCK * _BLOCK:
        return whole
    blocks = (rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    full = good[:rows, :columns].reshape(blocks).all(axis=(1, 3))
    if np.count_nonzero(full) < _MIN_BLOCKS:
        return whole
    square = np.square(detail[:rows, :columns]).reshape(blocks).mean(axis=(1, 3))[full]
    # The mean square of n details of pure noise is below its expectation in the quietest quarter of the blocks. As the
    # details overlap, n of them count as n / 2.25 independent ones.
    freedom = _BLOCK * _BLOCK / 2.25
    expected = (1 - 2 / (9 * freedom) - 0.6745 * np.sqrt(2 / (9 * freedom))) ** 3  # quantile by Wilson and Hilferty
    return min(whole, float(np.sqrt(np.quantile(square, 0.25) / expected))) or whole
