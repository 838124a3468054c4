"""Filling: validate the gap experts, select a model, fill tile by tile, and write outputs and report.

Gap filling and stripe inpainting differ in how they find the pixels to fill and share everything else. Observed pixels
are copied as they are stored. Pixels with a `Correction` (an additive stripe) are the stored value minus the offset.
Bands that hold classes are not part of the problem; they are added when the outputs are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube
from ..events import Result
from ..raster.provenance import provenance
from ..raster.writer import open_output_writers, to_stored_pixels
from ..reporting.page import Section
from ..runtime.context import Context
from ..runtime.devices import resolve_device
from ..runtime.executors import Executor, LocalExecutor, make_executor, restore_tiles
from ..runtime.tiling import Tile
from . import report
from .class_bands import ClassBands, RestoredWindow
from .methods import FILL_METHODS
from .plan import FillJob, FillPlan, plan_fill
from .problem import GapProblem
from .run_experts import ExpertOptions, concurrent_windows, needs_device, needs_networks
from .samples import ValidationSamples
from .stacking import StackedModel, select_model, unvalidated_model
from .tile import FillRecipe, FillTile, fill_tile
from .validation import collect_samples

_MIN_SAMPLES = 30
_VALIDATION_TIME_SHARE = 0.5  # of the time budget, for methods without a network


def run(
    job: FillJob,
    problem: GapProblem,
    facts: Mapping[str, object],
    context: Context,
    sections: Sequence[Section] = (),
    classes: ClassBands | None = None,
) -> Result:
    """Fill the gaps of a problem; writes the requested outputs and returns the numbers.

    ``facts``: parameters of the task, for provenance and report. ``sections``: further sections of the report.
    ``classes``: the bands that hold classes and the scene with all bands; None: ``problem`` has all bands.
    """
    options = ExpertOptions(job.compute.device, job.network_input, threads=job.compute.threads)
    plan = plan_fill(job, problem.gaps, problem.scene.grid.shape, problem.guide is not None)
    # Made before the validation, so that a scheduler that does not answer is reported at once.
    executor = make_executor(job.compute.scheduler, context, fill_tile, "Filling")
    model = None
    if problem.gaps.target_pixels:
        with context.section(0.02, 0.4):
            samples = collect_samples(
                problem,
                plan.experts,
                plan.windows,
                plan.rounds,
                options,
                job.compute.seed,
                context,
                _validation_time_share(job, problem, plan),
            )
        model = _select(job, samples, problem.scene.count, context)
    result = report.FillResult(job, problem, plan, model, facts, sections=sections, classes=classes)
    warning = report.warn_if_weak(result, context) if needs_networks(plan.experts) else None
    with context.section(0.4, 0.95):
        tags = _provenance(job, plan, model, facts, classes, warning)
        changed, left = _write_outputs(job, problem, plan, model, options, tags, executor, classes, context)
    context.progress(0.96, "Writing the report")
    result = replace(result, changed=changed, left=left + result.gaps.distant_pixels)
    report.write(result, context)
    return Result(job.outputs.requested(), report.numbers(result))


def _validation_time_share(job: FillJob, problem: GapProblem, plan: FillPlan) -> float:
    """The share of the time budget for the validation: a network takes the same time for a hold-out and for a tile."""
    if not FILL_METHODS[job.method].fits_networks:
        return _VALIDATION_TIME_SHARE
    runs = len(plan.windows) * plan.rounds
    return runs / (runs + sum(map(len, plan.tiles(problem.scene.grid.shape))))


def _select(job: FillJob, samples: ValidationSamples, bands: int, context: Context) -> StackedModel:
    """Select the model and report it to ``context``."""
    rng = np.random.default_rng([job.compute.seed, 2])
    if len(samples) < _MIN_SAMPLES:
        context.warn("Too few observed pixels to validate on: the fill is not validated.")
        return unvalidated_model(samples, bands)
    model = select_model(samples, bands, rng, FILL_METHODS[job.method].stack)
    context.info(f"Selected on {len(samples)} hidden values: {model.rule.name} ({', '.join(model.used_names)}).")
    return model


def _write_outputs(
    job: FillJob,
    problem: GapProblem,
    plan: FillPlan,
    model: StackedModel | None,
    options: ExpertOptions,
    tags: dict[str, str],
    executor: Executor,
    classes: ClassBands | None,
    context: Context,
) -> tuple[int, int]:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns the numbers of changed pixels and of pixels left unfilled."""
    scene, gaps = (problem.scene, problem.gaps) if classes is None else (classes.scene, classes.gaps)
    changed = left = 0
    with ExitStack() as files:
        writers = open_output_writers(files, job.outputs, scene, tags, "filled", context)
        for window, layers in _fill_tiles(job, problem, plan, model, options, executor):
            restored = _restore_window(problem, window, *layers)
            if classes is not None:
                restored = classes.add_to(window, restored)
            writable = restored.writable
            left += int(np.count_nonzero((restored.target & ~writable).any(axis=0)))
            changed += int(np.count_nonzero(writable.any(axis=0)))
            valid = writable | restored.observed
            valid[list(gaps.empty_bands)] = True  # empty bands do not make a pixel transparent
            writers["output"].write(np.where(writable, restored.values, restored.pixels), window, valid)
            if "uncertainty" in writers:
                shown = np.where(writable, restored.deviation, np.where(restored.observed, 0.0, np.nan))
                writers["uncertainty"].write(shown, window)
            if "filled" in writers:
                writers["filled"].write(writable.astype(np.uint8), window)
    return changed, left


def _restore_window(
    problem: GapProblem, window: Window, estimate: Cube, standardized_deviation: Cube
) -> RestoredWindow:
    """The window with filled and corrected pixels as they are stored; ``estimate``: of the tiles, standardised."""
    observed, target = problem.gaps.window(window)
    pixels = problem.scene.read(window)
    writable = target & np.isfinite(estimate)
    values = problem.standardization.undo(estimate)
    deviation = standardized_deviation * problem.standardization.deviation[:, None, None]
    if problem.correction is not None:
        offsets = problem.correction.offsets(window)
        corrected = observed & (offsets != 0)
        values = np.where(corrected, pixels.astype(np.float64) - offsets, values)
        deviation = np.where(corrected, problem.correction.deviation[:, None, None], deviation)
        writable = writable | corrected
    values = to_stored_pixels(values, problem.scene.dtype, problem.low, problem.high, problem.scene.missing_values)
    return RestoredWindow(pixels, values, writable, observed, target, deviation)


def _fill_tiles(
    job: FillJob,
    problem: GapProblem,
    plan: FillPlan,
    model: StackedModel | None,
    options: ExpertOptions,
    executor: Executor,
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Full-width windows from top to bottom, with estimates and deviations ``(2, band, row, column)``."""
    scene = problem.scene
    if model is None:
        for window in scene.blocks():
            yield window, np.zeros((2, scene.count, int(window.height), scene.grid.width), np.float32)
        return
    rows = plan.tiles(scene.grid.shape)

    def make_task(tile: Tile, seed: int) -> FillTile:
        return FillTile.from_observation(problem.observe(tile.window), seed)

    workers = 1
    if isinstance(executor, LocalExecutor):
        area = int(max(tile.window.width * tile.window.height for row in rows for tile in row))
        workers, options = concurrent_windows(model.used_names, options, scene.count, area, sum(map(len, rows)))
    recipe = FillRecipe(model, options)
    yield from restore_tiles(
        executor, recipe, rows, make_task, job.compute.seed, scene.count, scene.grid.width, workers=workers
    )


def _provenance(
    job: FillJob,
    plan: FillPlan,
    model: StackedModel | None,
    facts: Mapping[str, object],
    classes: ClassBands | None,
    warning: str | None,
) -> dict[str, str]:
    # Every candidate counts, because the validation depends on the device too.
    on_device = model is not None and needs_device(plan.experts)
    choices: dict[str, object] = {
        "method": job.method,
        "seed": job.compute.seed,
        "device": str(resolve_device(job.compute.device)) if on_device else "cpu",
        "tile_size": plan.tile_size,
        "overlap": plan.overlap,
        "time_budget": job.compute.time_budget,
    }
    if FILL_METHODS[job.method].published:
        choices["network_input"] = job.network_input
    if model is not None:
        choices["rule"] = model.rule.name
        choices["experts"] = model.used_names
    if classes is not None:
        choices["class_bands"] = [number + 1 for number in classes.numbers]
    return provenance(job.task, warning, **choices, **facts)
