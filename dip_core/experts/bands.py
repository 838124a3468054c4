"""What some bands see helps the others: *borrowed* values for pixels that are missing in part.

Landsat's bands lie side by side in the focal plane, so the ends of their gaps differ by a few pixels.
Where band *b* is missing and others are observed, its *departure* from the smooth surface through the
pixels that all bands see is predicted from the others' departures. The regression is fitted to increments
(differences over a few pixels), which vary as departures do; what it leaves over at observed pixels is
carried in from the rim. A band that the others do not explain borrows nothing.

Source: regression kriging (Hengl et al. 2007) of departures, with a membrane in the place of kriging.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..observation import Mask, Observation
from .laplace import fill_harmonic

MOST_PREDICTORS = 6
# The share of a band's increments that the others must explain. Below a half, a borrowed value is worse
# than what the experts make of the pixel.
LEAST_EXPLAINED = 0.5
_LAGS = (2, 4)
_FEWEST_SAMPLES = 200
_RIDGE = 1e-3


def borrow(observation: Observation) -> tuple[Observation, Mask]:
    """The observation with borrowed values counted as observed, and where they are ``(band, row, column)``."""
    borrowed = np.zeros(observation.shape, bool)
    seen = observation.seen  # not what is only assumed: a coarse surface says nothing of other bands
    alive: Mask = np.any(seen, axis=(1, 2))
    somewhere: Mask = np.any(seen, axis=0)
    missing = observation.target & ~observation.observed & somewhere & alive[:, None, None]
    if not missing.any():
        return observation, borrowed
    products, counts = _increments(observation)
    common: Mask = np.all(seen[alive], axis=0)
    domain: Mask = np.any(observation.observed | observation.target, axis=0)
    smooth = np.zeros(observation.shape)  # without a pixel that all bands see, departures are from the mean
    if common.any():
        smooth = fill_harmonic(observation.values, common, domain & ~common)
    departure = np.where(seen, observation.values - smooth, 0.0)
    values = observation.values.astype(np.float64)
    for band in np.flatnonzero(missing.any(axis=(1, 2))).tolist():
        for chosen, where in _patterns(observation, missing[band], _alike(products, counts, band)):
            weights, explained = _regression(products, band, chosen)
            if explained < LEAST_EXPLAINED:
                continue
            predicted = np.tensordot(weights, departure[chosen], axes=1)
            complete: Mask = np.all(seen[[band, *chosen]], axis=0)
            residual = np.where(complete, departure[band] - predicted, 0.0)
            residual = fill_harmonic(residual[None], complete, where)[0]
            values[band, where] = (smooth[band] + predicted + residual)[where]
            borrowed[band] |= where
    helped = replace(observation, values=values.astype(np.float32), observed=observation.observed | borrowed)
    return helped, borrowed


def _increments(observation: Observation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean products of increments of each pair of bands, and their numbers, ``(band, band)``."""
    bands = len(observation.values)
    sums, counts = np.zeros((bands, bands)), np.zeros((bands, bands))
    for lag in _LAGS:
        for axis in (1, 2):
            if observation.shape[axis] <= lag:
                continue
            near: list[slice] = [slice(None)] * 3
            far: list[slice] = [slice(None)] * 3
            near[axis], far[axis] = slice(None, -lag), slice(lag, None)
            both = observation.observed[tuple(near)] & observation.observed[tuple(far)]
            step = np.where(both, observation.values[tuple(near)] - observation.values[tuple(far)], np.float32(0))
            flat, used = step.reshape(bands, -1), both.reshape(bands, -1).astype(np.float32)
            sums += flat @ flat.T
            counts += used @ used.T
    return sums / np.maximum(counts, 1.0), counts


def _alike(products: NDArray[np.float64], counts: NDArray[np.float64], band: int) -> list[int]:
    """The bands whose increments go most with those of ``band``, at most `MOST_PREDICTORS`."""
    power = np.sqrt(np.maximum(np.diag(products), 1e-12))
    likeness = np.abs(products[band]) / (power * power[band])
    usable = (counts[band] >= _FEWEST_SAMPLES) & (np.diag(products) > 0)
    order = [int(other) for other in np.argsort(-likeness) if other != band and usable[other]]
    return order[:MOST_PREDICTORS]


def _patterns(observation: Observation, missing: Mask, predictors: list[int]) -> list[tuple[list[int], Mask]]:
    """The missing pixels, sorted by which predictors are observed there."""
    code = np.zeros(missing.shape, np.int64)
    for bit, band in enumerate(predictors):
        code |= observation.seen[band].astype(np.int64) << bit
    found = []
    for value in np.unique(code[missing]):
        chosen = [band for bit, band in enumerate(predictors) if value >> bit & 1]
        if chosen:
            found.append((chosen, missing & (code == value)))
    return found


def _regression(products: NDArray[np.float64], band: int, chosen: list[int]) -> tuple[NDArray[np.float64], float]:
    """Weights of the chosen bands, and the share of the band's increments that they explain."""
    gram = products[np.ix_(chosen, chosen)]
    gram = gram + _RIDGE * np.diag(np.diag(gram))
    cross = products[chosen, band]
    weights = np.linalg.solve(gram, cross)
    power = products[band, band]
    left = float(power) - 2.0 * float(weights @ cross) + float(weights @ products[np.ix_(chosen, chosen)] @ weights)
    return weights.astype(np.float64), float(1.0 - left / power) if power > 0 else 0.0
