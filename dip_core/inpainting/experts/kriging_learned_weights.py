"""Correction of kriging weights by regression on the scene, for neighbour configurations that recur.

The configuration of a missing pixel occurs around many observed pixels too. With the neighbours x_t and the value y_t
of such pixels t, the correction d of the kriging weights w is

    ``min over d of sum over t of (y_t - w' x_t - d' x_t)^2 + r |d|^2`` subject to ``sum d = 0``.

The ridge r, a hundredth of a neighbour's power, keeps d small where there are few such pixels. Configurations rotated
by 180 degrees count too, because a covariance does not distinguish them. The regression assumes no covariance, so the
weights fit anisotropic texture. Each component has its own correction.

Source: Li and Orchard, New edge-directed interpolation (2001), for the regression on neighbours; shrinking towards
kriging weights is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...arrays import Mask
from .kriging_neighbours import SEARCH_RADIUS, Neighbourhood

_MAX_CANDIDATES = 60_000  # observed pixels that are searched for a configuration
_MAX_SAMPLES = 2_000  # of a configuration, and as many of the rotated one
_MIN_SAMPLES = 300
_MIN_TARGET_PIXELS = 4  # of a configuration that is corrected
_MAX_CONFIGURATIONS = 128
_MIN_RECURRING_SHARE = 0.5  # of the target pixels, which the most frequent configurations must have
_RIDGE = 0.01
_SEED = 0  # of the order of the candidates


def has_recurring_configurations(neighbourhood: Neighbourhood) -> bool:
    """Whether the 128 most frequent configurations are those of at least half of the target pixels."""
    counts = neighbourhood.counts[neighbourhood.sufficient]
    most_frequent = np.sort(counts)[::-1][:_MAX_CONFIGURATIONS]
    return bool(counts.sum() and most_frequent.sum() >= _MIN_RECURRING_SHARE * counts.sum())


def correct_weights(
    neighbourhood: Neighbourhood,
    components: NDArray[np.float64],
    weights: Sequence[NDArray[np.float64]],
    observed: Mask,
) -> None:
    """Correct the weights ``(configuration, neighbour)`` of each component in place; they still sum to 1.

    ``components``: ``(component, row, column)``. Only the most frequent configurations are corrected, and only those
    with enough samples among the observed pixels.
    """
    count = len(components)
    # Weights that sum to 1 do not depend on the mean, but single precision does.
    components = components - components[:, observed].mean(axis=1)[:, None, None]
    padded_observed = np.pad(observed, SEARCH_RADIUS)
    width, flat_observed = padded_observed.shape[1], padded_observed.ravel()
    margins = (SEARCH_RADIUS, SEARCH_RADIUS)
    flat = np.pad(components, ((0, 0), margins, margins)).astype(np.float32).reshape(count, -1)
    candidates = np.random.default_rng(_SEED).permutation(np.flatnonzero(flat_observed))[:_MAX_CANDIDATES]
    target_pixels = np.where(neighbourhood.sufficient, neighbourhood.counts, 0)
    most_frequent = np.argsort(-target_pixels, kind="stable")[:_MAX_CONFIGURATIONS]
    for configuration in most_frequent[target_pixels[most_frequent] >= _MIN_TARGET_PIXELS]:
        offsets, exists = neighbourhood.offsets(int(configuration))
        steps = offsets[:, 0] * width + offsets[:, 1]
        samples = [
            _with_all_neighbours(candidates, direction, flat_observed)[:_MAX_SAMPLES] for direction in (steps, -steps)
        ]
        if sum(map(len, samples)) < _MIN_SAMPLES:
            continue
        products = np.zeros((count, len(steps) + 1, len(steps) + 1))
        for centres, direction in zip(samples, (steps, -steps)):
            # The neighbours' values and, last, the pixel's own.
            gathered = np.take(flat, centres[:, None] + np.append(direction, 0), axis=1)
            products += gathered.transpose(0, 2, 1) @ gathered
        gram, right_side = products[:, :-1, :-1], products[:, :-1, -1]
        current = np.stack([weight[configuration, exists] for weight in weights])
        right_side -= (gram @ current[..., None])[..., 0]  # the residual of the current weights
        # Removing the neighbours' mean from each of them makes the correction sum to 0.
        gram -= gram.mean(axis=1, keepdims=True)
        gram -= gram.mean(axis=2, keepdims=True)
        right_side -= right_side.mean(axis=1, keepdims=True)
        power = np.trace(gram, axis1=1, axis2=2) / len(steps)
        gram += np.maximum(_RIDGE * power, 1e-12)[:, None, None] * np.eye(len(steps))
        correction = np.linalg.solve(gram, right_side[..., None])[..., 0]
        correction -= correction.mean(axis=1, keepdims=True)
        for weight, change in zip(weights, correction):
            weight[configuration, exists] += change


def _with_all_neighbours(candidates: NDArray[np.int64], steps: NDArray[np.int64], observed: Mask) -> NDArray[np.int64]:
    """The candidates around which every neighbour is observed; the farthest neighbours are checked first."""
    remaining = candidates
    for step in steps[np.argsort(-np.abs(steps))]:
        remaining = remaining[observed[remaining + step]]
        if not len(remaining):
            break
    return remaining
