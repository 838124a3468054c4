"""Validation: run the experts on hold-outs of the scene and collect the samples that the mixture needs.

Hidden pixels that touch a gap widen it, so hold-outs are deeper than the gaps where much is missing. Samples are
therefore thinned until their distances to the nearest observed pixel are distributed as those in the gaps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from . import baseline, holdout
from .context import Context
from .experts.bands import borrow
from .mixture import Samples, classes, roughness
from .restore import Options, run_experts, tile_seed
from .survey import Survey

_FEWEST_PATTERN = 0.02
# Upper ends of the distance bins in which samples are made like the gaps, in pixels.
_DEPTHS = (1.5, 2.5, 3.5, 5.0, 6.5, 8.5, 11.5, 16.0, 25.0)
_LEAST_KEPT = 0.25  # of the samples
_PACES = 16
_DEEPER = 1.2  # than all but the deepest twentieth of the gaps' pixels, that hidden pixels may be
_COMMON = 0.02  # share of the samples that a bin must hold to set the pace


def collect(
    known: Survey,
    names: Sequence[str],
    windows: Sequence[Window],
    rounds: int,
    options: Options,
    seed: int,
    context: Context,
    share: float = 0.5,
) -> Samples:
    """Samples of all experts from ``rounds`` hold-outs in each window.

    Folds are windows, or quadrants where there is one window only. ``share``: the part of the time left that
    validation may take; when it is spent, fits end and no further hold-out is run.
    """
    rng = np.random.default_rng([seed, 1])
    patterns = [known.gaps.window(window)[1] for window in windows]
    richest = max(patterns, key=np.count_nonzero)
    parts: dict[str, list[NDArray]] = {}
    depths: dict[int, NDArray[np.int64]] = {}
    deepest: dict[int, float] = {}
    total = len(windows) * rounds
    end = context.seconds_spent + context.seconds_left * share
    for place, (number, window) in enumerate((n, w) for _ in range(rounds) for n, w in enumerate(windows)):
        if place and context.seconds_spent >= end:
            context.warn(f"The time budget allowed {place} of {total} hold-out runs.")
            break
        observation = known.observe(window)
        pattern = patterns[number]
        if pattern.mean() < _FEWEST_PATTERN and richest.shape == pattern.shape:
            pattern = richest
        if number not in depths:
            distances = observation.distance()[observation.target]
            depths[number] = _histogram(distances)
            deepest[number] = _DEEPER * float(np.percentile(distances, 95.0)) if distances.size else np.inf
        hidden = holdout.draw(observation.seen, pattern, rng, deepest=deepest[number])
        if not hidden.any():
            continue

        # Equal shares again: a fit that took all the time would be judged by what the tiles cannot repeat.
        own_end = context.seconds_spent + max(end - context.seconds_spent, 0.0) / (total - place)

        def follow(fraction: float, place: int = place, own_end: float = own_end) -> bool:
            context.progress((place + fraction) / total, f"Validating on hidden pixels ({place + 1} of {total})")
            return context.seconds_spent < own_end

        held = observation.hide(hidden)
        helped, borrowed = borrow(held)
        estimates = run_experts(names, helped, options, tile_seed(seed, place, 0), follow)
        fold = np.full(hidden.shape[1:], number) if len(windows) > 1 else _quadrants(hidden.shape[1:])
        found: dict[str, NDArray] = {
            "estimates": np.stack([estimate[hidden] for estimate in estimates], axis=1),
            "truth": observation.values[hidden],
            "baseline": baseline.fill_nodata(held)[hidden],
            "band": np.nonzero(hidden)[0],
            "kind": classes(helped, borrowed)[hidden],
            "distance": held.distance()[hidden],
            "roughness": roughness(helped)[hidden],
            "fold": np.broadcast_to(fold, hidden.shape)[hidden],
        }
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    experts = tuple(names)
    if not parts:
        none = np.zeros(0, np.float32)
        whole = np.zeros(0, np.int64)
        empty = np.zeros((0, len(names)), np.float32)
        return Samples(experts, empty, none, none, whole, whole, none, none, whole)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    kept = like_gaps(joined["distance"], np.sum(list(depths.values()), axis=0), np.random.default_rng([seed, 3]))
    return Samples(experts, **{name: values[kept] for name, values in joined.items()})


def like_gaps(distance: NDArray, wanted: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of samples whose distances are distributed as ``wanted``, a histogram of the gaps' pixels by depth.

    At least a quarter of the samples is kept, and the whole where there is nothing to be like.
    """
    everything = np.arange(len(distance))
    found = _histogram(distance)
    if not wanted.any():
        return everything
    ratio = np.divide(wanted / wanted.sum(), found / found.sum(), out=np.zeros(len(found)), where=found > 0)
    pace = float(ratio[found >= _COMMON * found.sum()].max())
    if pace <= 0:
        return everything

    def chances(pace: float) -> tuple[NDArray[np.float64], float]:
        each = np.minimum(ratio / pace, 1.0)
        return each, float((each * found).sum() / found.sum())

    paces = pace * 0.8 ** np.arange(_PACES)
    chance, kept = next((one for one in map(chances, paces) if one[1] >= _LEAST_KEPT), chances(paces[-1]))
    if kept < _LEAST_KEPT:
        chance = chance + (1.0 - chance) * (_LEAST_KEPT - kept) / (1.0 - kept)
    return np.flatnonzero(rng.random(len(distance)) < chance[np.searchsorted(_DEPTHS, distance)])


def _histogram(distance: NDArray) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(_DEPTHS, distance), minlength=len(_DEPTHS) + 1)


def _quadrants(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The quadrant, 0 to 3, of each pixel, ``(row, column)``."""
    below = (np.arange(shape[0]) >= shape[0] // 2).astype(np.int64)[:, None]
    right = (np.arange(shape[1]) >= shape[1] // 2).astype(np.int64)[None]
    return 2 * below + right
