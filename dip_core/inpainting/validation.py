"""Validation: run the experts on hold-outs of the scene and collect the samples that the mixture needs.

Hidden pixels that touch a gap widen it, so hold-outs are deeper than the gaps where much is missing. Samples are
therefore thinned until their distances to the nearest observed pixel are distributed as those in the gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..imaging.observation import Observation
from ..runtime.concurrency import SharedProgress, map_in_order
from ..runtime.context import Context
from ..runtime.progress import ProgressReporter
from ..runtime.tiling import tile_seed
from . import gdal_baseline, holdout
from .cross_band import borrow
from .features import surroundings
from .problem import Survey
from .stacking import Samples, no_samples
from .tile import Options, run_experts, side_by_side

_FEWEST_PATTERN = 0.02
# Upper ends of the distance bins in which samples are made like the gaps, in pixels.
_DEPTHS = (1.5, 2.5, 3.5, 5.0, 6.5, 8.5, 11.5, 16.0, 25.0)
_LEAST_KEPT = 0.25  # of the samples
_PACES = 16
_DEEPER = 1.2  # than all but the deepest twentieth of the gaps' pixels, that hidden pixels may be
_COMMON = 0.02  # share of the samples that a bin must hold to set the pace


@dataclass(frozen=True)
class _HoldOut:
    """A window with pixels hidden on purpose, ``(band, row, column)``; ``place``: its number among all runs."""

    place: int
    window: int
    whole: Observation
    hidden: Mask


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
    depths: dict[int, NDArray[np.int64]] = {}
    total = len(windows) * rounds
    area = max((int(window.width * window.height) for window in windows), default=1)
    workers, options = side_by_side(names, options, known.scene.count, area, total)
    shared = SharedProgress(
        total, lambda done, run: context.progress(done, f"Validating on hidden pixels ({run} of {total})")
    )
    end = context.seconds_spent + context.seconds_left * share

    def score(held_out: _HoldOut) -> dict[str, NDArray] | None:
        place = held_out.place
        if place and context.seconds_spent >= end:
            return None
        # Equal shares again: a fit that took all the time would be judged by what the tiles cannot repeat.
        left = max(end - context.seconds_spent, 0.0)
        own_end = context.seconds_spent + left * min(workers, total - place) / (total - place)

        with shared.piece(place) as piece:

            def update(fraction: float) -> bool:
                return piece.update(fraction) and context.seconds_spent < own_end

            progress = ProgressReporter(update)
            return _score(held_out, names, options, tile_seed(seed, place, 0), len(windows) > 1, progress)

    parts: dict[str, list[NDArray]] = {}
    for done, found in enumerate(map_in_order(score, _hold_outs(known, windows, rounds, seed, depths), workers)):
        if found is None:
            context.warn(f"The time budget allowed {done} of {total} hold-out runs.")
            break
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    if not parts:
        return no_samples(names)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    kept = like_gaps(joined["distance"], np.sum(list(depths.values()), axis=0), np.random.default_rng([seed, 3]))
    return Samples(names=tuple(names), **{name: values[kept] for name, values in joined.items()})


def _hold_outs(
    known: Survey, windows: Sequence[Window], rounds: int, seed: int, depths: dict[int, NDArray[np.int64]]
) -> Iterator[_HoldOut]:
    """The hold-outs that hide any pixel, round by round; ``depths`` takes how deep each window's own gaps are."""
    rng = np.random.default_rng([seed, 1])
    patterns = [known.gaps.window(window)[1] for window in windows]
    richest = max(patterns, key=np.count_nonzero)
    deepest: dict[int, float] = {}
    often: dict[int, NDArray[np.int64]] = {}  # how many times each place was hidden
    for place, (number, window) in enumerate((n, w) for _ in range(rounds) for n, w in enumerate(windows)):
        observation = known.observe(window)
        pattern = patterns[number]
        if pattern.mean() < _FEWEST_PATTERN and richest.shape == pattern.shape:
            pattern = richest
        if number not in depths:
            distances = observation.distance()[observation.target]
            depths[number] = _histogram(distances)
            deepest[number] = _DEEPER * float(np.percentile(distances, 95.0)) if distances.size else np.inf
            often[number] = np.zeros(observation.shape[1:], np.int64)
        hidden = holdout.draw(observation.measured, pattern, rng, deepest=deepest[number], often=often[number])
        often[number] += hidden.any(axis=0)
        if hidden.any():
            yield _HoldOut(place, number, observation, hidden)


def _score(
    held_out: _HoldOut,
    names: Sequence[str],
    options: Options,
    seed: int,
    by_window: bool,
    progress: ProgressReporter,
) -> dict[str, NDArray]:
    """The fields of `Samples` on one hold-out; folds are windows, or quadrants."""
    hidden = held_out.hidden
    held = held_out.whole.hide(hidden)
    helped, borrowed = borrow(held)
    fold = np.full(hidden.shape[1:], held_out.window) if by_window else _quadrants(hidden.shape[1:])

    found: dict[str, NDArray] = {}

    def look() -> None:
        around = surroundings(helped, borrowed, hidden)
        found.update({field.name: getattr(around, field.name) for field in fields(around)})

    def compare() -> None:
        found["baseline"] = gdal_baseline.fill_nodata(held)[hidden]

    estimates = run_experts(names, helped, options, seed, progress, beside=[look, compare])
    return found | {
        "estimates": np.stack([estimate[hidden] for estimate in estimates], axis=1),
        "truth": held_out.whole.values[hidden],
        "band": np.nonzero(hidden)[0],
        "distance": held.distance()[hidden],
        "fold": np.broadcast_to(fold, hidden.shape)[hidden],
    }


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
