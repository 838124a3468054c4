"""Filling: validate the experts, elect a mixture, fill tile by tile, write and report.

Gap filling and stripe inpainting differ in how they find the pixels to fill; from there on they share this
way. Observed pixels are copied as they are stored; pixels with a *correction* (an additive stripe) are the
stored value less the correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..events import Result
from ..raster.provenance import provenance
from ..raster.writer import open_output_writers, to_stored_pixels
from ..reporting.html import Section
from ..runtime.context import Context
from ..runtime.devices import resolve_device
from ..runtime.executors import Executor, LocalExecutor, make_executor, restore_tiles
from ..runtime.tiling import Tile, split_into_tiles
from . import report as fill_report
from .plan import FillJob, Plan, plan, tile_count
from .problem import Survey
from .stacking import Mixture, Samples, elect, unvalidated
from .tile import Options, Recipe, TileTask, needs_device, restore_tile, side_by_side
from .validation import collect

_FEWEST_SAMPLES = 30


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
    tiles = make_executor(
        job.compute.scheduler, context, restore_tile, "Filling"
    )  # a scheduler that does not answer is told at once
    mixture = None
    if known.gaps.target_pixels:
        with context.section(0.02, 0.4):
            # With a network alone, a hold-out is as dear as a tile, and gets as much time.
            runs = len(planned.windows) * planned.rounds
            share = 0.5 if job.method in ("fast", "best") else runs / (runs + tile_count(known, planned))
            samples = collect(
                known, planned.names, planned.windows, planned.rounds, options, job.compute.seed, context, share
            )
        mixture = choose(job, samples, known.scene.count, context)
    with context.section(0.4, 0.95):
        changed, left = fill(job, known, planned, mixture, options, facts, tiles)
    context.progress(0.96, "Writing the report")
    outcome = fill_report.Outcome(job, known, planned, mixture, facts, changed, left, sections)
    fill_report.write(outcome, context)
    return Result(job.outputs.wanted(), fill_report.numbers(outcome))


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
    tiles: Executor,
) -> tuple[int, int]:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns the numbers of pixels changed and of those left unfilled."""
    scene, gaps = known.scene, known.gaps
    changed_pixels = left = 0
    with ExitStack() as files:
        tags = _provenance(job, planned, mixture, facts)
        writers = open_output_writers(files, job.outputs, scene, tags, "filled")
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
            fresh = to_stored_pixels(fresh, scene.dtype, known.low, known.high, known.forbidden)
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
    tiles: Executor,
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Blended estimates and deviations, in bands of full-width rows from top to bottom."""
    scene = known.scene
    if mixture is None:
        for window in scene.blocks():
            yield window, np.zeros((2, scene.count, int(window.height), scene.grid.width), np.float32)
        return
    rows = split_into_tiles(*scene.grid.shape, planned.tile_size, planned.overlap)

    def make_task(tile: Tile, seed: int) -> TileTask:
        return TileTask.of(known.observe(tile.window), seed)

    workers = 1
    if isinstance(tiles, LocalExecutor):
        names = [mixture.names[number] for number in mixture.used]
        area = int(max(tile.window.width * tile.window.height for row in rows for tile in row))
        workers, options = side_by_side(names, options, scene.count, area, sum(map(len, rows)))
    recipe = Recipe(mixture, options)
    yield from restore_tiles(
        tiles, recipe, rows, make_task, job.compute.seed, scene.count, scene.grid.width, workers=workers
    )


def _provenance(job: FillJob, planned: Plan, mixture: Mixture | None, facts: Mapping[str, object]) -> dict[str, str]:
    on_device = mixture is not None and needs_device(planned.names)  # validation on it decides, too
    made: dict[str, object] = {
        "method": job.method,
        "seed": job.compute.seed,
        "device": str(resolve_device(job.compute.device)) if on_device else "cpu",
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
