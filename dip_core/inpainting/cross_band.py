"""Prediction of pixels that are missing in some bands from the bands that observe them.

Landsat's detectors lie side by side in the focal plane, so the ends of the gaps differ by a few pixels from band to
band. A band's departure from a smooth surface is regressed on those of the other bands. The regression is fitted to
*increments* (differences over a few pixels); its residual is interpolated harmonically. A band that the others explain
too little is not predicted.

Source: regression kriging (Hengl et al. 2007) of departures, with harmonic interpolation instead of kriging.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..imaging.observation import Observation
from .experts.laplace import fill_harmonic

MAX_PREDICTORS = 6
# Of the variance of a band's increments. Below it the gap experts estimate the pixel better from its own band.
MIN_EXPLAINED_SHARE = 0.5
_LAGS = (2, 4)  # pixels
_MIN_SAMPLES = 200
_MIN_COVERAGE = 0.5  # of a band's missing pixels, for predictors that are preferred
_RIDGE = 1e-3
_MAX_SAMPLES = 20_000  # increments of each lag and direction
_MIN_COMMON_SHARE = 0.1  # of the pixels, observed in all bands, for a common smooth surface


def predict_from_other_bands(observation: Observation) -> tuple[Observation, Mask]:
    """The observation with predicted values as observed ones, and where they are ``(band, row, column)``."""
    predicted = np.zeros(observation.shape, bool)
    observed = observation.measured  # without assumed pixels: a coarse surface does not help other bands
    nonempty: Mask = np.any(observed, axis=(1, 2))
    observed_in_any: Mask = np.any(observed, axis=0)
    missing = observation.target & ~observation.observed & observed_in_any & nonempty[:, None, None]
    if not missing.any() or max(observation.shape[1:]) <= min(_LAGS):  # or too small for increments
        return observation, predicted
    increments, valid = _sample_increments(observation)
    observed_in_all: Mask = np.all(observed[nonempty], axis=0)
    domain: Mask = np.any(observation.observed | observation.target, axis=0)
    smooth = np.zeros(observation.shape)  # the mean, if too few pixels are observed in all bands
    if np.count_nonzero(observed_in_all) >= _MIN_COMMON_SHARE * np.count_nonzero(domain):
        smooth = fill_harmonic(observation.values, observed_in_all, domain & ~observed_in_all)
    departure = np.where(observed, observation.values - smooth, 0.0)
    values = observation.values.astype(np.float64)
    for band in np.flatnonzero(missing.any(axis=(1, 2))).tolist():
        covering = observed[:, missing[band]].mean(axis=1) >= _MIN_COVERAGE
        ranked = _rank_predictors(increments, valid, band, covering)
        for predictors, pixels in _group_by_predictors(observation, missing[band], ranked):
            while len(predictors) > 1 and _common_samples(valid, band, predictors) < _MIN_SAMPLES:
                predictors = predictors[:-1]  # without the least similar one
            coefficients, explained = _fit_regression(increments, valid, band, predictors)
            if explained < MIN_EXPLAINED_SHARE:
                continue
            regression = np.tensordot(coefficients, departure[predictors], axes=1)
            complete: Mask = np.all(observed[[band, *predictors]], axis=0)
            residual = np.where(complete, departure[band] - regression, 0.0)
            residual = fill_harmonic(residual[None], complete, pixels)[0]
            values[band, pixels] = (smooth[band] + regression + residual)[pixels]
            predicted[band] |= pixels
    filled = replace(observation, values=values.astype(np.float32), observed=observation.observed | predicted)
    return filled, predicted


def _sample_increments(observation: Observation) -> tuple[NDArray[np.float32], Mask]:
    """A random sample of increments, and where both pixels are observed; ``(band, sample)``."""
    rng = np.random.default_rng(0)
    observed = observation.measured
    increments, valid = [], []
    for lag in _LAGS:
        for axis in (1, 2):
            rows, columns = (size - lag * (axis == number) for number, size in enumerate(observation.shape[1:], 1))
            if rows <= 0 or columns <= 0:
                continue
            positions = rng.permutation(rows * columns)[:_MAX_SAMPLES]
            first = np.divmod(positions, columns)
            second = (first[0] + lag * (axis == 1), first[1] + lag * (axis == 2))
            values = observation.values
            increments.append(values[:, first[0], first[1]] - values[:, second[0], second[1]])
            valid.append(observed[:, first[0], first[1]] & observed[:, second[0], second[1]])
    return np.concatenate(increments, axis=1), np.concatenate(valid, axis=1)


def _rank_predictors(increments: NDArray[np.float32], valid: Mask, band: int, covering: Mask) -> list[int]:
    """The bands whose increments correlate best with those of ``band``, at most `MAX_PREDICTORS`.

    Bands that observe most of the missing pixels (``covering``) come first: similar bands often share a stripe.
    """
    both = valid & valid[band]
    own = np.where(both, increments[band], np.float32(0))
    other = np.where(both, increments, np.float32(0))
    power = np.square(own).sum(axis=1) * np.square(other).sum(axis=1)
    correlation = np.abs((own * other).sum(axis=1)) / np.sqrt(np.maximum(power, 1e-12))
    usable = (both.sum(axis=1) >= _MIN_SAMPLES) & (power > 0)
    ranked = np.lexsort((-correlation, ~covering))
    return [int(number) for number in ranked if number != band and usable[number]][:MAX_PREDICTORS]


def _group_by_predictors(
    observation: Observation, missing: Mask, predictors: list[int]
) -> list[tuple[list[int], Mask]]:
    """The missing pixels ``(row, column)``, grouped by the predictors that are observed there."""
    code = np.zeros(missing.shape, np.int64)
    for bit, band in enumerate(predictors):
        code |= observation.measured[band].astype(np.int64) << bit
    groups = []
    for value in np.unique(code[missing]):
        available = [band for bit, band in enumerate(predictors) if value >> bit & 1]
        if available:
            groups.append((available, missing & (code == value)))
    return groups


def _common_samples(valid: Mask, band: int, predictors: list[int]) -> int:
    """The number of increments that are valid in all of these bands."""
    return int(np.count_nonzero(np.all(valid[[band, *predictors]], axis=0)))


def _fit_regression(
    increments: NDArray[np.float32], valid: Mask, band: int, predictors: list[int]
) -> tuple[NDArray[np.float64], float]:
    """Coefficients ``(predictor,)``, and the share of the variance of the band's increments that they explain.

    Only increments that are valid in all bands count: products of different samples would be no covariance.
    """
    if _common_samples(valid, band, predictors) < _MIN_SAMPLES:
        return np.zeros(len(predictors)), 0.0
    used = np.all(valid[[band, *predictors]], axis=0)
    design, response = increments[predictors][:, used].astype(np.float64), increments[band, used].astype(np.float64)
    gram = design @ design.T
    ridge = _RIDGE * np.diag(np.maximum(np.diag(gram), 1e-12))
    coefficients = np.linalg.solve(gram + ridge, design @ response)
    power = float(response @ response)
    residual = float(np.square(response - coefficients @ design).sum())
    return coefficients, 1.0 - residual / power if power > 0 else 0.0
