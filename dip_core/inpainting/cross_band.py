"""What some bands see helps the others: *borrowed* values for pixels that are missing in part.

Landsat's bands lie side by side in the focal plane, so the ends of their gaps differ by a few pixels.
Where band *b* is missing and others are observed, its *departure* from the smooth surface through the
pixels that all bands see is predicted from the others' departures. The regression is fitted to *increments*
(differences over a few pixels), which vary as departures do; what it leaves over at observed pixels is
carried in from the rim. A band that the others do not explain borrows nothing.

Source: regression kriging (Hengl et al. 2007) of departures, with a membrane in the place of kriging.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..imaging.observation import Observation
from .experts.laplace import fill_harmonic

MOST_PREDICTORS = 6
# The share of a band's increments that the others must explain. Below a half, a borrowed value is worse
# than what the experts make of the pixel.
LEAST_EXPLAINED = 0.5
_LAGS = (2, 4)
_FEWEST_SAMPLES = 200
_SEEN_THERE = 0.5  # share of a band's missing pixels that a predictor should see
_RIDGE = 1e-3
_SAMPLES = 20_000  # increments of each lag and direction
_LEAST_COMMON = 0.1  # share of the pixels that all bands must see for a common surface


def borrow(observation: Observation) -> tuple[Observation, Mask]:
    """The observation with borrowed values counted as observed, and where they are ``(band, row, column)``."""
    borrowed = np.zeros(observation.shape, bool)
    seen = observation.measured  # not what is only assumed: a coarse surface says nothing of other bands
    alive: Mask = np.any(seen, axis=(1, 2))
    somewhere: Mask = np.any(seen, axis=0)
    missing = observation.target & ~observation.observed & somewhere & alive[:, None, None]
    if not missing.any():
        return observation, borrowed
    steps, known = _increments(observation)
    common: Mask = np.all(seen[alive], axis=0)
    domain: Mask = np.any(observation.observed | observation.target, axis=0)
    smooth = np.zeros(observation.shape)  # without enough pixels that all bands see, departures are from the mean
    if np.count_nonzero(common) >= _LEAST_COMMON * np.count_nonzero(domain):
        smooth = fill_harmonic(observation.values, common, domain & ~common)
    departure = np.where(seen, observation.values - smooth, 0.0)
    values = observation.values.astype(np.float64)
    for band in np.flatnonzero(missing.any(axis=(1, 2))).tolist():
        there = seen[:, missing[band]].mean(axis=1) >= _SEEN_THERE
        for chosen, where in _patterns(observation, missing[band], _alike(steps, known, band, there)):
            while len(chosen) > 1 and _together(known, band, chosen) < _FEWEST_SAMPLES:
                chosen = chosen[:-1]  # the least alike
            weights, explained = _regression(steps, known, band, chosen)
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


def _increments(observation: Observation) -> tuple[NDArray[np.float32], Mask]:
    """A sample of the bands' increments, and which of them are known, both ``(band, sample)``."""
    rng = np.random.default_rng(0)
    seen = observation.measured
    steps, known = [], []
    for lag in _LAGS:
        for axis in (1, 2):
            rows, columns = (size - lag * (axis == number) for number, size in enumerate(observation.shape[1:], 1))
            if rows <= 0 or columns <= 0:
                continue
            places = rng.permutation(rows * columns)[:_SAMPLES]
            near = np.divmod(places, columns)
            far = (near[0] + lag * (axis == 1), near[1] + lag * (axis == 2))
            steps.append(observation.values[:, near[0], near[1]] - observation.values[:, far[0], far[1]])
            known.append(seen[:, near[0], near[1]] & seen[:, far[0], far[1]])
    return np.concatenate(steps, axis=1), np.concatenate(known, axis=1)


def _alike(steps: NDArray[np.float32], known: Mask, band: int, there: Mask) -> list[int]:
    """The bands whose increments go most with those of ``band``, at most `MOST_PREDICTORS`.

    Bands that see the pixels in question (``there``) come first: stripes that alike bands share leave the others.
    """
    both = known & known[band]
    own = np.where(both, steps[band], np.float32(0))
    other = np.where(both, steps, np.float32(0))
    power = np.square(own).sum(axis=1) * np.square(other).sum(axis=1)
    likeness = np.abs((own * other).sum(axis=1)) / np.sqrt(np.maximum(power, 1e-12))
    usable = (both.sum(axis=1) >= _FEWEST_SAMPLES) & (power > 0)
    ranked = np.lexsort((-likeness, ~there))
    return [int(number) for number in ranked if number != band and usable[number]][:MOST_PREDICTORS]


def _patterns(observation: Observation, missing: Mask, predictors: list[int]) -> list[tuple[list[int], Mask]]:
    """The missing pixels, sorted by which predictors are observed there."""
    code = np.zeros(missing.shape, np.int64)
    for bit, band in enumerate(predictors):
        code |= observation.measured[band].astype(np.int64) << bit
    found = []
    for value in np.unique(code[missing]):
        chosen = [band for bit, band in enumerate(predictors) if value >> bit & 1]
        if chosen:
            found.append((chosen, missing & (code == value)))
    return found


def _together(known: Mask, band: int, chosen: list[int]) -> int:
    """The number of increments that all of these bands have."""
    return int(np.count_nonzero(np.all(known[[band, *chosen]], axis=0)))


def _regression(
    steps: NDArray[np.float32], known: Mask, band: int, chosen: list[int]
) -> tuple[NDArray[np.float64], float]:
    """Weights of the chosen bands, and the share of the band's increments that they explain.

    Both are taken where all of these bands are known: products of pairs from different pixels are no covariance.
    """
    if _together(known, band, chosen) < _FEWEST_SAMPLES:
        return np.zeros(len(chosen)), 0.0
    used = np.all(known[[band, *chosen]], axis=0)
    others, own = steps[chosen][:, used].astype(np.float64), steps[band, used].astype(np.float64)
    gram = others @ others.T
    weights = np.linalg.solve(gram + _RIDGE * np.diag(np.maximum(np.diag(gram), 1e-12)), others @ own)
    power = float(own @ own)
    left = float(np.square(own - weights @ others).sum())
    return weights, 1.0 - left / power if power > 0 else 0.0
