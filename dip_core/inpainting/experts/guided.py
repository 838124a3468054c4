"""Regression on a guide (another date or sensor), with a kriged residual.

Each band is regressed on the guide's bands over the observed pixels of the window. Clouds in the guide are outliers, so
the regression is robust: least trimmed squares from several random starts, then reweighting with Tukey's bisquare. Its
residual is regressed again around each pixel with Gaussian weights (geographically weighted regression), because some
fields change between the dates and others do not. What both leave is kriged into the gap, so the fill is continuous at
the gap edge. Where the guide has no data, the fill is kriged from the pixels that are then known.

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
from .interface import DEFAULT_CONTEXT, ExpertContext
from .kriging import kriging

# In robust deviations. The usual 4.7 would also reject places that differ from the rest of the scene.
_BISQUARE_CUTOFF = 8.0
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_RANDOM_STARTS, _REFINEMENTS = 8, 5
_MIN_SAMPLES = 100
_MAX_SAMPLES = 50_000
_RIDGE = 1e-4
_LOCAL_SIGMA = 5.0  # of the Gaussian weights, pixels
_LOCAL_RIDGE = 0.02  # as a share of the sum of weights in a completely observed window
_MAX_LOCAL_COMPONENTS = 6  # principal components of the guide
_MIN_COMPONENT_VARIANCE = 1e-6
_ROWS_PER_PART = 64  # of the local regression


def guided(observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
    """Regression on the guide plus the kriged residual; ``(band, row, column)``. Without a guide it is kriging."""
    if observation.guide is None:
        return kriging(observation)
    has_guide: Mask = np.all(np.isfinite(observation.guide), axis=0)
    design = np.where(has_guide, observation.guide, 0.0).astype(np.float64)
    features = _local_features(design, has_guide)
    values = observation.values.copy()
    reached = np.zeros(observation.shape, bool)
    predicted = np.zeros(observation.shape)
    for band, observed in enumerate(observation.observed):
        usable = observed & has_guide
        if np.count_nonzero(usable) < _MIN_SAMPLES:
            continue
        coefficients = _robust_regression(design[:, usable], observation.values[band, usable].astype(np.float64))
        global_part = np.tensordot(coefficients[:-1], design, axes=1) + coefficients[-1]
        residual = np.where(usable, observation.values[band] - global_part, 0.0)
        weights = np.where(usable, _bisquare_weights(residual, usable), 0.0)
        predicted[band] = global_part + _local_regression(features, residual, weights)
        reached[band] = observation.target[band] & ~observed & has_guide
    usable = observation.observed & has_guide
    residual = np.where(usable, observation.values - predicted, 0.0).astype(np.float32)
    kriged = kriging(replace(observation, values=residual, observed=usable, target=reached, guide=None))
    values[reached] = (predicted + kriged)[reached]
    rest = observation.target & ~observation.observed & ~reached
    if rest.any():
        partly_filled = replace(
            observation, values=values, observed=observation.observed | reached, target=rest, guide=None
        )
        values[rest] = kriging(partly_filled)[rest]
    return observation.keep_observed(values)


def _local_features(design: NDArray[np.float64], has_guide: Mask) -> NDArray[np.float64]:
    """The guide's leading principal components with variance 1, and a constant; ``(feature, row, column)``."""
    constant = np.ones((1, *has_guide.shape))
    if not has_guide.any():
        return constant
    sample = design[:, has_guide]
    variances, vectors = np.linalg.eigh(np.atleast_2d(np.cov(sample, ddof=0)))
    leading = np.argsort(-variances)[:_MAX_LOCAL_COMPONENTS]
    leading = leading[variances[leading] > _MIN_COMPONENT_VARIANCE]
    scaled = vectors[:, leading] / np.sqrt(variances[leading])
    centred = np.where(has_guide, design - sample.mean(axis=1)[:, None, None], 0.0)
    return np.concatenate([np.tensordot(scaled.T, centred, axes=1), constant])


def _bisquare_weights(residual: NDArray[np.float64], usable: Mask) -> NDArray[np.float64]:
    """Bisquare weights 0 to 1 of the residual ``(row, column)``, scaled by its deviation over ``usable`` pixels."""
    scale = _MAD_TO_DEVIATION * float(np.median(np.abs(residual[usable]))) + 1e-9
    return np.square(np.maximum(0.0, 1.0 - np.square(residual / (_BISQUARE_CUTOFF * scale))))


def _local_regression(
    features: NDArray[np.float64], residual: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ridge regression of the residual on the features around each pixel, evaluated there; ``(row, column)``.

    The weighted sums of products around all pixels are Gaussian filters.
    """
    count = len(features)
    first, second = np.triu_indices(count)
    products = np.stack(
        [gaussian_filter(weights * features[i] * features[j], _LOCAL_SIGMA) for i, j in zip(first, second)]
    ).astype(np.float32)
    right_side = np.stack([gaussian_filter(weights * feature * residual, _LOCAL_SIGMA) for feature in features])
    out = np.empty(residual.shape)
    for start in range(0, len(out), _ROWS_PER_PART):
        rows = slice(start, start + _ROWS_PER_PART)
        part = products[:, rows]
        gram = np.empty((*part.shape[1:], count, count))
        gram[..., first, second] = gram[..., second, first] = np.moveaxis(part, 0, -1)
        gram += _LOCAL_RIDGE * np.eye(count)
        coefficients = np.linalg.solve(gram, np.moveaxis(right_side[:, rows], 0, -1)[..., None])[..., 0]
        out[rows] = (coefficients * np.moveaxis(features[:, rows], 0, -1)).sum(axis=-1)
    return out


def _robust_regression(design: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Robust coefficients of ``values`` ``(sample,)`` on ``design`` ``(feature, sample)``, the intercept last."""
    step = max(1, design.shape[1] // _MAX_SAMPLES)
    matrix = np.vstack([design[:, ::step], np.ones(len(values[::step]))])
    response = values[::step]
    penalty = _RIDGE * np.diag([1.0] * (len(matrix) - 1) + [0.0])

    def solve(weights: NDArray) -> NDArray[np.float64]:
        weighted = matrix * weights
        return np.linalg.solve(weighted @ matrix.T / weights.sum() + penalty, weighted @ response / weights.sum())

    def absolute_error(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(response - coefficients @ matrix)

    rng = np.random.default_rng(0)
    best, lowest = np.zeros(len(matrix)), np.inf
    for _ in range(_RANDOM_STARTS):
        coefficients = solve(np.bincount(rng.choice(len(response), 3 * len(matrix)), minlength=len(response)))
        for _ in range(_REFINEMENTS):
            error = absolute_error(coefficients)
            coefficients = solve((error <= np.median(error)).astype(np.float64))
        median = float(np.median(absolute_error(coefficients)))
        if median < lowest:
            best, lowest = coefficients, median
    for _ in range(_REFINEMENTS):
        scale = _MAD_TO_DEVIATION * float(np.median(absolute_error(best))) + 1e-9
        best = solve(np.square(np.maximum(0.0, 1.0 - np.square(absolute_error(best) / (_BISQUARE_CUTOFF * scale)))))
    return best
