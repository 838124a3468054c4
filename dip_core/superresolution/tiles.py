"""Tiles of a super-resolution run: the work on one tile, and the blended result, made consistent across tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube, Mask
from ..imaging.back_projection import back_project
from ..raster.band_selection import SelectedScene
from ..raster.guide import Guide
from ..raster.upsampled_scene import upsampled_window
from ..restoration_jobs import SuperResolveJob
from ..runtime.blocks import band_groups, block_rows
from ..runtime.context import Context
from ..runtime.executors import make_executor, restore_tiles
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.tiling import Tile, split_into_tiles
from .enlarge import enlarge_window, weighted_mean
from .options import EnlargeOptions
from .plan import EnlargementPlan
from .registry import CONSISTENCY_MARGIN, ENLARGEMENT_EXPERTS
from .scores import ScaleValidation

_STRIP_ROWS = 64  # of the input

Layers = NDArray[np.float32]  # estimate and deviation, (2, band, row, column)


@dataclass(frozen=True)
class EnlargeRecipe:
    """How tiles are enlarged: the validation with the experts' weights, and the options."""

    validation: ScaleValidation
    options: EnlargeOptions

    @property
    def weights(self) -> dict[str, float]:
        """The weights of the experts that are used."""
        return {name: weight for name, weight in self.validation.weights.items() if weight > 0}


@dataclass(frozen=True)
class EnlargeTile:
    """One tile with its margins ``(top, bottom, left, right)``, in the data's units, its seed, and the guide there."""

    values: Cube
    observed: Mask
    margins: tuple[int, int, int, int]
    seed: int
    guide: Cube | None = None


@dataclass
class _SkippedFits:
    """Counts the networks that were not fitted because no time was left."""

    count: int = 0

    def add(self) -> None:
        self.count += 1


def enlarge_tile(recipe: EnlargeRecipe, tile: EnlargeTile, progress: ProgressReporter = SILENT) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation of a tile without its margins, on the fine grid, in the data's units."""
    options, weights = recipe.options, recipe.weights
    f = options.psf.factor
    names = list(weights)
    estimates = enlarge_window(names, tile.values, tile.observed, options, tile.seed, progress, tile.guide)
    image = weighted_mean(estimates, list(weights.values()))
    deviation = recipe.validation.error_model.deviation(image, f)
    top, bottom, left, right = (f * margin for margin in tile.margins)
    inner = (slice(None), slice(top, image.shape[1] - bottom), slice(left, image.shape[2] - right))
    return image[inner], deviation[inner]


def enlarge_scene(
    job: SuperResolveJob,
    selected: SelectedScene,
    plan: EnlargementPlan,
    recipe: EnlargeRecipe,
    context: Context,
    guide: Guide | None,
) -> Iterator[tuple[Window, Layers]]:
    """Estimates and deviations in full-width strips of the fine grid, consistent across the borders of tiles."""
    psf, f = recipe.options.psf, job.factor
    rows, columns = selected.scene.grid.shape
    # `kept`: layers of rows that are not yet written; `first`: the first of them, in input pixels.
    kept, first = np.zeros((2, len(selected.bands), 0, columns * f), np.float32), 0
    start = 0
    for _, layers in _blended_tiles(job, selected, plan, recipe, context, guide):
        kept = np.concatenate([kept, layers], axis=2)
        finished = first + kept.shape[2] // f
        while start < rows and finished >= min(start + _STRIP_ROWS + CONSISTENCY_MARGIN, rows):
            end = min(start + _STRIP_ROWS, rows)
            top, bottom = max(start - CONSISTENCY_MARGIN, 0), min(end + CONSISTENCY_MARGIN, rows)
            part = kept[:, :, (top - first) * f : (bottom - first) * f].copy()
            values, observed = selected.read(Window(0, top, columns, bottom - top))
            operator = psf.operator((part.shape[2], part.shape[3]))
            for bands in band_groups(len(values), part[0, 0].size):  # back-projection needs several copies
                part[0, bands] = back_project(part[0, bands], values[bands], observed[bands], operator, psf.damping)
            step = max(1, block_rows(len(values), columns * f) // f)
            for row in range(start, end, step):
                last = min(row + step, end)
                yield (
                    Window(0, row * f, columns * f, (last - row) * f),
                    part[:, :, (row - top) * f : (last - top) * f],
                )
            start = end
            drop = max(start - CONSISTENCY_MARGIN, 0) - first
            kept, first = kept[:, :, drop * f :], first + drop


def _blended_tiles(
    job: SuperResolveJob,
    selected: SelectedScene,
    plan: EnlargementPlan,
    recipe: EnlargeRecipe,
    context: Context,
    guide: Guide | None,
) -> Iterator[tuple[Window, Layers]]:
    """Blended estimates and deviations on the fine grid, in full-width windows from top to bottom."""
    (height, width), f, margin = selected.scene.grid.shape, job.factor, plan.margin
    rows = split_into_tiles(height, width, plan.tile_size, plan.overlap)
    fine_rows = [[_fine_tile(tile, f) for tile in row] for row in rows]
    guide_is_used = any(ENLARGEMENT_EXPERTS[name].needs_guide for name in recipe.weights)

    def make_task(tile: Tile, seed: int) -> EnlargeTile:
        top, left = int(tile.window.row_off), int(tile.window.col_off)
        bottom, right = top + int(tile.window.height), left + int(tile.window.width)
        above, before = min(margin, top), min(margin, left)
        below, after = min(margin, height - bottom), min(margin, width - right)
        window = Window(left - before, top - above, right - left + before + after, bottom - top + above + below)
        pixels = guide.read(upsampled_window(window, f)) if guide and guide_is_used else None
        return EnlargeTile(*selected.read(window), (above, below, before, after), seed, pixels)

    skipped_fits = _SkippedFits()
    if not job.compute.scheduler:  # workers of a cluster have no time budget
        recipe = replace(recipe, options=replace(recipe.options, on_skipped_fit=skipped_fits.add))
    executor = make_executor(job.compute.scheduler, context, enlarge_tile, "Enlarging")
    yield from restore_tiles(
        executor, recipe, rows, make_task, job.compute.seed, len(selected.bands), width * f, output_rows=fine_rows
    )
    if skipped_fits.count:
        context.warn(
            f"TIME_BUDGET was used up before the network could be fitted to {skipped_fits.count} of "
            f"{sum(map(len, rows))} tiles: they contain consistent bicubic interpolation."
        )


def _fine_tile(tile: Tile, factor: int) -> Tile:
    """The tile on the fine grid."""
    top, bottom, left, right = (factor * overlap for overlap in tile.overlap)
    return Tile(upsampled_window(tile.window, factor), (top, bottom, left, right))
