"""The *noise level*: one standard deviation of the noise in each band, from the noisy data alone.

Two ways, each an overestimate where its assumption fails, never a guess below the noise:

- *Many bands* (20 or more): a band is predicted from all others by linear regression. Noise that is independent
  between bands cannot be predicted, so it is what is left over. With the precision matrix P (the inverse of the
  covariance of N pixels and B bands) the residual of band i is ``(P y)_i / P_ii``, and N pixels fitted with B
  numbers leave ``(N - B) / N`` of its variance. Of the residual, only the finest diagonal detail is counted.
- *Few bands*: the finest diagonal detail of the band itself, in the quietest quarter of the scene.

The *finest diagonal detail* is the HH coefficient of the 2 x 2 Haar wavelet, ``(a - b - c + d) / 2``: smooth
structure vanishes, independent noise keeps its variance. Its median absolute deviation over 0.6745 is a standard
deviation that edges and outliers do not disturb. Only complete 2 x 2 blocks of observed pixels are counted.

Sources: Bioucas-Dias and Nascimento, Hyperspectral subspace identification (2008), for the regression; Donoho and
Johnstone (1994) for the median rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask

MIN_REGRESSION_BANDS = 20
_MOST_PIXELS = 200_000  # pixels that enter a covariance; more change nothing
_PIXELS_A_BAND = 4  # complete pixels a band that a regression needs
_BLOCK = 8
_FEWEST_DETAILS = 16
_FLOOR = 1e-4  # of a band's own deviation: a level below it is rounding


def noise_levels(values: NDArray, observed: Mask) -> NDArray[np.float64]:
    """One standard deviation of the noise of each band, ``(band,)``, in the units of ``values``.

    ``values`` and ``observed``: ``(band, row, column)``. Positive for every band, also for a constant one.
    """
    complete = np.asarray(observed.all(axis=0))
    if len(values) >= MIN_REGRESSION_BANDS and np.count_nonzero(complete) >= _PIXELS_A_BAND * len(values):
        found = _by_regression(values, complete)
    else:
        found = np.array([_quiet_detail(band, seen) for band, seen in zip(values, observed)])
    spread = np.array([float(band[seen].std()) if seen.any() else 0.0 for band, seen in zip(values, observed)])
    return np.maximum(found, np.where(spread > 0, _FLOOR * spread, 1.0))


def diagonal_detail(image: NDArray) -> NDArray[np.float64]:
    """HH coefficients of all 2 x 2 blocks of a ``(row, column)`` image, overlapping ones too."""
    image = image.astype(np.float64)
    return (image[:-1, :-1] - image[:-1, 1:] - image[1:, :-1] + image[1:, 1:]) / 2.0


def robust_deviation(values: NDArray) -> float:
    """Median absolute value over 0.6745; where most values are 0 (coarse integers), the mean absolute one's."""
    size = np.abs(values)
    if not size.size:
        return 0.0
    return float(np.median(size) / 0.6745) or float(size.mean() * np.sqrt(np.pi / 2))


def sample_spectra(values: NDArray, complete: Mask) -> NDArray[np.float64]:
    """Spectra of complete pixels, ``(band, pixel)``, evenly thinned to what a covariance needs."""
    places = np.flatnonzero(complete)
    places = places[:: max(1, len(places) // _MOST_PIXELS)]
    return values.reshape(len(values), -1)[:, places].astype(np.float64)


def neighbour_correlation(image: NDArray, seen: Mask) -> float:
    """Correlation of horizontally and vertically adjacent observed pixels; 0 for independent noise."""
    centred = np.where(seen, image - image[seen].mean() if seen.any() else 0.0, 0.0).astype(np.float64)
    variance = float(np.square(centred[seen]).mean()) if seen.any() else 0.0
    right, below = seen[:, 1:] & seen[:, :-1], seen[1:] & seen[:-1]
    pairs = int(right.sum() + below.sum())
    if not pairs or variance <= 0:
        return 0.0
    products = (centred[:, 1:] * centred[:, :-1])[right].sum() + (centred[1:] * centred[:-1])[below].sum()
    return float(products / pairs / variance)


def _by_regression(values: NDArray, complete: Mask) -> NDArray[np.float64]:
    sample = sample_spectra(values, complete)
    bands, pixels = sample.shape
    mean = sample.mean(axis=1, keepdims=True)
    scale = np.maximum(sample.std(axis=1, keepdims=True), 1e-300)
    sample = (sample - mean) / scale
    covariance = sample @ sample.T / pixels
    # A little on the diagonal keeps duplicated bands from making it singular.
    precision = np.linalg.inv(covariance + 1e-9 * np.trace(covariance) / bands * np.eye(bands))
    weights = precision / np.diag(precision)[:, None]
    shrunk = np.sqrt(pixels / max(pixels - bands, 1))
    blocks = complete[:-1, :-1] & complete[:-1, 1:] & complete[1:, :-1] & complete[1:, 1:]
    # The detail is linear, so it is taken of the bands once and predicted instead of them.
    details = np.stack([diagonal_detail(band)[blocks] for band in values])
    if details.shape[1] < _FEWEST_DETAILS:
        return shrunk * (scale[:, 0] / np.sqrt(np.diag(precision)))
    residual = weights @ (details / scale)
    return shrunk * scale[:, 0] * np.array([robust_deviation(row) for row in residual])


def _quiet_detail(image: NDArray, seen: Mask) -> float:
    """Deviation of the diagonal detail, over the whole band or over its quietest quarter, whichever is less."""
    if min(image.shape) < 2:
        return float(image[seen].std()) if seen.any() else 0.0
    detail = diagonal_detail(np.where(seen, image, 0.0))
    good = seen[:-1, :-1] & seen[:-1, 1:] & seen[1:, :-1] & seen[1:, 1:]
    if np.count_nonzero(good) < _FEWEST_DETAILS:
        return float(image[seen].std()) if seen.any() else 0.0
    whole = robust_deviation(detail[good])
    rows, columns = (size // _BLOCK * _BLOCK for size in detail.shape)
    if rows * columns < 16 * _BLOCK * _BLOCK:
        return whole
    cut = (rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    full = good[:rows, :columns].reshape(cut).all(axis=(1, 3))
    if np.count_nonzero(full) < 16:
        return whole
    square = np.square(detail[:rows, :columns]).reshape(cut).mean(axis=(1, 3))[full]
    # Of a block of n details of pure noise, the mean square is below its expectation in the quietest quarter; the
    # details overlap, so that n counts for about n / 2.25 independent ones.
    freedom = _BLOCK * _BLOCK / 2.25
    expected = (1 - 2 / (9 * freedom) - 0.6745 * np.sqrt(2 / (9 * freedom))) ** 3  # Wilson and Hilferty's quantile
    return min(whole, float(np.sqrt(np.quantile(square, 0.25) / expected))) or whole
