"""The *error model* of a denoiser: the squared error to expect of a sample, in the variances of its noise.

``v = scale_b (c0 leverage + c1 + c2 spread)``, or ``scale_b (c0 + c1 roughness + c2 spread)`` where the leverage is
not known. The *leverage* of a sample is the weight that it has in its own estimate: its pixel's in the eigen-images,
each by the squared share that its band has in it. For the mean of a Gaussian posterior the error's variance is that of
the noise times the leverage; weights that are estimated from the same data leave more. *Roughness* is the local
variance of the estimate, *spread* that among the experts, both in noise variances.

Held-out samples tell the error as a small difference of large numbers where the noise is strong: a hundred thousand of
them leave its mean uncertain by a half on Reno with noise of 100/255, and an error of the noise level adds to that. So
the coefficients have a prior, and a band's own scale is believed as far as its samples can tell it.

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

# The error's variance by the leverage, and one standard deviation of it; see docs/decisions/024.
_USUAL, _VARIES = 1.4, 0.35
_CONSTANT_VARIES = 0.5  # of the mean leverage
# What the noise variance of held-out samples is known to, of itself: by the other bands of many, or by the neighbouring
# pixels of few (of whose variance a third is the scene's; the rest was added, and is known).
_KNOWN_OF_MANY, _KNOWN_OF_FEW = 0.03, 0.1
_BELOW = 0.5  # no noise variance is off by more
_BANDS_VARY = 0.5  # one standard deviation of the bands' scales
_LIMITS = (0.2, 5.0)  # of a band's scale


@dataclass(frozen=True)
class ErrorModel:
    """Coefficients ``(3,)`` and scale ``(band,)`` of the error's variance, and whether the first is the leverage's.

    ``typical``: the root of the mean variance where it was learned, in noise deviations ``(band,)``.
    """

    coefficients: NDArray[np.float64]
    scale: NDArray[np.float64]
    typical: NDArray[np.float64]
    by_leverage: bool

    def deviation(self, subspace: Subspace, estimate: Cube, spread: Cube, leverage: Cube | None) -> Cube:
        """One standard deviation of the error in the data's units, ``(band, row, column)``.

        ``leverage``: that of the eigen-images ``(rank, row, column)``, where the model goes by it.
        """
        variance, *others = _terms(subspace, estimate, spread, leverage if self.by_leverage else None)
        # As large as the result where it goes by the leverage, so in place.
        variance *= np.float32(self.coefficients[0])
        for own, term in zip(self.coefficients[1:], others):
            variance += np.float32(own) * term
        np.sqrt(np.maximum(variance, 1e-12, out=variance), out=variance)
        factor = (subspace.sigma * np.sqrt(self.scale)).astype(np.float32)[:, None, None]
        return np.multiply(variance, factor, out=variance if len(variance) == len(factor) else None)


def learn(
    subspace: Subspace,
    estimate: Cube,
    spread: Cube,
    leverage: Cube | None,
    square: NDArray[np.float64],
    noise: NDArray[np.float64],
    judged: Mask,
) -> ErrorModel:
    """The model that held-out samples support, where ``judged`` ``(band, row, column)``.

    ``square``: squared differences of estimate and sample; ``noise``: the variance of the sample's own noise; both in
    noise variances of the data.
    """
    band = np.nonzero(judged)[0]
    count = np.bincount(band, minlength=len(judged))
    terms = [np.broadcast_to(term, judged.shape)[judged] for term in _terms(subspace, estimate, spread, leverage)]
    own = noise[judged]
    each = np.stack([*terms, own], axis=1).astype(np.float64)  # the last: what the noise level is off by
    known = _KNOWN_OF_MANY if len(judged) >= MIN_REGRESSION_BANDS else _KNOWN_OF_FEW
    # However many samples a band has, they share its noise level.
    trust = 0.5 / np.square(np.maximum(own, 1e-6)) / (1.0 + 0.5 * known**2 * count)[band]
    # Coefficients are not negative, so that of the noise is counted from below what it can be.
    aim = square[judged] - (1.0 - _BELOW) * own
    precision, usual = np.zeros(4), np.array([_USUAL, 0.0, 0.0, _BELOW])
    precision[3] = known**-2.0
    if leverage is not None:
        precision[:2] = _VARIES**-2.0, (_CONSTANT_VARIES * max(float(each[:, 0].mean()), 1e-9)) ** -2.0
    gram = each.T @ (each * trust[:, None]) + np.diag(precision)
    *found, level = minimize_bounded(gram, each.T @ (trust * aim) + precision * usual)
    coefficients = np.array(found)
    if not coefficients.any():
        return unknown(subspace, leverage is not None)
    aim -= level * own
    model = each[:, :3] @ coefficients

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(band, values, len(judged)), np.float64)

    prior_of_scale = _BANDS_VARY**-2.0
    scale = (summed(trust * model * aim) + prior_of_scale) / (summed(trust * model**2) + prior_of_scale)
    scale = np.clip(scale, *_LIMITS)
    mean = np.where(count > 0, summed(model) / np.maximum(count, 1), model.mean())
    return ErrorModel(coefficients, scale, np.sqrt(scale * mean), leverage is not None)


def unknown(subspace: Subspace, by_leverage: bool) -> ErrorModel:
    """For want of held-out samples: the usual error by the leverage, or all the noise that the subspace holds."""
    held = np.maximum(subspace.leverage, 1e-3)
    if by_leverage:
        return ErrorModel(np.array([_USUAL, 0.0, 0.0]), np.ones(len(held)), np.sqrt(held), True)
    return ErrorModel(np.array([1.0, 0.0, 0.0]), held, np.sqrt(held), False)


def roughness(subspace: Subspace, estimate: Cube) -> Cube:
    """Local variance (3 x 3) of the estimate, mean over bands, in noise variances; ``(row, column)``."""
    out = np.zeros(estimate.shape[1:], np.float32)
    for band, sigma in zip(estimate, subspace.sigma):
        scaled = (band - band.mean()) / np.float32(sigma)
        mean = ndimage.uniform_filter(scaled, 3)
        out += np.maximum(ndimage.uniform_filter(scaled * scaled, 3) - mean * mean, 0.0)
    return (out / len(estimate)).astype(np.float32)


def _terms(subspace: Subspace, estimate: Cube, spread: Cube, leverage: Cube | None) -> list[Cube]:
    """What the coefficients multiply, each ``(band or 1, row, column)``."""
    one = np.ones((1, *spread.shape), np.float32)
    if leverage is None:
        return [one, roughness(subspace, estimate)[None], spread[None]]
    shares = np.square(subspace.basis).astype(np.float32)
    own = (shares @ leverage.reshape(len(leverage), -1)).reshape(-1, *spread.shape)
    return [own, one, spread[None]]
