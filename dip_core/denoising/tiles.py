"""Tiles of a denoising run: their sizes, the work on one tile, and the blended result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube, Mask
from ..dip.cost import MAX_FIT_BYTES, fit_memory, largest_network_tile
from ..errors import InvalidJob
from ..job_fields import MIN_TILE_SIZE, Compute
from ..raster.band_selection import SelectedScene
from ..restoration_jobs import DenoiseJob
from ..runtime.context import Context
from ..runtime.executors import make_executor, restore_tiles
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.tiling import Tile, require_mosaic_memory, split_into_tiles
from .model import DenoisingModel, denoise_window
from .registry import DENOISING_METHODS

_MAX_TILE_VALUES = 1 << 26  # of all bands: 256 MiB
_OVERLAP = 48  # pixels: more than the radius of the search window and a patch
_TILE_STEP = 32


@dataclass(frozen=True)
class DenoiseTile:
    """One tile's pixels in the data's units, its observed pixels, both ``(band, row, column)``, and its seed."""

    values: Cube
    observed: Mask
    seed: int


def plan_tiles(method: str, compute: Compute, bands: int, shape: tuple[int, int]) -> tuple[int, int]:
    """Side and overlap of tiles in pixels: as requested, otherwise as large as memory allows.

    ``shape``: rows and columns of the scene. Raises InvalidJob if a network cannot take the bands or the overlap,
    OutOfMemory if the smallest tile is too large.
    """
    max_size, overlap = DENOISING_METHODS[method].max_tile, compute.overlap or _OVERLAP
    limited_by_network = max_size is None
    if max_size is None:
        max_size = largest_network_tile([method], bands, "denoise", max(shape))
        overlap = compute.overlap or min(_OVERLAP, max_size // 4)
    fitting = int(np.sqrt(_MAX_TILE_VALUES / bands)) // _TILE_STEP * _TILE_STEP
    size = compute.tile_size or max(min(fitting, max_size), 3 * overlap)
    enlarged_for_overlap = limited_by_network and size > max_size and not compute.tile_size
    if enlarged_for_overlap and fit_memory(method, size**2, bands, "denoise") > 2 * MAX_FIT_BYTES:
        raise InvalidJob(reason=f"OVERLAP {overlap} makes tiles too large for METHOD {method}: give less.")
    overlap = min(overlap, (size - 1) // 2)
    require_mosaic_memory(split_into_tiles(*shape, size, overlap), bands, shape[1], MIN_TILE_SIZE)
    return size, overlap


def denoise_tile(model: DenoisingModel, tile: DenoiseTile, progress: ProgressReporter = SILENT) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation of a tile, ``(band, row, column)``, in the data's units."""
    return denoise_window(model, tile.values, tile.observed, tile.seed, progress)


def denoise_tiles(
    job: DenoiseJob, selected: SelectedScene, model: DenoisingModel, tiling: tuple[int, int], context: Context
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Blended estimates and deviations ``(layer, band, row, column)`` in full-width windows from top to bottom.

    ``tiling``: side and overlap of tiles.
    """
    grid = selected.scene.grid

    def make_task(tile: Tile, seed: int) -> DenoiseTile:
        return DenoiseTile(*selected.read(tile.window), seed)

    executor = make_executor(job.compute.scheduler, context, denoise_tile, "Denoising")
    rows = split_into_tiles(*grid.shape, *tiling)
    return restore_tiles(executor, model, rows, make_task, job.compute.seed, len(selected.bands), grid.width)
