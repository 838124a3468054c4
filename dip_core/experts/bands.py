"""What some bands see helps the others: *borrowed* values for pixels that are missing in part.

Landsat's bands lie side by side in the focal plane, so the ends of their gaps differ by a few pixels.
Where band *b* is missing and other bands are observed, *b* is predicted by linear regression on the bands
most like it, and the regression's residual is carried in from the rim (harmonic), so that the prediction
meets the observed pixels without a step. Source: regression kriging (Hengl et al. 2007), with a membrane
in the place of kriging.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..observation import Mask, Observation
from .laplace import fill_harmonic

MOST_PREDICTORS = 6
_FEWEST_SAMPLES = 50
_MOST_SAMPLES = 20_000
_RIDGE = 1e-3


def borrow(observation: Observation) -> tuple[Observation, Mask]:
    """The observation with borrowed values counted as observed, and where they are ``(band, row, column)``."""
    seen = observation.observed.any(axis=0)
    missing = observation.target & ~observation.observed & seen
    borrowed = np.zeros(observation.shape, bool)
    if not missing.any():
        return observation, borrowed
    values = observation.values.astype(np.float64)
    likeness = _likeness(observation)
    for band in map(int, np.flatnonzero(missing.any(axis=(1, 2)))):
        predictors = [
            int(other) for other in np.argsort(-likeness[band]) if other != band and likeness[band, other] > 0
        ]
        for chosen, where in _patterns(observation, missing[band], predictors[:MOST_PREDICTORS]):
            complete = np.all(observation.observed[[band, *chosen]], axis=0)
            if np.count_nonzero(complete) < _FEWEST_SAMPLES:
                continue
            weights = _regression(observation, band, chosen, complete)
            predicted = np.tensordot(weights[:-1], observation.values[chosen], axes=1) + weights[-1]
            residual = np.where(complete, observation.values[band] - predicted, 0.0)
            residual = fill_harmonic(residual[None], complete, where)[0]
            values[band, where] = (predicted + residual)[where]
            borrowed[band] |= where
    helped = replace(observation, values=values.astype(np.float32), observed=observation.observed | borrowed)
    return helped, borrowed


def _likeness(observation: Observation) -> np.ndarray:
    """Absolute correlation of each pair of bands over the pixels that both observed, ``(band, band)``."""
    seen = observation.observed.astype(np.float32).reshape(len(observation.values), -1)
    flat = observation.values.reshape(len(observation.values), -1)
    both = seen @ seen.T
    cross = flat @ flat.T
    power = (flat * flat) @ seen.T
    scale = np.sqrt(power * power.T)
    likeness = np.abs(np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0))
    likeness[both < _FEWEST_SAMPLES] = 0.0
    return likeness


def _patterns(observation: Observation, missing: Mask, predictors: list[int]) -> list[tuple[list[int], Mask]]:
    """The missing pixels, sorted by which predictors are observed there."""
    code = np.zeros(missing.shape, np.int64)
    for bit, band in enumerate(predictors):
        code |= observation.observed[band].astype(np.int64) << bit
    found = []
    for value in np.unique(code[missing]):
        chosen = [band for bit, band in enumerate(predictors) if value >> bit & 1]
        if chosen:
            found.append((chosen, missing & (code == value)))
    return found


def _regression(observation: Observation, band: int, chosen: list[int], complete: Mask) -> np.ndarray:
    """Ridge regression weights of ``band`` on the ``chosen`` bands, the intercept last."""
    places = np.flatnonzero(complete)
    places = places[:: max(1, len(places) // _MOST_SAMPLES)]
    flat = observation.values.reshape(len(observation.values), -1)
    design = np.vstack([flat[chosen][:, places], np.ones(len(places))]).T.astype(np.float64)
    gram = design.T @ design / len(places) + _RIDGE * np.diag([1.0] * len(chosen) + [0.0])
    return np.linalg.solve(gram, design.T @ flat[band, places] / len(places))
