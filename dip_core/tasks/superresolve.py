"""Super-resolution: from a job to its outputs.

The experts are validated on a downsampled copy of the image. Then the image is enlarged tile by tile, made consistent
with the observed pixels, and written on a grid with smaller pixels and the same extent. Missing pixels stay missing;
bands that are not restored (bad, empty or constant ones) are enlarged by repeating their pixels.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..events import Result
from ..imaging.psf import Psf
from ..raster import atomic, metadata
from ..raster.band_selection import SelectedScene, select_bands
from ..raster.guide import Guide
from ..raster.open_guide import open_guide
from ..raster.open_scene import open_scene
from ..raster.provenance import provenance
from ..raster.scene import Scene
from ..raster.upsampled_scene import UpsampledScene, upsampled_window
from ..raster.writer import open_output_writers, to_stored_pixels, write_output_window
from ..restoration_jobs import SuperResolveJob
from ..runtime.context import Context
from ..runtime.devices import resolve_device
from ..runtime.threads import set_torch_threads
from ..superresolution import report as superresolve_report
from ..superresolution.consistency import consistency_rmse
from ..superresolution.model_file import read_model
from ..superresolution.options import EnlargeOptions, TrainedModel
from ..superresolution.plan import EnlargementPlan, plan_enlargement
from ..superresolution.registry import ENLARGEMENT_EXPERTS, ENLARGEMENT_METHODS
from ..superresolution.scale_statistics import fit_scale_statistics
from ..superresolution.tiles import EnlargeRecipe, enlarge_scene
from ..superresolution.validation import validate

_MAX_INCONSISTENCY = 0.01  # of the bands' range; rounding causes less, a wrong point spread function more
_MIN_PIXEL_RATIO = 1.05  # of a pixel's side to another's: smaller differences do not count
_COMPRESSION = 0.5  # rough size of a compressed, detailed raster


def run(job: SuperResolveJob, context: Context, iterations: int | None = None) -> Result:
    """Enlarge a raster; writes the requested outputs and returns the output numbers.

    ``iterations``: of untrained networks; None: those of their presets.
    """
    with ExitStack() as opened:
        context.progress(0.0, "Reading the scene")
        scene = opened.enter_context(open_scene(job.inputs, job.nodata, context))
        _check_disk_space(job, scene)
        selected = select_bands(scene, context)
        psf = Psf(job.factor, job.psf, job.psf_sigma)
        model = _read_model(job, selected, context)
        compute = job.compute
        options = EnlargeOptions(psf, selected.low, selected.high, compute.device, compute.threads, iterations, model)
        guide = _open_guide(job, scene, context)
        if guide:
            opened.enter_context(guide)
        plan = plan_enlargement(job, selected, guide)
        context.info(
            f"{len(selected.bands)} of {scene.count} bands of {scene.grid.width} x {scene.grid.height} pixels are "
            f"enlarged {job.factor} times."
        )
        with context.section(0.02, 0.1):
            options = _fit_statistics(options, selected, plan, context, guide)
        with context.section(0.1, 0.4):
            validation = validate(selected, plan, options, compute.seed, context, guide)
        if not validation.bands:
            context.warn("The result is not validated, because the image is too small or has too many gaps.")
        if guide:
            _report_guide(ENLARGEMENT_METHODS[job.method].with_guide, validation.weights, context)
        result = superresolve_report.EnlargeResult(job, selected, plan, validation, guide=guide)
        networks = any(ENLARGEMENT_EXPERTS[name].fits_network for name in plan.names)
        warning = superresolve_report.warn_if_weak(result, context) if networks else None
        with context.section(0.4, 0.95):
            recipe = EnlargeRecipe(validation, options)
            tags = _provenance(job, plan, recipe, guide, warning)
            changed, left = _write(job, selected, plan, recipe, tags, context, guide)
        context.progress(0.96, "Writing the report")
        consistency = consistency_rmse(selected, atomic.temporary_path(job.outputs.output or ""), psf)
        context.info(
            f"Consistency: the downsampled result differs from the input by {consistency:.3g} "
            "(RMSE, in the data's units)."
        )
        if consistency > _MAX_INCONSISTENCY * float((selected.high - selected.low).mean()):
            context.warn(
                f"PSF {job.psf} does not fit this raster, which has finer detail than such a blur leaves: the result "
                "is not consistent with the input. Give a smaller PSF_SIGMA or another PSF."
            )
        result = replace(result, consistency=consistency, changed=changed, left=left)
        superresolve_report.write(result, context)
        return Result(job.outputs.requested(), superresolve_report.numbers(result))


def _check_disk_space(job: SuperResolveJob, scene: Scene) -> None:
    """Raise DiskFull if the enlarged outputs do not fit on the disk, before hours of computation."""
    pixels = scene.grid.width * scene.grid.height * job.factor**2 * scene.count
    raw_bytes = pixels * (scene.dtype.itemsize + (4 if job.outputs.uncertainty else 0))
    atomic.check_disk_space(job.outputs.output or "", int(_COMPRESSION * raw_bytes))


def _read_model(job: SuperResolveJob, selected: SelectedScene, context: Context) -> TrainedModel | None:
    """The job's model, if its METHOD uses one. Raises UnreadableModel and ModelMismatch."""
    if not job.model:
        return None
    if not ENLARGEMENT_METHODS[job.method].needs_model:
        context.warn(f"METHOD {job.method} uses no model: MODEL has no effect.")
        return None
    tensors, card = read_model(job.model)
    spectral_info = metadata.read_spectral_info(selected.scene)
    wavelengths = [spectral_info[band].wavelength for band in selected.bands]
    card.check(job.model, len(selected.bands), wavelengths, job.factor)
    return TrainedModel(tensors, card, job.model)


def _open_guide(job: SuperResolveJob, scene: Scene, context: Context) -> Guide | None:
    """The job's guide on the output's grid, if its METHOD uses one and it has finer detail than the input."""
    uses_guide = bool(ENLARGEMENT_METHODS[job.method].with_guide)
    guide = open_guide(job.guide, job.method, uses_guide, UpsampledScene(scene, job.factor), context)
    if guide is None:
        return None
    if guide.pixel_ratio > job.factor / _MIN_PIXEL_RATIO:
        context.warn(
            f"GUIDE '{job.guide}' is not finer than INPUT, so it adds no detail and is not used. Give a raster with "
            "smaller pixels."
        )
        guide.__exit__()
        return None
    if guide.pixel_ratio > _MIN_PIXEL_RATIO:
        context.warn(
            f"GUIDE '{job.guide}' is coarser than the output ({guide.pixel_ratio:.1f} of its pixels): it adds no "
            "detail below the size of its own pixels."
        )
    return guide


def _report_guide(guided: tuple[str, ...], weights: dict[str, float], context: Context) -> None:
    """Report the weight of the experts that use the guide."""
    weight = sum(weights.get(name, 0.0) for name in guided)
    if weight:
        context.info(f"The weight of the guide in the result is {100 * weight:.0f} %.")
    else:
        context.warn("The guide is not used, because it does not help on the downsampled image.")


def _fit_statistics(
    options: EnlargeOptions,
    selected: SelectedScene,
    plan: EnlargementPlan,
    context: Context,
    guide: Guide | None = None,
) -> EnlargeOptions:
    """The options with the statistics of the scene, if an expert of the plan needs them."""
    if not plan.needs_statistics:
        return options
    progress = context.reporter("Learning from the downsampled image")
    set_torch_threads(options.threads)
    if not plan.statistics_windows:
        return replace(options, statistics=fit_scale_statistics([selected.sample()], options.psf, progress))
    windows = [selected.read(window) for window in plan.statistics_windows]
    guides = []
    if guide:
        guides = [guide.read(upsampled_window(window, options.psf.factor)) for window in plan.statistics_windows]
    return replace(options, statistics=fit_scale_statistics(windows, options.psf, progress, guides))


def _write(
    job: SuperResolveJob,
    selected: SelectedScene,
    plan: EnlargementPlan,
    recipe: EnlargeRecipe,
    tags: dict[str, str],
    context: Context,
    guide: Guide | None,
) -> tuple[int, int]:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns the numbers of restored fine pixels and of those without result."""
    scene, bands, f = UpsampledScene(selected.scene, job.factor), list(selected.bands), job.factor
    dtype, missing = selected.scene.dtype, selected.scene.missing_values
    low, high = _output_range(selected, dtype)
    changed = left = 0
    with ExitStack() as files:
        writers = open_output_writers(files, job.outputs, scene, tags, "restored", context)
        for window, (image, deviation) in enlarge_scene(job, selected, plan, recipe, context, guide):
            coarse = Window(0, window.row_off // f, selected.scene.grid.width, window.height // f)
            observed = np.repeat(np.repeat(selected.read(coarse)[1], f, axis=1), f, axis=2)
            good = observed & np.isfinite(image)
            changed += int(np.count_nonzero(good.any(axis=0)))
            left += int(np.count_nonzero((observed & ~good).any(axis=0)))
            stored = to_stored_pixels(np.where(good, image, 0), dtype, low, high, missing)
            write_output_window(writers, window, scene.read(window), bands, stored, good, deviation)
    return changed, left


def _output_range(selected: SelectedScene, dtype: np.dtype) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Range of fine pixels ``(band,)``: that of the input, widened by its width on both sides, within the data type."""
    span = selected.high - selected.low
    low, high = selected.low - span, selected.high + span
    if dtype.kind == "f":
        return low, high
    limits = np.iinfo(dtype)
    return np.maximum(low, limits.min), np.minimum(high, limits.max)


def _provenance(
    job: SuperResolveJob, plan: EnlargementPlan, recipe: EnlargeRecipe, guide: Guide | None, warning: str | None
) -> dict[str, str]:
    compute, options = job.compute, recipe.options
    return provenance(
        job.task,
        warning,
        method=job.method,
        factor=job.factor,
        psf=job.psf,
        psf_sigma=options.psf.gaussian_sigma if job.psf == "gaussian" else None,
        guide=guide.path if guide else None,
        guide_coverage=round(guide.coverage, 4) if guide else None,
        model=dict(options.model.card.figures, history=None) if options.model else None,
        shares=recipe.validation.weights,
        seed=compute.seed,
        device=str(resolve_device(compute.device)),
        tile_size=plan.tile_size,
        overlap=plan.overlap,
        time_budget=compute.time_budget,
    )
