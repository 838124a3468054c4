"""Validation: hides observed pixels, runs the gap experts on the rest, and collects the samples for the selection."""

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
from .cross_band import predict_from_other_bands
from .depth_matching import depth_histogram, match_depths
from .feature_extraction import compute_features
from .problem import GapProblem
from .run_experts import ExpertOptions, concurrent_windows, run_gap_experts
from .samples import ValidationSamples

_MIN_GAP_SHARE = 0.02  # of a window; windows with less use the pattern of the window with the most gaps
_DEPTH_FACTOR = 1.2  # hidden pixels may be deeper than 95 % of the gaps' pixels by this factor
_DEPTH_PERCENTILE = 95.0


@dataclass(frozen=True)
class _HoldOut:
    """A window with hidden pixels ``(band, row, column)``; ``number``: among all hold-outs."""

    number: int
    window: int
    observation: Observation
    hidden: Mask


def collect_samples(
    problem: GapProblem,
    names: Sequence[str],
    windows: Sequence[Window],
    rounds: int,
    options: ExpertOptions,
    seed: int,
    context: Context,
    time_share: float = 0.5,
) -> ValidationSamples:
    """Samples of the experts called ``names`` from ``rounds`` hold-outs in each window.

    Folds are windows, or quadrants if there is a single window. ``time_share``: of the remaining time budget that
    validation may use; at its end, iterative experts stop and no further hold-out starts.
    """
    gap_depths: dict[int, NDArray[np.int64]] = {}
    total = len(windows) * rounds
    area = max((int(window.width * window.height) for window in windows), default=1)
    workers, options = concurrent_windows(names, options, problem.scene.count, area, total)
    shared = SharedProgress(
        total, lambda done, run: context.progress(done, f"Validating on hidden pixels ({run} of {total})")
    )
    end = context.seconds_spent + context.seconds_left * time_share

    def run(hold_out: _HoldOut) -> dict[str, NDArray] | None:
        number = hold_out.number
        if number and context.seconds_spent >= end:
            return None
        # Equal shares of the time: a fit that took all of it would be judged by what the tiles cannot repeat.
        left = max(end - context.seconds_spent, 0.0)
        own_end = context.seconds_spent + left * min(workers, total - number) / (total - number)

        with shared.piece(number) as piece:

            def update(fraction: float) -> bool:
                out_of_time = context.seconds_spent >= own_end
                context.cut_short |= out_of_time and fraction < 1.0
                return piece.update(fraction) and not out_of_time

            own_seed, by_window = tile_seed(seed, number, 0), len(windows) > 1
            return _sample_fields(hold_out, names, options, own_seed, by_window, ProgressReporter(update))

    parts: dict[str, list[NDArray]] = {}
    hold_outs = _make_hold_outs(problem, windows, rounds, seed, gap_depths)
    for done, arrays in enumerate(map_in_order(run, hold_outs, workers)):
        if arrays is None:
            context.warn(f"The time budget was enough for {done} of {total} validation runs.")
            break
        for name, values in arrays.items():
            parts.setdefault(name, []).append(values)
    if not parts:
        return ValidationSamples.empty(names)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    gap_histogram = np.sum(list(gap_depths.values()), axis=0)
    kept = match_depths(joined["distance"], gap_histogram, np.random.default_rng([seed, 3]))
    return ValidationSamples(names=tuple(names), **{name: values[kept] for name, values in joined.items()})


def _make_hold_outs(
    problem: GapProblem,
    windows: Sequence[Window],
    rounds: int,
    seed: int,
    gap_depths: dict[int, NDArray[np.int64]],
) -> Iterator[_HoldOut]:
    """The hold-outs with any hidden pixel, round by round; adds the depth histograms of the gaps to ``gap_depths``."""
    rng = np.random.default_rng([seed, 1])
    patterns = [problem.gaps.window(window)[1] for window in windows]
    largest = max(patterns, key=np.count_nonzero)
    max_depth: dict[int, float] = {}
    times_hidden: dict[int, NDArray[np.int64]] = {}
    runs = ((index, window) for _ in range(rounds) for index, window in enumerate(windows))
    for number, (index, window) in enumerate(runs):
        observation = problem.observe(window)
        pattern = patterns[index]
        if pattern.mean() < _MIN_GAP_SHARE and largest.shape == pattern.shape:
            pattern = largest
        if index not in gap_depths:
            distances = observation.distance()[observation.target]
            gap_depths[index] = depth_histogram(distances)
            percentile = float(np.percentile(distances, _DEPTH_PERCENTILE)) if distances.size else np.inf
            max_depth[index] = _DEPTH_FACTOR * percentile
            times_hidden[index] = np.zeros(observation.shape[1:], np.int64)
        hidden = holdout.draw_hidden_pixels(
            observation.measured, pattern, rng, max_depth=max_depth[index], times_hidden=times_hidden[index]
        )
        times_hidden[index] += hidden.any(axis=0)
        if hidden.any():
            yield _HoldOut(number, index, observation, hidden)


def _sample_fields(
    hold_out: _HoldOut,
    names: Sequence[str],
    options: ExpertOptions,
    seed: int,
    by_window: bool,
    progress: ProgressReporter,
) -> dict[str, NDArray]:
    """The arrays of `ValidationSamples` from one hold-out; folds are windows (``by_window``) or quadrants."""
    hidden = hold_out.hidden
    damaged = hold_out.observation.hide(hidden)
    filled, predicted = predict_from_other_bands(damaged)
    fold = np.full(hidden.shape[1:], hold_out.window) if by_window else _quadrants(hidden.shape[1:])
    arrays: dict[str, NDArray] = {}

    def add_features() -> None:
        features = compute_features(filled, predicted, hidden)
        arrays.update({field.name: getattr(features, field.name) for field in fields(features)})

    def add_baseline() -> None:
        arrays["baseline"] = gdal_baseline.fill_nodata(damaged)[hidden]

    estimates = run_gap_experts(names, filled, options, seed, progress, beside=[add_features, add_baseline])
    return arrays | {
        "estimates": np.stack([estimate[hidden] for estimate in estimates], axis=1),
        "truth": hold_out.observation.values[hidden],
        "band": np.nonzero(hidden)[0],
        "distance": damaged.distance()[hidden],
        "fold": np.broadcast_to(fold, hidden.shape)[hidden],
    }


def _quadrants(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The quadrant, 0 to 3, of each pixel, ``(row, column)``."""
    lower = (np.arange(shape[0]) >= shape[0] // 2).astype(np.int64)[:, None]
    right = (np.arange(shape[1]) >= shape[1] // 2).astype(np.int64)[None]
    return 2 * lower + right
