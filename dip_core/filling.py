"""Filling: validate the experts, elect a mixture, fill tile by tile, write and report.

Gap filling and stripe inpainting differ in how they find the pixels to fill; from there on they share this
way. Observed pixels are copied as they are stored; pixels with a *correction* (an additive stripe) are the
stored value less the correction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from . import fill_report, holdout
from .context import Context
from .demands import cost, memory
from .devices import check, resolve
from .errors import InvalidJob
from .events import Result
from .executors import DaskExecutor, LocalExecutor, executor
from .experts import CLASSICAL, FILLERS, GUIDED
from .job import Compute, Outputs
from .mixture import Mixture, Samples, elect, unvalidated
from .network_tiles import MEMORY, network_tile
from .provenance import provenance
from .report import Section
from .restore import Options, Recipe, TileTask, as_pixels, needs_device, side_by_side, tile_seed
from .restored import restoration_writers
from .scene import Scene
from .survey import Survey
from .tiles import Mosaic, finished, split
from .validation import collect
from .validation_windows import sample_windows

# Multiply-adds that the deep prior may cost within METHOD best, with all hold-outs, before it is left out: about a
# minute on two cores, and on a GPU; and how many two cores do in a minute (6.5e12 of them, for 140 x 140 pixels with 9
# hold-outs, took 83 s where the machine was quick, and twice that is not rare).
AFFORDABLE = {"cpu": 3e12, "cuda": 3e15, "mps": 3e14}
_A_MINUTE = 3e12
# A scene is validated until so many of its pixels were hidden, but so many times at least and at most. For the choice
# of one expert, some thousands of pixels are enough.
_ROUNDS = {"fast": (3_000, 1, 3), "best": (30_000, 3, 9)}
_ROUNDS_OF_MANY = (1, 2)  # at least and at most, where there are several windows
# Experts that hold-outs overrate in stripes, and that are not worth their time on scenes too large for one window.
_SMALL_GAPS_ONLY = ("plug_and_play_fine",)
# A scene of so many pixels at most (some 470 x 470) is validated as a whole; of others, so many windows of a size are.
# Scenes differ from place to place: many small windows tell more of them than few large ones of the same area.
_WHOLE = 221_000
_WINDOWS = {"fast": 8, "best": 12}
_VALIDATION_WINDOW = 256
_FEWEST_SAMPLES = 30
CLASSICAL_TILE = 512


class FillJob(Protocol):
    """What filling needs to know of a job."""

    @property
    def task(self) -> str:
        """The job's kind."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""

    @property
    def method(self) -> str:
        """The METHOD."""

    @property
    def network_input(self) -> str:
        """What the papers' networks start from."""

    @property
    def compute(self) -> Compute:
        """Device, seed, time budget, tiles."""

    @property
    def outputs(self) -> Outputs:
        """What to write."""


@dataclass(frozen=True)
class Plan:
    """Which experts stand for election, how they are validated, and the tiles."""

    names: tuple[str, ...]
    windows: list[Window]
    rounds: int
    tile_size: int
    overlap: int
    skipped: dict[str, str]


def run(
    job: FillJob,
    known: Survey,
    facts: Mapping[str, object],
    context: Context,
    sections: Sequence[Section] = (),
) -> Result:
    """Fill a surveyed scene; writes the outputs that the job wants and returns the numbers.

    ``facts``: parameters of the job's own kind, for the provenance and the report's settings.
    ``sections``: what the report is to hold besides.
    """
    options = Options(job.compute.device, job.network_input, threads=job.compute.threads)
    planned = plan(job, known)
    tiles = executor(job.compute.scheduler, context)  # a scheduler that does not answer is told at once
    mixture = None
    if known.gaps.target_pixels:
        with context.part(0.02, 0.4):
            # With a network alone, a hold-out is as dear as a tile, and gets as much time.
            runs = len(planned.windows) * planned.rounds
            share = 0.5 if job.method in ("fast", "best") else runs / (runs + _tile_count(known, planned))
            samples = collect(
                known, planned.names, planned.windows, planned.rounds, options, job.compute.seed, context, share
            )
        mixture = choose(job, samples, known.scene.count, context)
    with context.part(0.4, 0.95):
        changed, left = fill(job, known, planned, mixture, options, facts, tiles)
    context.progress(0.96, "Writing the report")
    outcome = fill_report.Outcome(job, known, planned, mixture, facts, changed, left, sections)
    fill_report.write(outcome, context)
    return Result(job.outputs.wanted(), fill_report.numbers(outcome))


def _tile_count(known: Survey, planned: Plan) -> int:
    return sum(len(row) for row in split(*known.scene.grid.shape, planned.tile_size, planned.overlap))


def plan(job: FillJob, known: Survey) -> Plan:
    """Experts, hold-outs and tiles for a job. It depends on sizes and device only, never on the clock."""
    scene, gaps = known.scene, known.gaps
    rng = np.random.default_rng([job.compute.seed, 0])
    with_network = job.method not in ("fast", "best")
    size = job.compute.tile_size or (_tile(job.method, scene) if with_network else CLASSICAL_TILE)
    overlap = job.compute.overlap or min(64, size // 4)
    if not job.compute.tile_size:
        size = max(size, 3 * overlap)  # room for an OVERLAP that was asked for
        if with_network and memory(job.method, min(size, max(scene.grid.shape)) ** 2, scene.count) > 2 * MEMORY:
            raise InvalidJob(reason=f"OVERLAP {overlap} makes tiles too large for METHOD {job.method}: give less.")
    if with_network:
        windows = sample_windows(gaps, size, 1, rng)
    else:
        windows = sample_windows(gaps, _VALIDATION_WINDOW, _WINDOWS[job.method], rng, _WHOLE)
    rounds = 1
    if windows and not with_network:
        pixels, fewest, limit = _ROUNDS[job.method]
        if len(windows) > 1:
            fewest, limit = _ROUNDS_OF_MANY
        hidden = sum(holdout.expected(*gaps.window(window)) for window in windows)
        rounds = min(max(math.ceil(pixels / max(1.0, hidden)), fewest), limit)
    small_gaps = job.task == "gap_fill" and len(windows) <= 1
    fillers = [name for name in FILLERS if small_gaps or name not in _SMALL_GAPS_ONLY]
    names: tuple[str, ...] = (*(fillers if job.method == "best" else CLASSICAL), *(GUIDED if known.guide else ()))
    skipped: dict[str, str] = {}
    check(job.compute.device)
    if with_network:
        names = (job.method,)
    elif job.method == "best" and gaps.target_pixels:
        # Fewer hold-outs for its sake would cost the mixture more than it brings.
        area = sum(int(window.width * window.height) for window in windows) * rounds
        work = cost("deep_prior", area + scene.grid.width * scene.grid.height, scene.count)
        if work <= AFFORDABLE[resolve(job.compute.device).type]:
            names = (*names, "deep_prior")
        else:
            minutes = work / _A_MINUTE
            skipped["deep_prior"] = f"about {minutes:.0f} minutes on two CPU cores; choose METHOD deep_prior to run it"
    return Plan(names, windows, rounds, size, overlap, skipped)


def _tile(method: str, scene: Scene) -> int:
    return network_tile([method], scene.count, "inpaint", max(scene.grid.shape))


def choose(job: FillJob, samples: Samples, bands: int, context: Context) -> Mixture:
    """Elect a mixture of the experts, or the best single one where METHOD is not best."""
    rng = np.random.default_rng([job.compute.seed, 2])
    if len(samples) < _FEWEST_SAMPLES:
        context.warn("Too few observed pixels to validate on: the fill is not validated.")
        return unvalidated(samples, bands)
    mixture = elect(samples, bands, rng, job.method == "best")
    context.info(
        f"Chosen on {len(samples)} hidden values: {mixture.rule.name} "
        f"({', '.join(mixture.names[number] for number in mixture.used)})."
    )
    return mixture


def fill(
    job: FillJob,
    known: Survey,
    planned: Plan,
    mixture: Mixture | None,
    options: Options,
    facts: Mapping[str, object],
    tiles: LocalExecutor | DaskExecutor,
) -> tuple[int, int]:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns the numbers of pixels changed and of those left unfilled."""
    scene, gaps = known.scene, known.gaps
    changed_pixels = left = 0
    with ExitStack() as files:
        tags = _provenance(job, planned, mixture, facts)
        writers = restoration_writers(files, job.outputs, scene, tags, "filled")
        for window, layers in _blended(job, known, planned, mixture, options, tiles):
            observed, target = gaps.window(window)
            pixels = scene.read(window)
            writable = target & np.isfinite(layers[0])
            left += int(np.count_nonzero((target & ~writable).any(axis=0)))
            fresh = known.standard.undo(layers[0])
            deviation = layers[1] * known.standard.deviation[:, None, None]
            if known.correction is not None:
                offset = known.correction.of(window)
                corrected = observed & (offset != 0)
                fresh = np.where(corrected, pixels.astype(np.float64) - offset, fresh)
                deviation = np.where(corrected, known.correction.deviation[:, None, None], deviation)
                writable = writable | corrected
            fresh = as_pixels(fresh, scene.dtype, known.low, known.high, known.forbidden)
            changed_pixels += int(np.count_nonzero(writable.any(axis=0)))
            opened = writable | observed
            opened[list(gaps.dead_bands)] = True  # they have no say in whether a pixel is shown
            writers["output"].write(np.where(writable, fresh, pixels), window, opened)
            if "uncertainty" in writers:
                shown = np.where(writable, deviation, np.where(observed, 0.0, np.nan))
                writers["uncertainty"].write(shown, window)
            if "filled" in writers:
                writers["filled"].write(writable.astype(np.uint8), window)
    return changed_pixels, left


def _blended(
    job: FillJob,
    known: Survey,
    planned: Plan,
    mixture: Mixture | None,
    options: Options,
    tiles: LocalExecutor | DaskExecutor,
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Blended estimates and deviations, in bands of full-width rows from top to bottom."""
    scene = known.scene
    if mixture is None:
        for window in scene.blocks():
            yield window, np.zeros((2, scene.count, int(window.height), scene.grid.width), np.float32)
        return
    rows = split(*scene.grid.shape, planned.tile_size, planned.overlap)
    flat = [(number, place, tile) for number, row in enumerate(rows) for place, tile in enumerate(row)]

    def tasks() -> Iterator[TileTask]:
        for number, place, tile in flat:
            yield TileTask.of(known.observe(tile.window), tile_seed(job.compute.seed, number, place))

    mosaic = Mosaic(scene.count, scene.grid.width, 2)
    workers = 1
    if isinstance(tiles, LocalExecutor):
        names = [mixture.names[number] for number in mixture.used]
        area = int(max(tile.window.width * tile.window.height for _, _, tile in flat))
        workers, options = side_by_side(names, options, scene.count, area, len(flat))
    results = tiles.results(Recipe(mixture, options), tasks(), len(flat), workers)
    for (number, place, tile), layers in zip(flat, results):
        mosaic.add(tile, *layers)
        if place == len(rows[number]) - 1:
            yield from mosaic.take(finished(rows, number))


def _provenance(job: FillJob, planned: Plan, mixture: Mixture | None, facts: Mapping[str, object]) -> dict[str, str]:
    on_device = mixture is not None and needs_device(planned.names)  # validation on it decides, too
    made: dict[str, object] = {
        "method": job.method,
        "seed": job.compute.seed,
        "device": str(resolve(job.compute.device)) if on_device else "cpu",
        "tile_size": planned.tile_size,
        "overlap": planned.overlap,
        "time_budget": job.compute.time_budget,
    }
    if job.method.startswith("paper_"):
        made["network_input"] = job.network_input
    if mixture is not None:
        made["rule"] = mixture.rule.name
        made["experts"] = [mixture.names[number] for number in mixture.used]
    return provenance(job.task, **made, **facts)
