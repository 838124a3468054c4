"""Denoising, from a job to its outputs.

Noise levels and subspace are learned from a sample of the scene, once; then the scene is denoised tile by tile,
written, and reported. Bad bands and unobserved pixels are copied as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube, Mask
from ..denoising import report as denoise_report
from ..denoising.model import PAPERS, Model, Settings, learn, restore
from ..dip.cost import MEMORY, memory, network_tile
from ..errors import InvalidJob, NothingObserved
from ..events import Result
from ..job import DenoiseJob
from ..raster.band_selection import SelectedScene, select_bands
from ..raster.provenance import provenance
from ..raster.scene import Scene
from ..raster.writer import open_output_writers, to_stored_pixels, write_output_window
from ..runtime.context import Context
from ..runtime.devices import resolve_device
from ..runtime.executors import make_executor, restore_tiles
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.tiling import Tile, split_into_tiles

_TILE_FLOATS = 1 << 26  # values of a tile, all bands: 256 MiB
_MOST_TILE = {"best": 1024, "fast": 1024, "deep_prior": 512}  # pixels a side; the papers' networks: as memory allows
_OVERLAP = 48  # more than the search window and a patch reach


@dataclass(frozen=True)
class TileTask:
    """One tile's pixels in the data's units, its observed pixels ``(band, row, column)``, and its seed."""

    values: Cube
    observed: Mask
    seed: int


def run(job: DenoiseJob, context: Context) -> Result:
    """Denoise a raster; writes the outputs that the job wants and returns the numbers."""
    with ExitStack() as opened:
        context.progress(0.0, "Reading the scene")
        scene = opened.enter_context(Scene(job.inputs))
        known = select_bands(scene, context)
        context.info(
            f"{scene.count} bands of {scene.grid.width} x {scene.grid.height} pixels; {len(known.bands)} bands to "
            f"denoise, {known.observed_pixels} pixels observed."
        )
        tiling = _tiles(job, known)  # before learning: a network may not fit the scene
        settings = Settings(job.method, job.noise, job.sigma, job.compute.device, job.compute.seed, job.compute.threads)
        with context.section(0.02, 0.3):
            model = _learn(known, settings, context)
        if model.limits.any:
            clipped = np.isfinite(model.limits.low) | np.isfinite(model.limits.high)
            context.info(f"{np.count_nonzero(clipped)} bands are clipped: what lay beyond the limits is allowed for.")
        context.info(f"Rank {model.subspace.rank} of {len(known.bands)} bands lies above the noise.")
        with context.section(0.3, 0.95):
            changed, left = _write(job, known, model, tiling, context)
        context.progress(0.96, "Writing the report")
        outcome = denoise_report.Outcome(job, known, model, changed, left)
        denoise_report.write(outcome, context)
        return Result(job.outputs.wanted(), denoise_report.numbers(outcome))


def _learn(known: SelectedScene, settings: Settings, context: Context) -> Model:
    values, observed = known.sample()
    progress = context.reporter("Validating on held-out values", keep_seconds=0.0)
    try:
        model = learn(values, observed, settings, known.scene.grid.width * known.scene.grid.height, progress)
    except ValueError as error:
        reason = "no pixel is observed in all of its bands"
        raise NothingObserved(path=known.scene.paths[0], reason=reason) from error
    if settings.method == "best" and "deep_prior" not in model.shares:
        context.info("The deep prior was left out, for it would take long and rarely helps; METHOD deep_prior runs it.")
    if model.score is None:
        context.warn("Too few observed pixels to validate on: the result is not validated.")
    return model


def denoise_tile(model: Model, task: TileTask, progress: ProgressReporter = SILENT) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation of a tile, ``(band, row, column)``, in the data's units."""
    return restore(model, task.values, task.observed, task.seed, progress)


def _write(
    job: DenoiseJob, known: SelectedScene, model: Model, tiling: tuple[int, int], context: Context
) -> tuple[int, int]:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns how many pixels were denoised, and how many could not be."""
    scene, bands = known.scene, list(known.bands)
    changed = left = 0
    with ExitStack() as files:
        writers = open_output_writers(files, job.outputs, scene, _provenance(job, model, tiling), "denoised")
        for window, (estimate, deviation) in _blended(job, known, model, tiling, context):
            _, observed = known.read(window)
            good = observed & np.isfinite(estimate)
            changed += int(np.count_nonzero(good.any(axis=0)))
            left += int(np.count_nonzero((observed & ~good).any(axis=0)))
            pixels = scene.read(window)
            fresh = to_stored_pixels(np.where(good, estimate, 0), scene.dtype, known.low, known.high, scene.nodata)
            write_output_window(writers, window, pixels, bands, fresh, good, deviation)
    return changed, left


def _provenance(job: DenoiseJob, model: Model, tiling: tuple[int, int]) -> dict[str, str]:
    return provenance(
        job.task,
        method=job.method,
        noise=job.noise,
        sigma=job.sigma,
        rank=model.subspace.rank,
        shares={name: round(share, 4) for name, share in model.shares.items()},
        seed=job.compute.seed,
        device=str(resolve_device(job.compute.device)),
        tile_size=tiling[0],
        overlap=tiling[1],
        time_budget=job.compute.time_budget,
    )


def _tiles(job: DenoiseJob, known: SelectedScene) -> tuple[int, int]:
    """Side and overlap of tiles: as asked for, else as large as memory allows.

    Raises InvalidJob where a network cannot take the scene, OutOfMemory where the smallest tile is too large.
    """
    bands = len(known.bands)
    if job.method in PAPERS:
        most = network_tile([job.method], bands, "denoise", max(known.scene.grid.shape))
        overlap = job.compute.overlap or min(_OVERLAP, most // 4)
    else:
        most, overlap = _MOST_TILE[job.method], job.compute.overlap or _OVERLAP
    room = int(np.sqrt(_TILE_FLOATS / bands)) // 32 * 32
    size = job.compute.tile_size or max(min(room, most), 3 * overlap)
    grown = size > most and not job.compute.tile_size and job.method in PAPERS
    if grown and memory(job.method, size**2, bands, "denoise") > 2 * MEMORY:
        raise InvalidJob(reason=f"OVERLAP {overlap} makes tiles too large for METHOD {job.method}: give less.")
    return size, min(overlap, (size - 1) // 2)


def _blended(
    job: DenoiseJob, known: SelectedScene, model: Model, tiling: tuple[int, int], context: Context
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Blended estimates and deviations, in bands of full-width rows from top to bottom."""
    grid = known.scene.grid
    rows = split_into_tiles(*grid.shape, *tiling)

    def make_task(tile: Tile, seed: int) -> TileTask:
        return TileTask(*known.read(tile.window), seed)

    runner = make_executor(job.compute.scheduler, context, denoise_tile, "Denoising")
    return restore_tiles(runner, model, rows, make_task, job.compute.seed, len(known.bands), grid.width)
