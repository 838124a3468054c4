"""Error model of a denoiser: the expected squared error of a sample, in noise variances.

``v = scale_b (c0 leverage + c1 + c2 spread)``, or ``scale_b (c0 + c1 roughness + c2 spread)`` without leverage. The
*leverage* of a sample is the weight of its own value in its estimate: that of its pixel in each eigen-image, times the
squared share of the band. For the mean of a Gaussian posterior, the error variance is the noise variance times the
leverage; weights that are estimated from the same data leave more. *Roughness* is the local variance of the estimate,
*spread* the variance between denoisers, both in noise variances.

With strong noise, held-out samples give the error as a small difference of large numbers, and an error of the noise
level adds to it. Therefore the coefficients have a prior, and the scale of a band counts as far as its samples
determine it.

Source: Wahba, Bayesian confidence intervals for the cross-validated smoothing spline (1983), for the leverage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from ..imaging.noise import MIN_REGRESSION_BANDS
from ..imaging.simplex_weights import minimize_bounded
from ..imaging.subspace import Subspace

# Prior of the first coefficient: mean and standard deviation.
_PRIOR_FACTOR, _PRIOR_FACTOR_SIGMA = 1.4, 0.35
_PRIOR_CONSTANT_SIGMA = 0.5  # of the second coefficient, in mean leverages
# Relative standard deviation of the noise variance of held-out samples. Regression on many bands estimates it; of few
# bands, neighbouring pixels estimate a third of it, and the rest is added noise of known variance.
_NOISE_SIGMA_MANY_BANDS, _NOISE_SIGMA_FEW_BANDS = 0.03, 0.1
_MAX_NOISE_ERROR = 0.5  # largest overestimate of the noise variance, relative
_BAND_SCALE_SIGMA = 0.5  # prior standard deviation of the bands' scales
_BAND_SCALE_RANGE = (0.2, 5.0)


@dataclass(frozen=True)
class DenoisingErrorModel:
    """Coefficients ``(3,)`` and scales ``(band,)`` of the error variance.

    ``typical``: root of the mean error variance of the fit, in noise deviations ``(band,)``. ``uses_leverage``: the
    first coefficient multiplies the leverage, otherwise 1.
    """

    coefficients: NDArray[np.float64]
    scale: NDArray[np.float64]
    typical: NDArray[np.float64]
    uses_leverage: bool

    def deviation(self, subspace: Subspace, estimate: Cube, spread: Cube, leverage: Cube | None) -> Cube:
        """One standard deviation of the error in the data's units, ``(band, row, column)``.

        ``leverage``: of the eigen-images ``(rank, row, column)``, needed if the model uses it.
        """
        variance, *others = _terms(subspace, estimate, spread, leverage if self.uses_leverage else None)
        # In place: with leverage the first term is as large as the result.
        variance *= np.float32(self.coefficients[0])
        for coefficient, term in zip(self.coefficients[1:], others):
            variance += np.float32(coefficient) * term
        np.sqrt(np.maximum(variance, 1e-12, out=variance), out=variance)
        factor = (subspace.sigma * np.sqrt(self.scale)).astype(np.float32)[:, None, None]
        return np.multiply(variance, factor, out=variance if len(variance) == len(factor) else None)


def fit_error_model(
    subspace: Subspace,
    estimate: Cube,
    spread: Cube,
    leverage: Cube | None,
    squared_difference: NDArray[np.float64],
    noise: NDArray[np.float64],
    held_out: Mask,
) -> DenoisingErrorModel:
    """Fit the error model to held-out samples, where ``held_out`` ``(band, row, column)``.

    ``squared_difference``: between estimate and sample; ``noise``: variance of the sample's own noise; both in noise
    variances of the data.
    """
    band = np.nonzero(held_out)[0]
    count = np.bincount(band, minlength=len(held_out))
    terms = [np.broadcast_to(term, held_out.shape)[held_out] for term in _terms(subspace, estimate, spread, leverage)]
    own = noise[held_out]
    design = np.stack([*terms, own], axis=1).astype(np.float64)  # the last column: error of the noise variance
    noise_sigma = _NOISE_SIGMA_MANY_BANDS if len(held_out) >= MIN_REGRESSION_BANDS else _NOISE_SIGMA_FEW_BANDS
    # All samples of a band share the error of its noise level, so their total precision is limited.
    precision = 0.5 / np.square(np.maximum(own, 1e-6)) / (1.0 + 0.5 * noise_sigma**2 * count)[band]
    # Coefficients are not negative, so the error of the noise variance is counted from its lower bound.
    target = squared_difference[held_out] - (1.0 - _MAX_NOISE_ERROR) * own
    prior_precision, prior = np.zeros(4), np.array([_PRIOR_FACTOR, 0.0, 0.0, _MAX_NOISE_ERROR])
    prior_precision[3] = noise_sigma**-2.0
    if leverage is not None:
        constant_sigma = _PRIOR_CONSTANT_SIGMA * max(float(design[:, 0].mean()), 1e-9)
        prior_precision[:2] = _PRIOR_FACTOR_SIGMA**-2.0, constant_sigma**-2.0
    gram = design.T @ (design * precision[:, None]) + np.diag(prior_precision)
    *fitted, noise_error = minimize_bounded(gram, design.T @ (precision * target) + prior_precision * prior)
    coefficients = np.array(fitted)
    if not coefficients.any():
        return default_error_model(subspace, leverage is not None)
    target -= noise_error * own
    variance = design[:, :3] @ coefficients

    def sum_by_band(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(band, values, len(held_out)), np.float64)

    scale_precision = _BAND_SCALE_SIGMA**-2.0
    numerator = sum_by_band(precision * variance * target) + scale_precision
    denominator = sum_by_band(precision * variance**2) + scale_precision
    scale = np.clip(numerator / denominator, *_BAND_SCALE_RANGE)
    mean = np.where(count > 0, sum_by_band(variance) / np.maximum(count, 1), variance.mean())
    return DenoisingErrorModel(coefficients, scale, np.sqrt(scale * mean), leverage is not None)


def default_error_model(subspace: Subspace, uses_leverage: bool) -> DenoisingErrorModel:
    """The model without held-out samples: the prior by leverage, or all noise that the subspace contains."""
    noise_in_subspace = np.maximum(subspace.leverage, 1e-3)
    bands = len(noise_in_subspace)
    typical = np.sqrt(noise_in_subspace)
    if uses_leverage:
        return DenoisingErrorModel(np.array([_PRIOR_FACTOR, 0.0, 0.0]), np.ones(bands), typical, True)
    return DenoisingErrorModel(np.array([1.0, 0.0, 0.0]), noise_in_subspace, typical, False)


def roughness(subspace: Subspace, estimate: Cube) -> Cube:
    """Local variance (3 x 3 pixels) of the estimate, mean over bands, in noise variances; ``(row, column)``."""
    out = np.zeros(estimate.shape[1:], np.float32)
    for band, sigma in zip(estimate, subspace.sigma):
        scaled = (band - band.mean()) / np.float32(sigma)
        mean = ndimage.uniform_filter(scaled, 3)
        out += np.maximum(ndimage.uniform_filter(scaled * scaled, 3) - mean * mean, 0.0)
    return (out / len(estimate)).astype(np.float32)


def _terms(subspace: Subspace, estimate: Cube, spread: Cube, leverage: Cube | None) -> list[Cube]:
    """The terms that the coefficients multiply, each ``(band or 1, row, column)``."""
    one = np.ones((1, *spread.shape), np.float32)
    if leverage is None:
        return [one, roughness(subspace, estimate)[None], spread[None]]
    shares = np.square(subspace.basis).astype(np.float32)
    band_leverage = (shares @ leverage.reshape(len(leverage), -1)).reshape(-1, *spread.shape)
    return [band_leverage, one, spread[None]]
