"""The plan of a super-resolution run: experts, windows of statistics and validation, and tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from ..dip.cost import CPU_COST_PER_MINUTE, MAX_COST, MIN_NETWORK_TILE, fit_cost, largest_network_tile
from ..job_fields import MIN_TILE_SIZE
from ..raster.band_selection import SelectedScene
from ..raster.guide import Guide
from ..restoration_jobs import SuperResolveJob
from ..runtime.devices import resolve_device
from ..runtime.tiling import require_mosaic_memory, split_into_tiles
from .registry import ENLARGEMENT_EXPERTS, ENLARGEMENT_METHODS

_MAX_TILE_BYTES = 5e8  # of a tile's fine pixels in float64, all bands
_MAX_TILE = 512  # fine pixels: PSF matrices and the cascade's feature maps grow with the tile
_MIN_TILE = 16  # pixels of the input
_MAX_OVERLAP = 24  # pixels of the input, automatic
_WINDOW = 256  # pixels of the input: side of windows of statistics and validation
_MAX_STATISTICS_WINDOWS = 4
_MIN_COPY_SIDE = 4  # pixels of the downsampled copy of a window
_FITS = 2  # of an untrained network: in validation and in the result


@dataclass(frozen=True)
class EnlargementPlan:
    """Plan of a run; sizes in pixels of the input.

    ``names``: experts. ``validation_windows``, ``statistics_windows``: of the input; without the latter, statistics
    are fitted to a sample of the scene. ``skipped``: reasons for experts that are not used. ``validation_share``: of
    the remaining time budget.
    """

    names: tuple[str, ...]
    validation_windows: list[Window]
    statistics_windows: list[Window]
    tile_size: int
    overlap: int
    margin: int
    skipped: dict[str, str]
    validation_share: float

    @property
    def needs_statistics(self) -> bool:
        """Whether an expert uses the statistics of the scene."""
        return any(ENLARGEMENT_EXPERTS[name].needs_statistics for name in self.names)


def plan_enlargement(job: SuperResolveJob, selected: SelectedScene, guide: Guide | None = None) -> EnlargementPlan:
    """Plan a run. The plan depends on sizes and device only, not on time, so that results are reproducible."""
    bands, factor = len(selected.bands), job.factor
    rows, columns = selected.scene.grid.shape
    names, skipped = _select_experts(job, rows * columns * factor**2, bands)
    if guide:
        names += ENLARGEMENT_METHODS[job.method].with_guide
    records = [ENLARGEMENT_EXPERTS[name] for name in names]
    networks = [record.name for record in records if record.fits_network]
    max_size = max(MIN_NETWORK_TILE, int(np.sqrt(_MAX_TILE_BYTES / 8 / bands)) // factor)
    if networks:
        network_tile = largest_network_tile(networks, bands, "superresolve")
        max_size = min(max_size, max(network_tile // factor, _MIN_TILE))
    else:
        max_size = min(max_size, _MAX_TILE // factor)
    size = job.compute.tile_size or max_size
    overlap = job.compute.overlap or min(_MAX_OVERLAP, size // 4)
    margin = 0 if networks else max(record.margin(factor) for record in records)
    # A window costs a network as much as a tile.
    side = max(size if networks else _WINDOW, 4 * factor)
    count = min(record.max_validation_windows for record in records)
    validation_windows = spread_windows(selected, factor, side, count)
    statistics_windows = []
    if any(record.needs_statistics for record in records):
        statistics_windows = spread_windows(selected, factor, max(_WINDOW, 4 * factor), _MAX_STATISTICS_WINDOWS)
    tile_rows = split_into_tiles(rows, columns, size, overlap)
    require_mosaic_memory(tile_rows, bands, columns, MIN_TILE_SIZE, factor)
    tiles = sum(len(row) for row in tile_rows)
    validation_share = len(validation_windows) / (len(validation_windows) + tiles)
    return EnlargementPlan(
        names, validation_windows, statistics_windows, size, overlap, margin, skipped, validation_share
    )


def spread_windows(selected: SelectedScene, factor: int, side: int, max_count: int) -> list[Window]:
    """At most ``max_count`` windows of about ``side`` x ``side`` pixels, spread over the scene, with observed pixels.

    Their sides are multiples of the factor; none if the scene is too small.
    """
    rows, columns = selected.scene.grid.shape
    height, width = (min(side, size) // factor * factor for size in (rows, columns))
    if min(height, width) < _MIN_COPY_SIDE * factor:
        return []
    across = max(1, int(np.sqrt(max_count)))
    tops = np.unique(np.linspace(0, rows - height, 2 * across + 1).astype(int)[1::2])
    lefts = np.unique(np.linspace(0, columns - width, 2 * across + 1).astype(int)[1::2])
    windows = [Window(int(left), int(top), width, height) for top in tops for left in lefts]
    return [window for window in windows if selected.read(window)[1].any()][:max_count]


def _select_experts(job: SuperResolveJob, fine_pixels: int, bands: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The METHOD's experts, and the reasons for those that are too slow; a single one is never skipped."""
    experts = ENLARGEMENT_METHODS[job.method].experts
    skipped: dict[str, str] = {}
    for name in experts if len(experts) > 1 else ():
        if not ENLARGEMENT_EXPERTS[name].fits_network:
            continue
        cost = _FITS * fit_cost(name, fine_pixels, bands, "superresolve")
        if cost > MAX_COST[resolve_device(job.compute.device).type]:
            minutes = cost / CPU_COST_PER_MINUTE
            skipped[name] = f"it would take about {minutes:.0f} min on two CPU cores; METHOD {name} runs it"
    return tuple(name for name in experts if name not in skipped), skipped
