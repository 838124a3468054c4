"""The *uncertainty* of a filled pixel: a standard deviation from what is known of the pixel, calibrated on hold-outs.

The logarithm of the error's variance is linear, ``a_class + sum of b_i log term_i``, in the terms that
`Surroundings.terms` gives: the variances of what is seen around, near and far, and at the gap's rim, the variance among
the experts, and the layout of what is seen (hidden pixels lie between gaps, where less is left to go by than beside a
single gap). ``a, b`` maximise the likelihood of normal errors with these variances (a gamma regression of the squared
errors, convex in the coefficients); powers are not negative. Variances that are products of powers leave errors with
shorter tails than sums of such terms do.

A factor a band then lets one standard deviation cover 68 % of the hidden pixels and two cover 95 %. What tails are left
keep both from being met at once: the factor is a geometric mean of what either wants, in which one standard deviation
counts five times.

Source: McCullagh and Nelder, Generalized Linear Models (1989), chapter 8, for the regression; the rest is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545
_ONE_COUNTS = 5  # times, where one and two deviations cannot both cover what they should
_FLOOR = 1e-4  # variance, standardised, that is added before logarithms are taken
# Squared errors below this count as this: in flat parts of a scene they are 0, and say nothing of the rest of it.
_LEAST_SQUARE = 1e-5
_SHORTEST, _LONGEST = np.log(1e-12), np.log(1e6)  # of the variance
_STEEPEST = 2.0  # power
_SHRINKAGE = 50.0  # pulls the classes together as so many samples of each would
_FEWEST = 200  # samples of a band that has a factor of its own
_MOST = 60_000  # samples that the coefficients are fitted to


@dataclass(frozen=True)
class Spread:
    """The model: ``levels`` ``(class,)``, ``powers`` of the terms ``(term,)``, a factor a band."""

    levels: NDArray[np.float64]
    powers: NDArray[np.float64]
    factors: NDArray[np.float64]

    def deviation(self, kind: NDArray, band: NDArray, terms: Sequence[NDArray]) -> NDArray[np.float64]:
        """One standard deviation of each pixel, standardised.

        ``terms``: the first is the roughness. All arrays have one shape, that of the result.
        """
        if len(terms) != len(self.powers):
            raise ValueError(f"{len(self.powers)} terms are needed, {len(terms)} given")
        logarithm = self.levels[kind]
        for power, term in zip(self.powers, terms):
            if power:
                logarithm = logarithm + power * np.log(term + _FLOOR)
        return np.exp(0.5 * np.clip(logarithm, _SHORTEST, _LONGEST)) * self.factors[band]


def fit(
    square: NDArray[np.float64],
    kind: NDArray[np.integer],
    band: NDArray[np.int64],
    terms: Sequence[NDArray],
    classes: int,
    bands: int,
) -> Spread:
    """The model of squared errors ``square``; arrays are ``(sample,)``, standardised; ``terms`` as in `Spread`."""
    if not len(square):
        return as_rough(classes, bands, len(terms))
    square = np.maximum(square, _LEAST_SQUARE)
    some = slice(None, None, -(-len(square) // _MOST))
    raw = _regress(square[some], kind[some], np.stack(terms)[:, some], classes)
    ratio = np.sqrt(square) / raw.deviation(kind, np.zeros_like(band), terms)
    factors = np.full(bands, _factor(ratio))
    for number in range(bands):
        own = band == number
        if np.count_nonzero(own) >= _FEWEST:
            factors[number] = _factor(ratio[own])
    return Spread(raw.levels, raw.powers, factors)


def as_rough(classes: int, bands: int, terms: int) -> Spread:
    """The variance of a pixel is the first of so many terms, the roughness: for want of anything to fit to."""
    return Spread(np.zeros(classes), np.eye(terms)[0], np.ones(bands))


def _regress(square: NDArray, kind: NDArray, terms: NDArray, classes: int) -> Spread:
    """The model without factors."""
    logarithms = np.log(terms.astype(np.float64) + _FLOOR)
    middle = logarithms.mean(axis=1, keepdims=True)
    logarithms -= middle  # so that levels and powers do not stand in for each other
    varied = logarithms.std(axis=1) > 1e-9  # a term that is the same everywhere is no different from the level
    count = np.bincount(kind, minlength=classes).astype(np.float64)
    start = np.clip(np.log(max(float(square.mean()), 1e-12)), _SHORTEST, _LONGEST)

    def loss(found: NDArray) -> tuple[float, NDArray]:
        levels, powers = found[:classes], found[classes:]
        logarithm = levels[kind] + powers @ logarithms
        ratio = square * np.exp(-np.clip(logarithm, _SHORTEST, _LONGEST))
        apart = levels - levels.mean()
        slope = 1.0 - ratio
        gradient = np.concatenate(
            [np.bincount(kind, slope, minlength=classes) + _SHRINKAGE * apart, logarithms @ slope]
        )
        return float(np.sum(logarithm + ratio) + 0.5 * _SHRINKAGE * apart @ apart) / len(square), gradient / len(square)

    bounds = [(_SHORTEST, _LONGEST)] * classes + [(0.0, _STEEPEST if each else 0.0) for each in varied]
    first = np.append(np.full(classes, start), np.zeros(len(terms)))
    close = {"ftol": 1e-12, "gtol": 1e-8, "maxiter": 500}
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=close).x
    levels, powers = found[:classes], found[classes:]
    levels = np.where(count > 0, levels, np.average(levels, weights=count)) - float(powers @ middle[:, 0])
    return Spread(levels, powers, np.ones(1))


def _factor(ratio: NDArray[np.float64]) -> float:
    """What deviations must be multiplied by, from the ratios of error and deviation."""
    one, two = np.quantile(ratio, (ONE_SIGMA, TWO_SIGMA))
    return float(max(one**_ONE_COUNTS * two / 2.0, 1e-30) ** (1.0 / (_ONE_COUNTS + 1)))
