"""Clipping: values that the sensor or a product cut off at a lowest and a highest value (*censored* values).

A clipped sample says only that the noisy value lay beyond the limit. Without correction, noise near a limit averages
not to the truth x but to ``g(x)``. With ``a = (l - x) / s``, ``b = (h - x) / s`` and the normal density phi and
distribution Phi:

    g(x) = x [Phi(b) - Phi(a)] + s [phi(a) - phi(b)] + l Phi(a) + h [1 - Phi(b)]

A denoiser that ignores clipping converges to g(x). Two remedies: the inverse of g, applied to its estimate, and the EM
algorithm: a sample clipped at l is replaced by its expectation given the current estimate, ``x - s phi(a) / Phi(a)``, a
sample clipped at h by ``x + s phi(b) / [1 - Phi(b)]``, and the data are denoised again.

Sources: Tobin (1958) for the censored likelihood; Foi, Clipped noisy images (2009), for g.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from ..arrays import Mask

_MIN_SHARE = 0.005  # of the samples at a limit, in a band and in all bands together
_MIN_SPIKE_RATIO = 5.0  # samples at the limit, relative to those at each of the next values
_SPIKE_NEIGHBOURS = 3
# Samples within one noise deviation of the limit, relative to those at the limit. Normal noise about a truth at the
# limit gives 0.34 / 0.5.
_MIN_NEAR_LIMIT = 0.3
_INVERSE_RANGE = 4.0  # noise deviations beyond the limits that the inverse of g covers
_TABLE_SIZE = 512


@dataclass(frozen=True)
class Limits:
    """The lowest and highest value of each band, ``(band,)``; -inf and inf where a band is not clipped."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def any(self) -> bool:
        """Whether any band is clipped."""
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())

    def censored(self, values: NDArray, observed: Mask) -> tuple[Mask, Mask]:
        """Observed samples at the lower and at the upper limit, ``(band, row, column)``."""
        low, high = self.low[:, None, None], self.high[:, None, None]
        return observed & (values <= low), observed & (values >= high)


def no_limits(bands: int) -> Limits:
    """The limits of bands that are not clipped."""
    return Limits(np.full(bands, -np.inf), np.full(bands, np.inf))


def find_limits(values: NDArray, observed: Mask, sigma: NDArray[np.float64]) -> Limits:
    """The limits of ``values`` ``(band, row, column)``: spikes at the ends of the bands' histograms.

    A spike counts only if noise of level ``sigma`` ``(band,)`` can have caused it: then many samples also lie within
    one noise deviation of the limit. Saturated targets and fill values have no such neighbours.
    """
    low, high = np.full(len(values), -np.inf), np.full(len(values), np.inf)
    for band, (image, mask) in enumerate(zip(values, observed)):
        levels, counts = np.unique(image[mask], return_counts=True)
        if len(levels) > 2 * _SPIKE_NEIGHBOURS:
            near_low = counts[1 : np.searchsorted(levels, levels[0] + sigma[band], side="right")].sum()
            near_high = counts[np.searchsorted(levels, levels[-1] - sigma[band]) : -1].sum()
            if _is_spike(counts) and near_low >= _MIN_NEAR_LIMIT * counts[0]:
                low[band] = levels[0]
            if _is_spike(counts[::-1]) and near_high >= _MIN_NEAR_LIMIT * counts[-1]:
                high[band] = levels[-1]
    limits = Limits(low, high)
    clipped = sum(int(np.count_nonzero(part)) for part in limits.censored(values, observed))
    # A few samples in a few bands do not justify the EM iterations; the other bands predict them well enough.
    return limits if clipped >= _MIN_SHARE * np.count_nonzero(observed) else no_limits(len(values))


def expected(truth: NDArray, sigma: NDArray, limits: Limits) -> NDArray[np.float64]:
    """The mean ``g`` of clipped noisy samples of the truth ``(band, ...)``."""
    return moments(truth, sigma, limits)[0]


def moments(
    truth: NDArray, sigma: NDArray, limits: Limits
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean ``g``, variance, and slope ``g' = Phi(b) - Phi(a)`` of clipped noisy samples of the truth."""
    if not limits.any:
        shape = np.shape(truth)
        variance = np.square(np.asarray(sigma, np.float64)).reshape(-1, *[1] * (len(shape) - 1))
        return truth.astype(np.float64), np.broadcast_to(variance, shape), np.ones(shape)
    x, s, low, high = _shaped(truth, sigma, limits)
    a, b = (low - x) / s, (high - x) / s
    # An infinite limit has weight 0, so any finite number may replace it.
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    below, above, slope = ndtr(a), ndtr(-b), ndtr(b) - ndtr(a)
    mean = x * slope + s * (_density(a) - _density(b)) + low * below + high * above
    square = (np.square(x) + np.square(s)) * slope + s * ((x + low) * _density(a) - (x + high) * _density(b))
    square += np.square(low) * below + np.square(high) * above
    return mean, np.maximum(square - np.square(mean), 1e-12 * np.square(s)), slope


def unclipped(mean: NDArray, sigma: NDArray, limits: Limits) -> NDArray[np.float64]:
    """The inverse of g: the truth whose clipped noisy samples have the mean ``mean``, ``(band, row, column)``."""
    out = mean.astype(np.float64)
    for band, (image, s, low, high) in enumerate(zip(mean, sigma, limits.low, limits.high)):
        if not (np.isfinite(low) or np.isfinite(high)):
            continue
        start = low - _INVERSE_RANGE * s if np.isfinite(low) else float(np.min(image))
        end = high + _INVERSE_RANGE * s if np.isfinite(high) else float(np.max(image))
        table = np.linspace(start, max(end, start + s), _TABLE_SIZE)
        one = Limits(limits.low[band : band + 1], limits.high[band : band + 1])
        out[band] = np.interp(image, expected(table[None], sigma[band : band + 1], one)[0], table)
    return out


def complete(
    values: NDArray, observed: Mask, truth: NDArray, sigma: NDArray, limits: Limits
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The EM step: values with clipped samples replaced by their expectations, and the updated noise level ``(band,)``.

    ``truth``: the current estimate; ``sigma``: the noise levels that it was computed with, ``(band,)``.
    """
    at_low, at_high = limits.censored(values, observed)
    x, s, low, high = _shaped(truth, sigma, limits)
    a, b = (low - x) / s, (high - x) / s
    below, above = _hazard(-a), _hazard(b)
    out = np.where(at_low, x - s * below, np.where(at_high, x + s * above, values))
    # Second moments about x, in noise variances: 1 - a h(a) for samples below the limit, 1 + b h(b) for samples above.
    with np.errstate(invalid="ignore"):
        square = np.where(
            at_low, s * s * (1.0 - a * below), np.where(at_high, s * s * (1.0 + b * above), np.square(values - x))
        )
    count = np.maximum(observed.sum(axis=(1, 2)), 1)
    level = np.sqrt(square.sum(axis=(1, 2), where=observed) / count)
    return out.astype(np.float32), level


def _is_spike(counts: NDArray[np.int64]) -> bool:
    """Whether the first of the counts of a band's values is a spike."""
    return bool(
        counts[0] >= max(_MIN_SHARE * counts.sum(), 2.0)
        and counts[0] >= _MIN_SPIKE_RATIO * counts[1 : 1 + _SPIKE_NEIGHBOURS].mean()
    )


def _shaped(truth: NDArray, sigma: NDArray, limits: Limits) -> tuple[NDArray[np.float64], ...]:
    """Truth, noise level and limits in shapes that broadcast."""
    shape = (-1, *[1] * (truth.ndim - 1))
    return (truth.astype(np.float64), *(part.reshape(shape) for part in (sigma, limits.low, limits.high)))


def _density(u: NDArray) -> NDArray[np.float64]:
    return np.exp(-0.5 * np.square(u)) / np.sqrt(2 * np.pi)


def _hazard(u: NDArray) -> NDArray[np.float64]:
    """``phi(u) / Phi(-u)``: the mean of a standard normal value that exceeds u; stable for large u."""
    with np.errstate(invalid="ignore", over="ignore"):
        hazard = np.exp(-0.5 * np.square(u) - 0.5 * np.log(2 * np.pi) - log_ndtr(-u))
    return np.where(np.isfinite(hazard), hazard, 0.0)
