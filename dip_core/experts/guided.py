"""The *guided* fill: what another date or sensor shows, fitted to this scene.

Each band is regressed on the guide's bands over the window's observed pixels, robustly, since clouds and
change make outliers (Huber weights). The prediction's residual is kriged into the gap, so the fill meets
the rim. Where the guide holds nothing, the fill is kriged from what is then known.

Source: regression kriging (Hengl et al. 2007); Huber, Robust Estimation of a Location Parameter (1964).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..observation import Cube, Mask, Observation
from .kriging import kriging

_HUBER = 1.345
_ROUNDS = 5
_FEWEST_SAMPLES = 100
_MOST_SAMPLES = 50_000
_RIDGE = 1e-4


def guided(observation: Observation) -> Cube:
    """Regression on the guide plus kriged residual; ``(band, row, column)``. Needs ``observation.guide``."""
    if observation.guide is None:
        return kriging(observation)
    shown: Mask = np.all(np.isfinite(observation.guide), axis=0)
    design = np.where(shown, observation.guide, 0.0).astype(np.float64)
    values = observation.values.copy()
    reached = np.zeros(observation.shape, bool)
    predicted = np.zeros(observation.shape)
    for band, observed in enumerate(observation.observed):
        known = observed & shown
        if np.count_nonzero(known) < _FEWEST_SAMPLES:
            continue
        weights = _robust(design[:, known], observation.values[band, known].astype(np.float64))
        predicted[band] = np.tensordot(weights[:-1], design, axes=1) + weights[-1]
        reached[band] = observation.target[band] & ~observed & shown
    known = observation.observed & shown
    residual = np.where(known, observation.values - predicted, 0.0).astype(np.float32)
    carried = kriging(replace(observation, values=residual, observed=known, target=reached, guide=None))
    values[reached] = (predicted + carried)[reached]
    rest = observation.target & ~observation.observed & ~reached
    if rest.any():
        helped = replace(observation, values=values, observed=observation.observed | reached, target=rest, guide=None)
        values[rest] = kriging(helped)[rest]
    return observation.keep_observed(values)


def _robust(design: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Huber regression weights of ``(feature, sample)`` on ``(sample,)``, the intercept last."""
    step = max(1, design.shape[1] // _MOST_SAMPLES)
    matrix = np.vstack([design[:, ::step], np.ones(len(values[::step]))])
    wanted = values[::step]
    trust = np.ones(len(wanted))
    weights = np.zeros(len(matrix))
    penalty = _RIDGE * np.diag([1.0] * (len(matrix) - 1) + [0.0])
    for _ in range(_ROUNDS):
        weighted = matrix * trust
        weights = np.linalg.solve(weighted @ matrix.T / trust.sum() + penalty, weighted @ wanted / trust.sum())
        error = np.abs(wanted - weights @ matrix)
        scale = 1.4826 * float(np.median(error)) + 1e-9
        trust = np.minimum(1.0, _HUBER * scale / np.maximum(error, 1e-12))
    return weights
