"""The uncertainty of a filled pixel: a standard deviation from its features, calibrated on hidden pixels.

The logarithm of the error's variance is linear in the logarithms of the terms from `GapFeatures.uncertainty_terms`:
``a_class + sum of b_i log term_i`` with powers ``b_i >= 0``. The coefficients maximise the likelihood of normal errors
(a gamma regression of the squared errors, which is convex). Then a factor for each band is fitted, so that one standard
deviation covers 68 % of the hidden pixels and two cover 95 %. Heavy tails prevent matching both at once: the factor is
a geometric mean, in which one standard deviation has five times the weight of two.

Source: McCullagh and Nelder, Generalized Linear Models (1989), chapter 8, for the regression; the rest is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545  # shares within one and two standard deviations
_ONE_SIGMA_WEIGHT = 5  # relative to two
_TERM_OFFSET = 1e-4  # added to the standardised terms before the logarithm
_MIN_SQUARED_ERROR = 1e-5  # smaller ones count as this; errors of 0 in flat areas say nothing about the others
_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE = np.log(1e-12), np.log(1e6)
_MAX_POWER = 2.0
_SHRINKAGE = 50.0  # samples per class with which the levels are shrunk to their mean
_MIN_BAND_SAMPLES = 200  # for a factor of a band's own
_MAX_SAMPLES = 60_000  # for the coefficients


@dataclass(frozen=True)
class UncertaintyModel:
    """Coefficients: ``levels`` ``(class,)``, ``powers`` ``(term,)``, ``factors`` ``(band,)``."""

    levels: NDArray[np.float64]
    powers: NDArray[np.float64]
    factors: NDArray[np.float64]

    def deviation(self, distance_class: NDArray, band: NDArray, terms: Sequence[NDArray]) -> NDArray[np.float64]:
        """One standard deviation of each pixel ``(pixel,)``, standardised; all arrays have this shape.

        Raises ValueError if the number of terms is wrong.
        """
        if len(terms) != len(self.powers):
            raise ValueError(f"{len(self.powers)} terms are needed, {len(terms)} given")
        log_variance = self.levels[distance_class]
        for power, term in zip(self.powers, terms):
            if power:
                log_variance = log_variance + power * np.log(term + _TERM_OFFSET)
        return np.exp(0.5 * np.clip(log_variance, _MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE)) * self.factors[band]


def fit_uncertainty(
    squared_error: NDArray[np.float64],
    distance_class: NDArray[np.integer],
    band: NDArray[np.int64],
    terms: Sequence[NDArray],
    classes: int,
    bands: int,
) -> UncertaintyModel:
    """Fit the model to squared errors; all arrays are ``(sample,)``, standardised.

    ``terms``: as in `GapFeatures.uncertainty_terms`. Without samples the result is `roughness_as_variance`.
    """
    if not len(squared_error):
        return roughness_as_variance(classes, bands, len(terms))
    squared_error = np.maximum(squared_error, _MIN_SQUARED_ERROR)
    subset = slice(None, None, -(-len(squared_error) // _MAX_SAMPLES))
    raw = _fit_coefficients(squared_error[subset], distance_class[subset], np.stack(terms)[:, subset], classes)
    ratio = np.sqrt(squared_error) / raw.deviation(distance_class, np.zeros_like(band), terms)
    factors = np.full(bands, calibration_factor(ratio))
    for number in range(bands):
        in_band = band == number
        if np.count_nonzero(in_band) >= _MIN_BAND_SAMPLES:
            factors[number] = calibration_factor(ratio[in_band])
    return UncertaintyModel(raw.levels, raw.powers, factors)


def roughness_as_variance(classes: int, bands: int, terms: int) -> UncertaintyModel:
    """The model without any samples: the variance is the first of ``terms`` terms, the roughness."""
    return UncertaintyModel(np.zeros(classes), np.eye(terms)[0], np.ones(bands))


def calibration_factor(ratio: NDArray[np.float64]) -> float:
    """The factor of the deviations, from the ratios ``(sample,)`` of absolute error and deviation."""
    one, two = np.quantile(ratio, (ONE_SIGMA, TWO_SIGMA))
    return float(max(one**_ONE_SIGMA_WEIGHT * two / 2.0, 1e-30) ** (1.0 / (_ONE_SIGMA_WEIGHT + 1)))


def _fit_coefficients(
    squared_error: NDArray, distance_class: NDArray, terms: NDArray, classes: int
) -> UncertaintyModel:
    """Levels and powers; the factors are 1. ``terms``: ``(term, sample)``."""
    logarithms = np.log(terms.astype(np.float64) + _TERM_OFFSET)
    centre = logarithms.mean(axis=1, keepdims=True)
    logarithms -= centre  # decorrelates levels and powers
    varies = logarithms.std(axis=1) > 1e-9  # a constant term cannot be distinguished from the level
    count = np.bincount(distance_class, minlength=classes).astype(np.float64)
    start = np.clip(np.log(max(float(squared_error.mean()), 1e-12)), _MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE)

    def loss(coefficients: NDArray) -> tuple[float, NDArray]:
        levels, powers = coefficients[:classes], coefficients[classes:]
        log_variance = levels[distance_class] + powers @ logarithms
        ratio = squared_error * np.exp(-np.clip(log_variance, _MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE))
        departure = levels - levels.mean()
        slope = 1.0 - ratio
        gradient = np.concatenate(
            [np.bincount(distance_class, slope, minlength=classes) + _SHRINKAGE * departure, logarithms @ slope]
        )
        value = float(np.sum(log_variance + ratio) + 0.5 * _SHRINKAGE * departure @ departure)
        return value / len(squared_error), gradient / len(squared_error)

    bounds = [(_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE)] * classes
    bounds += [(0.0, _MAX_POWER if variable else 0.0) for variable in varies]
    first = np.append(np.full(classes, start), np.zeros(len(terms)))
    options = {"ftol": 1e-12, "gtol": 1e-8, "maxiter": 500}
    fitted = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    levels, powers = fitted[:classes], fitted[classes:]
    levels = np.where(count > 0, levels, np.average(levels, weights=count)) - float(powers @ centre[:, 0])
    return UncertaintyModel(levels, powers, np.ones(1))
