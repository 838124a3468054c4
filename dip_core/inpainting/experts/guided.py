"""The *guided* fill: what another date or sensor shows, fitted to this scene, place by place.

Each band is regressed on the guide's bands over the window's observed pixels. Clouds make outliers in the
guide itself, which pull a common robust regression over to them; so it starts from the best of some fits to
the half of the pixels that agree most (least trimmed squares), and outliers then weigh nothing (bisquare).
What this regression leaves is regressed again around each pixel, with Gaussian weights and the same trust in
pixels, and shrunk to nothing where few pixels say little: fields change by themselves. The residual of both is
kriged into the gap, so the fill meets the rim. Where the guide holds nothing, the fill is kriged from what is
then known.

Source: regression kriging (Hengl et al. 2007); Rousseeuw and Van Driessen, Computing LTS regression for
large data sets (2006); Beaton and Tukey (1974); geographically weighted regression (Brunsdon et al. 1996).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from .kriging import kriging

# Bisquare's usual 4.7 robust deviations would also cut off what differs from place to place within a scene.
_CUT_OFF = 8.0
_STARTS, _ROUNDS = 8, 5
_FEWEST_SAMPLES = 100
_MOST_SAMPLES = 50_000
_RIDGE = 1e-4
_LOCAL = 5.0  # standard deviation of the local weights, pixels
_LOCAL_RIDGE = 0.02  # what the local regression must outvote, as a share of fully observed surroundings
_LOCAL_FEATURES = 6  # principal components of the guide, at most
_STRIP = 64  # rows that are solved at once


def guided(observation: Observation) -> Cube:
    """Regression on the guide plus kriged residual; ``(band, row, column)``. Needs ``observation.guide``."""
    if observation.guide is None:
        return kriging(observation)
    shown: Mask = np.all(np.isfinite(observation.guide), axis=0)
    design = np.where(shown, observation.guide, 0.0).astype(np.float64)
    features = _features(design, shown)
    values = observation.values.copy()
    reached = np.zeros(observation.shape, bool)
    predicted = np.zeros(observation.shape)
    for band, observed in enumerate(observation.observed):
        known = observed & shown
        if np.count_nonzero(known) < _FEWEST_SAMPLES:
            continue
        weights = _robust(design[:, known], observation.values[band, known].astype(np.float64))
        whole = np.tensordot(weights[:-1], design, axes=1) + weights[-1]
        left = np.where(known, observation.values[band] - whole, 0.0)
        predicted[band] = whole + _local(features, left, np.where(known, _trust(left, known), 0.0))
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


def _features(design: NDArray[np.float64], shown: Mask) -> NDArray[np.float64]:
    """The guide's leading principal components with a variance of 1, and a constant; ``(feature, row, column)``."""
    constant = np.ones((1, *shown.shape))
    if not shown.any():
        return constant
    sample = design[:, shown]
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(sample, ddof=0)))
    leading = np.argsort(-values)[:_LOCAL_FEATURES]
    leading = leading[values[leading] > 1e-6]
    scaled = vectors[:, leading] / np.sqrt(values[leading])
    centred = np.where(shown, design - sample.mean(axis=1)[:, None, None], 0.0)
    return np.concatenate([np.tensordot(scaled.T, centred, axes=1), constant])


def _trust(residual: NDArray[np.float64], known: Mask) -> NDArray[np.float64]:
    """Bisquare weights of pixels by what the regression over the window leaves, 0 to 1."""
    scale = 1.4826 * float(np.median(np.abs(residual[known]))) + 1e-9
    return np.square(np.maximum(0.0, 1.0 - np.square(residual / (_CUT_OFF * scale))))


def _local(
    features: NDArray[np.float64], residual: NDArray[np.float64], trust: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ridge regression of the residual on the features around each pixel, evaluated there; ``(row, column)``.

    Sums over the surroundings are Gaussian filters of products.
    """
    count = len(features)
    first, second = np.triu_indices(count)
    products = np.stack(
        [gaussian_filter(trust * features[i] * features[j], _LOCAL) for i, j in zip(first, second)]
    ).astype(np.float32)
    right = np.stack([gaussian_filter(trust * feature * residual, _LOCAL) for feature in features])
    out = np.empty(residual.shape)
    for start in range(0, len(out), _STRIP):
        rows = slice(start, start + _STRIP)
        part = products[:, rows]
        gram = np.empty((*part.shape[1:], count, count))
        gram[..., first, second] = gram[..., second, first] = np.moveaxis(part, 0, -1)
        gram += _LOCAL_RIDGE * np.eye(count)
        weights = np.linalg.solve(gram, np.moveaxis(right[:, rows], 0, -1)[..., None])[..., 0]
        out[rows] = (weights * np.moveaxis(features[:, rows], 0, -1)).sum(axis=-1)
    return out


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
