"""Gap filling, from a job to its outputs.

First the gaps are told from the exterior and the experts are validated on hold-outs; then the scene is
filled tile by tile, written, and reported. Observed pixels are copied as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from . import gapfill_report, holdout
from .context import Context
from .devices import resolve
from .events import Result
from .executors import executor
from .experts import CLASSICAL, GUIDED
from .experts.deep_prior import cost
from .gaps import Gaps, find_gaps
from .guide import Guide
from .job import GapFillJob
from .mixture import Mixture, Samples, elect, unvalidated
from .provenance import provenance
from .restore import Options, Recipe, TileTask, as_pixels, tile_seed
from .scene import Scene
from .survey import Survey, survey
from .tiles import Mosaic, Tile, split
from .validation import collect
from .writer import RasterWriter

# Multiply-adds that the deep prior may cost within METHOD best before it is left out: about a minute on
# two cores, and the same on a GPU.
_AFFORDABLE = {"cpu": 3e12, "cuda": 3e15, "mps": 3e14}
_ROUNDS_WITH_NETWORK = 2
_VALIDATION_WINDOW = 384
_FEWEST_SAMPLES = 30
_NETWORK_TILE = 256
_CLASSICAL_TILE = 512


@dataclass(frozen=True)
class Plan:
    """Which experts stand for election, how they are validated, and the tiles."""

    names: tuple[str, ...]
    windows: list[Window]
    rounds: int
    tile_size: int
    overlap: int
    skipped: dict[str, str]


def run(job: GapFillJob, context: Context) -> Result:
    """Fill the gaps of a scene; writes the outputs that the job wants and returns the numbers."""
    with ExitStack() as opened:
        context.progress(0.0, "Reading the scene")
        scene = opened.enter_context(Scene(job.inputs))
        gaps = find_gaps(scene, job.gap_masks, job.mask_polarity, job.fill_exterior, context)
        guide = _guide(job, scene, context)
        known = survey(scene, gaps, opened.enter_context(guide) if guide else None)
        context.info(
            f"{scene.count} bands of {scene.grid.width} x {scene.grid.height} pixels; "
            f"{gaps.target_pixels} pixels to fill, {gaps.exterior_pixels} outside the scene (by {gaps.origin})."
        )
        options = Options(job.compute.device, job.network_input, threads=job.compute.threads)
        planned = plan(job, known)
        mixture = None
        if gaps.target_pixels:
            with context.part(0.02, 0.4):
                samples = collect(
                    known,
                    planned.names,
                    planned.windows,
                    planned.rounds,
                    options,
                    job.compute.seed,
                    context,
                )
            mixture = choose(job, samples, scene.count, context)
        else:
            context.warn("The scene has no gaps: the output is a copy of the input.")
        with context.part(0.4, 0.95):
            left = fill(job, known, planned, mixture, options, context)
        context.progress(0.96, "Writing the report")
        outcome = gapfill_report.Outcome(job, known, planned, mixture, left)
        gapfill_report.write(outcome, context)
        return Result(job.outputs.wanted(), gapfill_report.numbers(outcome))


def _guide(job: GapFillJob, scene: Scene, context: Context) -> Guide | None:
    """The job's guide, where its method uses one and it covers a part of the scene."""
    if not job.guide:
        return None
    if job.method not in ("fast", "best"):
        context.warn(f"METHOD {job.method} uses no guide: GUIDE has no effect.")
        return None
    guide = Guide(job.guide, scene)
    if not guide.coverage:
        context.warn(f"GUIDE '{job.guide}' does not overlap the scene and is not used.")
        guide.__exit__()
        return None
    context.info(f"The guide covers {100 * guide.coverage:.0f} % of the raster.")
    return guide


def plan(job: GapFillJob, known: Survey) -> Plan:
    """Experts, hold-outs and tiles for a job. It depends on sizes and device only, never on the clock."""
    scene, gaps = known.scene, known.gaps
    rng = np.random.default_rng([job.compute.seed, 0])
    with_network = job.method not in ("fast", "best")
    size = job.compute.tile_size or (_NETWORK_TILE if with_network else _CLASSICAL_TILE)
    overlap = job.compute.overlap or min(64, size // 4)
    if not job.compute.tile_size:
        size = max(size, 3 * overlap)  # room for an OVERLAP that was asked for
    few = job.method == "fast" or with_network
    most = 1 if with_network else 4 if few else 6
    windows = holdout.sample_windows(gaps, size if with_network else _VALIDATION_WINDOW, most, rng)
    rounds = 1 if with_network else 3 if len(windows) == 1 else 1 if few else 2
    names: tuple[str, ...] = (*CLASSICAL, *(GUIDED if known.guide else ()))
    skipped: dict[str, str] = {}
    device = resolve(job.compute.device)
    if with_network:
        names = (job.method,)
    elif job.method == "best" and gaps.target_pixels:
        area = sum(int(window.width * window.height) for window in windows) * _ROUNDS_WITH_NETWORK
        wanted = cost("deep_prior", area + scene.grid.width * scene.grid.height, scene.count)
        if wanted <= _AFFORDABLE[device.type]:
            names, rounds = (*names, "deep_prior"), _ROUNDS_WITH_NETWORK
        else:
            minutes = wanted / _AFFORDABLE["cpu"]
            skipped["deep_prior"] = f"about {minutes:.0f} minutes on two CPU cores; choose METHOD deep_prior to run it"
    return Plan(names, windows, rounds, size, overlap, skipped)


def choose(job: GapFillJob, samples: Samples, bands: int, context: Context) -> Mixture:
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
    job: GapFillJob,
    known: Survey,
    planned: Plan,
    mixture: Mixture | None,
    options: Options,
    context: Context,
) -> int:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns the number of target pixels left unfilled."""
    scene, gaps = known.scene, known.gaps
    tags = _provenance(job, gaps, planned, mixture)
    writers: dict[str, RasterWriter] = {}
    left = 0
    try:
        writers["output"] = RasterWriter(job.outputs.output or "", scene, tags=tags)
        if job.outputs.uncertainty:
            writers["uncertainty"] = RasterWriter(
                job.outputs.uncertainty,
                scene,
                dtype="float32",
                nodata=float("nan"),
                descriptions=[f"{name}, one standard deviation" for name in scene.names],
                tags=tags,
                kind="deviation",
            )
        if job.outputs.filled:
            writers["filled"] = RasterWriter(
                job.outputs.filled,
                scene,
                dtype="uint8",
                nodata=None,
                descriptions=[f"{name}, 1 = filled" for name in scene.names],
                tags=tags,
                kind="mask",
            )
        for window, layers in _blended(job, known, planned, mixture, options, context):
            observed, target = gaps.window(window)
            pixels = scene.read(window)
            estimate = known.standard.undo(layers[0])
            fresh = as_pixels(estimate, scene.dtype, known.low, known.high, _forbidden(scene, gaps))
            writable = target & np.isfinite(layers[0])
            left += int(np.count_nonzero((target & ~writable).any(axis=0)))
            writers["output"].write(np.where(writable, fresh, pixels), window, writable | observed)
            if "uncertainty" in writers:
                deviation = layers[1] * known.standard.deviation[:, None, None]
                writers["uncertainty"].write(np.where(observed, 0.0, np.where(writable, deviation, np.nan)), window)
            if "filled" in writers:
                writers["filled"].write(writable.astype(np.uint8), window)
    except BaseException as error:
        for writer in writers.values():
            writer.__exit__(type(error))
        raise
    for writer in writers.values():
        writer.__exit__(None)
    return left


def _blended(
    job: GapFillJob,
    known: Survey,
    planned: Plan,
    mixture: Mixture | None,
    options: Options,
    context: Context,
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
            observation = known.observe(tile.window)
            seed = tile_seed(job.compute.seed, number, place)
            yield TileTask(observation.values, observation.observed, observation.target, seed, observation.guide)

    mosaic = Mosaic(scene.count, scene.grid.width, 2)
    results = executor(job.compute.scheduler, context).results(Recipe(mixture, options), tasks(), len(flat))
    for (number, place, tile), layers in zip(flat, results):
        mosaic.add(tile, *layers)
        if place == len(rows[number]) - 1:
            yield from mosaic.take(_finished(rows, number, scene.grid.height))


def _finished(rows: list[list[Tile]], number: int, height: int) -> int:
    """The first row that the next row of tiles still adds to."""
    return height if number + 1 == len(rows) else int(rows[number + 1][0].window.row_off)


def _forbidden(scene: Scene, gaps: Gaps) -> float | None:
    """The value that a filled pixel must not take: it would read as missing."""
    return 0.0 if gaps.origin == "fill value 0" else scene.nodata


def _provenance(job: GapFillJob, gaps: Gaps, planned: Plan, mixture: Mixture | None) -> dict[str, str]:
    facts: dict[str, object] = {
        "method": job.method,
        "seed": job.compute.seed,
        "device": str(resolve(job.compute.device)),
        "gaps": gaps.origin,
        "fill_exterior": job.fill_exterior,
        "tile_size": planned.tile_size,
        "overlap": planned.overlap,
        "time_budget": job.compute.time_budget,
    }
    if job.guide:
        facts["guide"] = job.guide
    if job.method.startswith("paper_"):
        facts["network_input"] = job.network_input
    if mixture is not None:
        facts["rule"] = mixture.rule.name
        facts["experts"] = [mixture.names[number] for number in mixture.used]
    return provenance(job.task, **facts)
