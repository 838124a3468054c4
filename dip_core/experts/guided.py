"""The *guided* fill: what another date or sensor shows, fitted to this scene.

Each band is regressed on the guide's bands over the window's observed pixels. Clouds make outliers in the
guide itself, which pull a common robust regression over to them; so it starts from the best of some fits to
the half of the pixels that agree most (least trimmed squares), and outliers then weigh nothing (bisquare).
The prediction's residual is kriged into the gap, so the fill meets
the rim. Where the guide holds nothing, the fill is kriged from what is then known.

Source: regression kriging (Hengl et al. 2007); Rousseeuw and Van Driessen, Computing LTS regression for
large data sets (2006); Beaton and Tukey (1974).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..observation import Cube, Mask, Observation
from .kriging import kriging

# Bisquare's usual 4.7 robust deviations would also cut off what differs from place to place within a scene.
_CUT_OFF = 8.0
_STARTS, _ROUNDS = 8, 5
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
    """Robust regression weights of ``(feature, sample)`` on ``(sample,)``, the intercept last."""
    step = max(1, design.shape[1] // _MOST_SAMPLES)
    matrix = np.vstack([design[:, ::step], np.ones(len(values[::step]))])
    wanted = values[::step]
    penalty = _RIDGE * np.diag([1.0] * (len(matrix) - 1) + [0.0])

    def solve(trust: NDArray) -> NDArray[np.float64]:
        weighted = matrix * trust
        return np.linalg.solve(weighted @ matrix.T / trust.sum() + penalty, weighted @ wanted / trust.sum())

    def error(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(wanted - weights @ matrix)

    rng = np.random.default_rng(0)
    best, least = np.zeros(len(matrix)), np.inf
    for _ in range(_STARTS):
        weights = solve(np.bincount(rng.choice(len(wanted), 3 * len(matrix)), minlength=len(wanted)))
        for _ in range(_ROUNDS):
            off = error(weights)
            weights = solve((off <= np.median(off)).astype(np.float64))
        spread = float(np.median(error(weights)))
        if spread < least:
            best, least = weights, spread
    for _ in range(_ROUNDS):
        scale = 1.4826 * float(np.median(error(best))) + 1e-9
        best = solve(np.square(np.maximum(0.0, 1.0 - np.square(error(best) / (_CUT_OFF * scale)))))
    return best
