"""*Learned weights*: those of kriging, corrected where the scene shows that others predict better.

The way in which the neighbours of a missing pixel lie, its setting, is found again around many observed pixels, where
every set of weights can be judged. With neighbours x_t and pixel y_t at such places t, the correction d of the kriging
weights w is

    ``min over d of sum over t of (y_t - w' x_t - d' x_t)^2 + r |d|^2`` with ``sum d = 0``,

so that it is small where places are few; the ridge r is a hundredth of a neighbour's power. Places seen turned by 180
degrees count too, for covariances do not tell the two apart. No covariance is assumed, so the weights suit texture that
has a direction, and what is no stationary field. Each component has weights of its own.

Source: Li and Orchard, New edge-directed interpolation (2001), for learning the weights of neighbours from the image;
the settings, and kriging as what they are drawn to, are our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...arrays import Mask
from .kriging_neighbours import SEARCH_RADIUS, Neighbourhood

_CANDIDATES = 60_000  # observed pixels that are looked at
_MOST_PLACES = 2_000  # of a setting, and as many turned ones
_FEWEST_PLACES = 300
_FEWEST_TARGETS = 4  # that a setting must serve
_MOST_SETTINGS = 128
_RECURRING = 0.5  # of the target pixels, which that many settings must serve
_RIDGE = 0.01
_SEED = 0  # of the choice of candidates


def recurring(places: Neighbourhood) -> bool:
    """True where few settings serve most target pixels, so that their weights are worth learning."""
    counts = places.counts[places.enough]
    commonest = np.sort(counts)[::-1][:_MOST_SETTINGS]
    return bool(counts.sum() and commonest.sum() >= _RECURRING * counts.sum())


def correct(
    places: Neighbourhood, components: NDArray[np.float64], weights: Sequence[NDArray[np.float64]], observed: Mask
) -> None:
    """Correct the weights of each component ``(setting, neighbour)``, in place, for the commonest settings.

    They still sum to 1.

    ``components`` ``(component, row, column)``: what they are for. Settings that hardly any observed pixel has keep
    their weights.
    """
    count = len(components)
    # Weights that sum to 1 do not see the mean, but single precision does.
    components = components - components[:, observed].mean(axis=1)[:, None, None]
    seen = np.pad(observed, SEARCH_RADIUS)
    width, flat_seen = seen.shape[1], seen.ravel()
    margins = (SEARCH_RADIUS, SEARCH_RADIUS)
    flat = np.pad(components, ((0, 0), margins, margins)).astype(np.float32).reshape(count, -1)
    candidates = np.random.default_rng(_SEED).permutation(np.flatnonzero(flat_seen))[:_CANDIDATES]
    served = np.where(places.enough, places.counts, 0)
    common = np.argsort(-served, kind="stable")[:_MOST_SETTINGS]
    for setting in common[served[common] >= _FEWEST_TARGETS]:
        offsets, used = places.offsets(int(setting))
        steps = offsets[:, 0] * width + offsets[:, 1]
        around = [_where_all_seen(candidates, turned, flat_seen)[:_MOST_PLACES] for turned in (steps, -steps)]
        if sum(map(len, around)) < _FEWEST_PLACES:
            continue
        products = np.zeros((count, len(steps) + 1, len(steps) + 1))
        for at, turned in zip(around, (steps, -steps)):
            seen_there = np.take(flat, at[:, None] + np.append(turned, 0), axis=1)  # the neighbours, then the pixel
            products += seen_there.transpose(0, 2, 1) @ seen_there
        gram, right = products[:, :-1, :-1], products[:, :-1, -1]
        own = np.stack([weight[setting, used] for weight in weights])
        right -= (gram @ own[..., None])[..., 0]  # what the present weights miss
        # As if the neighbours' mean had been taken from each of them: then d sums to 0.
        gram -= gram.mean(axis=1, keepdims=True)
        gram -= gram.mean(axis=2, keepdims=True)
        right -= right.mean(axis=1, keepdims=True)
        power = np.trace(gram, axis1=1, axis2=2) / len(steps)
        gram += np.maximum(_RIDGE * power, 1e-12)[:, None, None] * np.eye(len(steps))
        change = np.linalg.solve(gram, right[..., None])[..., 0]
        change -= change.mean(axis=1, keepdims=True)
        for weight, more in zip(weights, change):
            weight[setting, used] += more


def _where_all_seen(candidates: NDArray[np.int64], steps: NDArray[np.int64], seen: Mask) -> NDArray[np.int64]:
    """Those candidates around which every neighbour is observed; the farthest are looked at first."""
    at = candidates
    for step in steps[np.argsort(-np.abs(steps))]:
        at = at[seen[at + step]]
        if not len(at):
            break
    return at
