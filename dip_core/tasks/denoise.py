"""Denoising: from a job to its outputs.

The model is fitted to a sample of the scene; then the scene is denoised tile by tile, written and reported. Bad bands
and unobserved pixels are copied as they are stored.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from ..denoising import report as denoise_report
from ..denoising.derived_bands import DerivedBands, add_derived, find_derived, sources
from ..denoising.model import DenoisingModel, fit_model
from ..denoising.options import DenoiseOptions
from ..denoising.registry import DENOISERS, DENOISING_METHODS
from ..denoising.tiles import denoise_tiles, plan_tiles
from ..errors import NothingObserved
from ..events import Result
from ..imaging.subspace import NoCompletePixel
from ..raster.band_selection import SelectedScene, select_bands
from ..raster.magnitude import MAX_SQUARED_MAGNITUDE, require_computable
from ..raster.open_scene import open_scene
from ..raster.provenance import provenance
from ..raster.writer import open_output_writers, to_stored_pixels, write_output_window
from ..restoration_jobs import DenoiseJob
from ..runtime.context import Context
from ..runtime.devices import resolve_device
from ..runtime.memory import format_bands, require_memory

_MODEL_BYTES_PER_VALUE = 32.0  # memory of the fit per value of the sample


def run(job: DenoiseJob, context: Context) -> Result:
    """Denoise a raster; writes the requested outputs and returns the output numbers."""
    with ExitStack() as opened:
        context.progress(0.0, "Reading the scene")
        scene = opened.enter_context(open_scene(job.inputs, job.nodata, context, keep_damage=job.noise == "mixed"))
        selected = select_bands(scene, context)
        ends = (selected.low, selected.high)
        require_computable(scene.paths[0], selected.bands, *ends, limit=MAX_SQUARED_MAGNITUDE)
        context.info(
            f"{scene.count} bands of {scene.grid.width} x {scene.grid.height} pixels; {len(selected.bands)} bands to "
            f"denoise, {selected.observed_pixels} pixels observed."
        )
        # Before the model: a network may not fit the scene.
        tiling = plan_tiles(job.method, job.compute, len(selected.bands), scene.grid.shape)
        with context.section(0.02, 0.3):
            model, derived = _fit_model(job, selected, context)
        result = denoise_report.DenoiseResult(job, selected, model, derived)
        networks = any(DENOISERS[name].fits_network for name in model.weights)
        warning = denoise_report.warn_if_weak(result, context) if networks else None
        with context.section(0.3, 0.95):
            tags = _provenance(job, model, tiling, warning)
            changed, left = _write(job, selected, derived, model, tiling, tags, context)
        context.progress(0.96, "Writing the report")
        result = replace(result, changed=changed, left=left)
        denoise_report.write(result, context)
        return Result(job.outputs.requested(), denoise_report.numbers(result))


def _fit_model(job: DenoiseJob, selected: SelectedScene, context: Context) -> tuple[DenoisingModel, DerivedBands]:
    """Fit the model to a sample of the scene, without derived bands, and report what was found."""
    compute = job.compute
    options = DenoiseOptions(job.method, job.noise, job.sigma, compute.device, compute.seed, compute.threads)
    bands = len(selected.bands)
    require_memory(
        _MODEL_BYTES_PER_VALUE * bands * selected.sample_pixels,
        f"the model of {format_bands(bands)}",
        "Close other programs, or give fewer bands.",
    )
    values, observed = selected.sample()
    derived = {} if DENOISING_METHODS[job.method].published else find_derived(values, observed)
    if derived:
        _report_derived(selected, derived, context)
        kept = sources(len(values), derived)
        values, observed = values[kept], observed[kept]
    grid = selected.scene.grid
    progress = context.reporter("Validating on held-out values", keep_seconds=0.0)
    try:
        model = fit_model(values, observed, options, grid.width * grid.height, progress)
    except NoCompletePixel as error:
        reason = "no pixel is observed in all of its bands"
        raise NothingObserved(path=selected.scene.paths[0], reason=reason) from error
    for name in DENOISING_METHODS[job.method].denoisers:
        if name not in model.weights:
            context.info(f"{DENOISERS[name].label} skipped: slow, little gain. METHOD {name} runs it.")
    if model.score is None:
        context.warn("The result is not validated, because too few pixels are observed.")
    if model.clipped_bands:
        context.info(f"{model.clipped_bands} bands contain clipped values, which are corrected.")
    context.info(f"{model.subspace.rank} spectral components contain signal.")
    return model, derived


def _report_derived(selected: SelectedScene, derived: DerivedBands, context: Context) -> None:
    names = [selected.scene.names[band] for band in selected.bands]
    copies = [f"{names[band]} (of {names[next(iter(own.weights))]})" for band, own in derived.items() if own.is_copy]
    combined = [names[band] for band, own in derived.items() if not own.is_copy]
    if copies:
        context.info(
            f"Copies of another band, up to scale and offset, which are denoised with it: {', '.join(copies)}."
        )
    if combined:
        context.info(
            f"Linear combinations of other bands, which are computed from their results: {', '.join(combined)}."
        )


def _write(
    job: DenoiseJob,
    selected: SelectedScene,
    derived: DerivedBands,
    model: DenoisingModel,
    tiling: tuple[int, int],
    tags: dict[str, str],
    context: Context,
) -> tuple[int, int]:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns the numbers of denoised pixels and of pixels without a result."""
    scene, bands = selected.scene, list(selected.bands)
    kept = sources(len(bands), derived)
    distinct = selected.subset(kept)
    changed = left = 0
    with ExitStack() as files:
        writers = open_output_writers(files, job.outputs, scene, tags, "denoised", context)
        for window, (estimate, deviation) in denoise_tiles(job, distinct, model, tiling, context):
            _, observed = selected.read(window)
            good = observed
            if derived:
                good = observed & observed[kept].any(axis=0)
                estimate = add_derived(estimate, len(bands), derived)
                deviation = add_derived(deviation, len(bands), derived, is_deviation=True)
            good = good & np.isfinite(estimate)
            changed += int(np.count_nonzero(good.any(axis=0)))
            left += int(np.count_nonzero((observed & ~good).any(axis=0)))
            stored = to_stored_pixels(
                np.where(good, estimate, 0), scene.dtype, selected.low, selected.high, scene.missing_values
            )
            write_output_window(writers, window, scene.read(window), bands, stored, good, deviation)
    return changed, left


def _provenance(job: DenoiseJob, model: DenoisingModel, tiling: tuple[int, int], warning: str | None) -> dict[str, str]:
    return provenance(
        job.task,
        warning,
        method=job.method,
        noise=job.noise,
        sigma=job.sigma,
        rank=model.subspace.rank,
        shares={name: round(weight, 4) for name, weight in model.weights.items()},
        seed=job.compute.seed,
        device=str(resolve_device(job.compute.device)),
        tile_size=tiling[0],
        overlap=tiling[1],
        time_budget=job.compute.time_budget,
    )
