"""Validation of denoisers without a noise-free reference, on values that are held out of the data.

- *Hidden samples* (many bands): in each pixel one band in ten is hidden. The prediction of a hidden sample comes from
  the pixel's other bands and from other pixels, whose noise is independent of the sample's. So the mean squared
  difference is the denoiser's error plus the noise variance, and the denoiser with the lower difference is better,
  whatever the noise level is.
- *Split noise* (few bands, which cannot predict each other): fresh noise e of the scene's level is added as ``y + a e``
  for the denoiser and as ``y - e / a`` for the comparison. For normal noise the two are independent.

The *error* is the mean squared difference minus the noise variance of the held-out values. It estimates the squared
difference to the noise-free scene, for a task that is slightly harder than the real one.

Sources: Batson and Royer, Noise2Self (2019), for hidden samples; Oliveira, Lei and Tibshirani, Unbiased risk
estimation in the normal means problem via coupled bootstrap (2021), for split noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube
from ..imaging.simplex_weights import minimize_bounded
from .clipping import Limits, moments
from .error_model import DenoisingErrorModel, default_error_model, fit_error_model
from .held_out import HeldOutData

_MIN_SLOPE = 0.5  # of the clipped mean; with a smaller slope, most samples are clipped


@dataclass(frozen=True)
class DenoisingScore:
    """Errors on the held-out samples. Arrays are ``(band,)``; squared errors are minus the samples' own noise.

    ``description``: how samples were held out. ``power``: variance of the estimate. ``residual_ratio``: standard
    deviation of the held-out samples about the estimate, divided by that of their noise; 1 for a perfect estimate.
    """

    description: str
    baseline_name: str
    count: NDArray[np.int64]
    error: NDArray[np.float64]
    baseline_error: NDArray[np.float64]
    power: NDArray[np.float64]
    residual_ratio: NDArray[np.float64]

    @property
    def rmse(self) -> float | None:
        """Root of the mean error over all samples, in the data's units; None if noise hides it."""
        return _root_mean(self.error, self.count)

    @property
    def baseline_rmse(self) -> float | None:
        """The same for the baseline."""
        return _root_mean(self.baseline_error, self.count)

    @property
    def r2(self) -> float | None:
        """Mean over bands of the explained share of the variance; bands without samples or variance do not count."""
        return self._mean_r2(self.error)

    @property
    def baseline_r2(self) -> float | None:
        """The same for the baseline."""
        return self._mean_r2(self.baseline_error)

    def _mean_r2(self, error: NDArray[np.float64]) -> float | None:
        usable = (self.count > 0) & (self.power > 0)
        if not usable.any():
            return None
        return float(np.mean(1.0 - np.maximum(error[usable], 0.0) / self.power[usable]))


def pairwise_weights(held_out: HeldOutData, estimates: Sequence[Cube], limits: Limits) -> NDArray[np.float64]:
    """Weights (not negative, sum 1) of one or two estimates with the least squared difference to held-out samples.

    Differences count in noise variances. With the weight s of the second, ``|| e0 + s (e1 - e0) ||^2`` is minimal at
    ``s = - e0' (e1 - e0) / || e1 - e0 ||^2``.
    """
    if len(estimates) == 1:
        return np.ones(1)
    first, second = (moments(estimate, np.sqrt(held_out.noise), limits)[0] for estimate in estimates)
    sigma = held_out.subspace.sigma.astype(np.float32)[:, None, None]
    error = ((first - held_out.samples) / sigma)[held_out.mask].astype(np.float64)
    step = ((second - first) / sigma)[held_out.mask].astype(np.float64)
    length = float(step @ step)
    weight = min(max(-float(error @ step) / length, 0.0), 1.0) if length > 0 else 0.0
    return np.array([1.0 - weight, weight])


def optimal_gains(held_out: HeldOutData, estimate: Cube, limits: Limits) -> NDArray[np.float64]:
    """Factors (0 to 1) of the eigen-images with the least squared difference to held-out samples, ``(rank,)``.

    The noise that a denoiser leaves in a weak eigen-image may exceed the signal; a factor below 1 then lowers the error
    (Wiener). ``min sum over samples of (E_b' G a_p - w_bp)^2`` for whitened samples w.
    """
    subspace = held_out.subspace
    basis = subspace.basis.astype(np.float32)
    images = basis.T @ subspace.whiten(estimate).reshape(len(basis), -1)
    mean, _, slope = moments(estimate, np.sqrt(held_out.noise), limits)
    compared = held_out.mask & (slope > _MIN_SLOPE)
    sample = estimate + np.where(compared, (held_out.samples - mean) / np.where(compared, slope, 1.0), 0.0)
    target = np.where(compared, subspace.whiten(sample), 0).reshape(len(basis), -1)
    counted = compared.reshape(len(basis), -1).astype(np.float32)
    right = ((basis.T @ target) * images).sum(axis=1, dtype=np.float64)
    gram = np.empty((len(images), len(images)))
    for row, image in enumerate(images):
        shared = (basis * basis[:, row : row + 1]).T @ counted  # sum over the compared bands of E_bi E_bj
        gram[row] = (shared * images * image).sum(axis=1, dtype=np.float64)
    return minimize_bounded(gram, right, 1.0)


def score_estimate(
    held_out: HeldOutData, estimate: Cube, spread: Cube, leverage: Cube | None, limits: Limits
) -> tuple[DenoisingErrorModel, DenoisingScore]:
    """The error model fitted to the held-out samples, and the scores of ``estimate`` ``(band, row, column)``.

    With clipped data, an estimate x is compared with the samples as ``g(x)``, and the difference is divided by the
    slope of g; samples where g has a small slope do not count.
    """
    mean, variance, slope = moments(estimate, np.sqrt(held_out.noise), limits)
    compared = held_out.mask & (slope > _MIN_SLOPE)
    slope = np.where(compared, slope, 1.0)
    noise = np.where(compared, variance / np.square(slope), 0.0)
    square = np.where(compared, np.square((mean - held_out.samples) / slope), 0.0)
    baseline_mean = moments(held_out.baseline, np.sqrt(held_out.noise), limits)[0]
    baseline_square = np.where(compared, np.square((baseline_mean - held_out.samples) / slope), 0.0)
    count = compared.sum(axis=(1, 2))
    divisor = np.maximum(count, 1)
    mean_square, mean_noise = square.sum(axis=(1, 2)) / divisor, noise.sum(axis=(1, 2)) / divisor
    power = np.array([float(own[here].var()) if here.any() else 0.0 for own, here in zip(estimate, compared)])
    score = DenoisingScore(
        held_out.description,
        held_out.baseline_name,
        count,
        mean_square - mean_noise,
        baseline_square.sum(axis=(1, 2)) / divisor - mean_noise,
        power,
        np.sqrt(mean_square / np.where(mean_noise > 0, mean_noise, 1.0)),
    )
    if not compared.any():
        return default_error_model(held_out.subspace, leverage is not None), score
    unit = np.square(held_out.subspace.sigma)[:, None, None]
    model = fit_error_model(held_out.subspace, estimate, spread, leverage, square / unit, noise / unit, compared)
    return model, score


def _root_mean(error: NDArray[np.float64], count: NDArray[np.int64]) -> float | None:
    mean = float((error * count).sum() / max(count.sum(), 1))
    return float(np.sqrt(mean)) if mean > 0 else None
