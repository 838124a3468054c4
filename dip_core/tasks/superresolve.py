"""Super-resolution, from a job to its outputs.

The experts are validated on the image's own coarser copy; then the image is enlarged tile by tile, brought into accord
with what was observed, and written on a grid with smaller pixels and the same extent. Missing pixels stay missing, and
bands that are not restored (bad, empty or constant ones) are enlarged by repeating their pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube, Mask
from ..events import Result
from ..imaging.back_projection import back_project
from ..imaging.psf import Psf
from ..job import SuperResolveJob
from ..raster import atomic, metadata
from ..raster.band_selection import SelectedScene, select_bands
from ..raster.guide import Guide, open_guide
from ..raster.provenance import provenance
from ..raster.scene import Scene
from ..raster.upsampled_scene import UpsampledScene, upsampled_window
from ..raster.writer import open_output_writers, to_stored_pixels, write_output_window
from ..runtime.context import Context
from ..runtime.devices import resolve_device
from ..runtime.executors import make_executor, restore_tiles
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.threads import set_torch_threads
from ..runtime.tiling import Tile, split_into_tiles
from ..superresolution import model_file
from ..superresolution import report as superresolve_report
from ..superresolution.consistency import consistency_rmse
from ..superresolution.experts import Setting, Trained, estimates, mixed
from ..superresolution.plan import HALO, Plan, plan
from ..superresolution.self_supervised import EXPERTS, GUIDED, learn
from ..superresolution.validation import Trial, validate

_STRIP = 64
_WRONG_OPTICS = 0.01  # of the bands' range: more disagreement than rounding makes
_FINER = 1.05  # how many times as long a pixel must be to count as coarser
_COMPRESSED = 0.5  # what a detailed raster deflates to, roughly


@dataclass(frozen=True)
class Recipe:
    """What validation has decided: the trial with the experts' shares, and how they run."""

    trial: Trial
    setting: Setting


@dataclass(frozen=True)
class TileTask:
    """One tile with its margins ``(top, bottom, left, right)``, in the data's units, its seed, and the guide there."""

    values: Cube
    observed: Mask
    margins: tuple[int, int, int, int]
    seed: int
    guide: Cube | None = None


@dataclass
class Tally:
    """Counts the tiles whose network there was no time to begin with."""

    count: int = 0

    def add(self) -> None:
        """One more."""
        self.count += 1


def run(job: SuperResolveJob, context: Context, iterations: int | None = None) -> Result:
    """Enlarge a raster; writes the outputs that the job wants and returns the numbers.

    ``iterations`` of untrained networks are the presets' unless a test wants less.
    """
    with ExitStack() as opened:
        context.progress(0.0, "Reading the scene")
        scene = opened.enter_context(Scene(job.inputs))
        _need_space(job, scene)
        known = select_bands(scene, context)
        optics = Psf(job.factor, job.psf, job.psf_sigma)
        compute = job.compute
        trained = _model(job, known, context)
        setting = Setting(optics, known.low, known.high, compute.device, compute.threads, iterations, trained)
        guide = _guide(job, scene, context)
        if guide:
            opened.enter_context(guide)
        planned = plan(job, known, guide)
        context.info(
            f"{len(known.bands)} of {scene.count} bands of {scene.grid.width} x {scene.grid.height} pixels, "
            f"to be enlarged {job.factor} times."
        )
        with context.section(0.02, 0.1):
            setting = _taught(setting, known, planned, context, guide)
        with context.section(0.1, 0.4):
            trial = validate(
                known, planned.names, planned.windows, setting, compute.seed, context, planned.share, guide
            )
        if not trial.bands:
            context.warn("The image is too small to be made coarser, or has too many gaps: it is not validated.")
        share = trial.shares.get(GUIDED, 0.0)
        if guide and share:
            context.info(f"The guide's share of the result is {100 * share:.0f} %.")
        elif guide:
            context.warn("On the image's own coarser copy the guide does not help: it is not used.")
        with context.section(0.4, 0.95):
            changed, left = _write(job, known, planned, Recipe(trial, setting), context, guide)
        context.progress(0.96, "Writing the report")
        consistency = consistency_rmse(known, atomic.temporary_path(job.outputs.output or ""), optics)
        context.info(
            f"Consistency: the downsampled result differs from the input by {consistency:.3g} "
            "(RMSE, in the data's units)."
        )
        if consistency > _WRONG_OPTICS * float((known.high - known.low).mean()):
            context.warn(
                f"PSF {job.psf} does not fit this raster, whose detail is finer than such optics let pass: the result "
                "cannot agree with it. Give a smaller PSF_SIGMA or another PSF."
            )
        outcome = superresolve_report.EnlargeResult(job, known, planned, trial, consistency, changed, left, guide)
        superresolve_report.write(outcome, context)
        return Result(job.outputs.requested(), superresolve_report.numbers(outcome))


def _guide(job: SuperResolveJob, scene: Scene, context: Context) -> Guide | None:
    """The job's guide on the output's grid, where its method uses one and it has detail to give."""
    guide = open_guide(job.guide, job.method, UpsampledScene(scene, job.factor), context)
    if guide is None:
        return None
    if guide.pixel_ratio > job.factor / _FINER:
        context.warn(
            f"GUIDE '{job.guide}' is not finer than INPUT: it has no detail to give and is not used; give a raster "
            "with smaller pixels."
        )
        guide.__exit__()
        return None
    if guide.pixel_ratio > _FINER:
        context.warn(
            f"GUIDE '{job.guide}' is coarser than the output ({guide.pixel_ratio:.1f} of its pixels): it has no detail to "
            "give below its own pixels."
        )
    return guide


def _taught(
    setting: Setting, known: SelectedScene, planned: Plan, context: Context, guide: Guide | None = None
) -> Setting:
    """The setting with the lessons that the plan's experts need of the scene."""
    if not any(name in EXPERTS for name in planned.names):
        return setting
    progress = context.reporter("Learning from the image's own coarser copy")
    set_torch_threads(setting.threads)
    if not planned.lessons:
        return replace(setting, lessons=learn([known.sample()], setting.optics, progress))
    pieces = [known.read(window) for window in planned.lessons]
    guides = (
        [guide.read(upsampled_window(window, setting.optics.factor)) for window in planned.lessons] if guide else []
    )
    return replace(setting, lessons=learn(pieces, setting.optics, progress, guides))


def _model(job: SuperResolveJob, known: SelectedScene, context: Context) -> Trained | None:
    """The job's model, where its method uses one. Raises UnreadableModel and ModelMismatch."""
    if not job.model:
        return None
    if job.method != "paper_cascade":
        context.warn(f"METHOD {job.method} uses no model: MODEL has no effect.")
        return None
    tensors, card = model_file.read(job.model)
    waves = metadata.read_spectral_info(known.scene)
    card.check(job.model, len(known.bands), [waves[number].wavelength for number in known.bands], job.factor)
    return Trained(tensors, card)


def _need_space(job: SuperResolveJob, scene: Scene) -> None:
    """Raise DiskFull where the enlarged outputs would not fit, before hours are spent."""
    pixels = scene.grid.width * scene.grid.height * job.factor**2 * scene.count
    wanted = pixels * (scene.dtype.itemsize + (4 if job.outputs.uncertainty else 0))
    atomic.check_disk_space(job.outputs.output or "", int(_COMPRESSED * wanted))


def enlarge_tile(recipe: Recipe, task: TileTask, progress: ProgressReporter = SILENT) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation of a tile without its margins, on the fine grid, in the data's units."""
    setting, shares = recipe.setting, {name: share for name, share in recipe.trial.shares.items() if share > 0}
    f = setting.optics.factor
    found = estimates(list(shares), task.values, task.observed, setting, task.seed, progress, task.guide)
    image = mixed(found, list(shares.values()))
    deviation = recipe.trial.errors.deviation(image, f)
    top, bottom, left, right = (f * margin for margin in task.margins)
    cut = (slice(None), slice(top, image.shape[1] - bottom), slice(left, image.shape[2] - right))
    return image[cut], deviation[cut]


def _write(
    job: SuperResolveJob, known: SelectedScene, planned: Plan, recipe: Recipe, context: Context, guide: Guide | None
) -> tuple[int, int]:
    """Write OUTPUT, UNCERTAINTY and FILLED; returns how many fine pixels were restored, and how many could not be."""
    scene, bands = UpsampledScene(known.scene, job.factor), list(known.bands)
    dtype = known.scene.dtype
    low, high = _range(known, dtype)
    changed = left = 0
    with ExitStack() as files:
        tags = _provenance(job, planned, recipe, guide)
        writers = open_output_writers(files, job.outputs, scene, tags, "restored")
        for window, (image, deviation) in _strips(job, known, planned, recipe, context, guide):
            f = job.factor
            coarse = Window(0, window.row_off // f, known.scene.grid.width, window.height // f)
            observed = np.repeat(np.repeat(known.read(coarse)[1], f, axis=1), f, axis=2)
            good = observed & np.isfinite(image)
            changed += int(np.count_nonzero(good.any(axis=0)))
            left += int(np.count_nonzero((observed & ~good).any(axis=0)))
            pixels = scene.read(window)
            fresh = to_stored_pixels(np.where(good, image, 0), dtype, low, high, known.scene.nodata)
            write_output_window(writers, window, pixels, bands, fresh, good, deviation)
    return changed, left


def _range(known: SelectedScene, dtype: np.dtype) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a fine pixel may hold: detail may exceed the coarse range, by its width at most, and never the type's."""
    span = known.high - known.low
    low, high = known.low - span, known.high + span
    if dtype.kind == "f":
        return low, high
    limits = np.iinfo(dtype)
    return np.maximum(low, limits.min), np.minimum(high, limits.max)


def _provenance(job: SuperResolveJob, planned: Plan, recipe: Recipe, guide: Guide | None) -> dict[str, str]:
    compute, trained = job.compute, recipe.setting.trained
    return provenance(
        job.task,
        method=job.method,
        factor=job.factor,
        psf=job.psf,
        psf_sigma=recipe.setting.optics.gaussian_sigma if job.psf == "gaussian" else None,
        guide=guide.path if guide else None,
        guide_coverage=round(guide.coverage, 4) if guide else None,
        model=dict(trained.card.figures, history=None) if trained else None,
        shares=recipe.trial.shares,
        seed=compute.seed,
        device=str(resolve_device(compute.device)),
        tile_size=planned.tile_size,
        overlap=planned.overlap,
        time_budget=compute.time_budget,
    )


def _strips(
    job: SuperResolveJob, known: SelectedScene, planned: Plan, recipe: Recipe, context: Context, guide: Guide | None
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Estimates and deviations in full-width strips, in accord with the observation across the tiles' borders."""
    optics, f = recipe.setting.optics, job.factor
    rows, columns = known.scene.grid.shape
    kept, first = np.zeros((2, len(known.bands), 0, columns * f), np.float32), 0  # the first coarse row that is kept
    start = 0
    for _, layers in _blended(job, known, planned, recipe, context, guide):
        kept = np.concatenate([kept, layers], axis=2)
        there = first + kept.shape[2] // f
        while start < rows and there >= min(start + _STRIP + HALO, rows):
            end = min(start + _STRIP, rows)
            top, bottom = max(start - HALO, 0), min(end + HALO, rows)
            part = kept[:, :, (top - first) * f : (bottom - first) * f]
            values, observed = known.read(Window(0, top, columns, bottom - top))
            operator = optics.operator((part.shape[2], part.shape[3]))
            image = back_project(part[0], values, observed, operator, optics.damping)
            inner = slice((start - top) * f, (end - top) * f)
            yield (
                Window(0, start * f, columns * f, (end - start) * f),
                np.stack([image[:, inner].astype(np.float32), part[1][:, inner]]),
            )
            start = end
            drop = max(start - HALO, 0) - first
            kept, first = kept[:, :, drop * f :], first + drop


def _blended(
    job: SuperResolveJob, known: SelectedScene, planned: Plan, recipe: Recipe, context: Context, guide: Guide | None
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Blended estimates and deviations on the fine grid, in bands of full-width rows from top to bottom."""
    (height, width), f, margin = known.scene.grid.shape, job.factor, planned.margin
    rows = split_into_tiles(height, width, planned.tile_size, planned.overlap)
    fine_rows = [[_fine(tile, f) for tile in row] for row in rows]

    def make_task(tile: Tile, seed: int) -> TileTask:
        top, left = int(tile.window.row_off), int(tile.window.col_off)
        bottom, right = top + int(tile.window.height), left + int(tile.window.width)
        above, before = min(margin, top), min(margin, left)
        below, behind = min(margin, height - bottom), min(margin, width - right)
        window = Window(left - before, top - above, right - left + before + behind, bottom - top + above + below)
        shown = guide.read(upsampled_window(window, f)) if guide and recipe.trial.shares.get(GUIDED) else None
        return TileTask(*known.read(window), (above, below, before, behind), seed, shown)

    tally = Tally()
    if not job.compute.scheduler:  # a cluster knows of no time budget
        recipe = replace(recipe, setting=replace(recipe.setting, unfitted=tally.add))
    runner = make_executor(job.compute.scheduler, context, enlarge_tile, "Enlarging")
    yield from restore_tiles(
        runner, recipe, rows, make_task, job.compute.seed, len(known.bands), width * f, output_rows=fine_rows
    )
    if tally.count:
        context.warn(
            f"The time budget was spent before the network could be fitted to {tally.count} of {sum(map(len, rows))} "
            "tiles: they hold bicubic interpolation in accord with the input."
        )


def _fine(tile: Tile, factor: int) -> Tile:
    """The tile on the fine grid."""
    top, bottom, left, right = (factor * overlap for overlap in tile.overlap)
    return Tile(upsampled_window(tile.window, factor), (top, bottom, left, right))
