"""Which experts enlarge a raster, how they are validated, and the tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from ..dip.cost import MAX_COST, MIN_NETWORK_TILE, fit_cost, largest_network_tile
from ..job import SuperResolveJob
from ..raster.band_selection import SelectedScene
from ..raster.guide import Guide
from ..runtime.devices import resolve_device
from ..runtime.tiling import split_into_tiles
from .cascade import Cascade
from .self_supervised import EXPERTS, GUIDED
from .validation import windows_of

_TILE_BYTES = 5e8  # of a tile's fine pixels in float64, all bands
_TAUGHT_TILE = 512  # fine pixels: the optics are matrices as large as a tile
_WINDOW = 256  # of lessons and validation
_CASCADE_TILE = 512  # fine pixels: 96 feature maps of them, and as many again with the margins, take 300 MB
HALO = 12  # coarse pixels around a strip that its accord with the observation may depend on


@dataclass(frozen=True)
class Plan:
    """Experts, validation windows, tile size, overlap and margin in coarse pixels; why experts were left out.

    ``lessons``: the windows that experts without a network learn from.
    ``share``: of the time budget that is left, what validation may take: a window is as dear as a tile.
    """

    names: tuple[str, ...]
    windows: list[Window]
    lessons: list[Window]
    tile_size: int
    overlap: int
    margin: int
    skipped: dict[str, str]
    share: float


def plan(job: SuperResolveJob, known: SelectedScene, guide: Guide | None = None) -> Plan:
    """Experts, validation windows and tiles. It depends on sizes and device only, never on the clock."""
    bands, factor = len(known.bands), job.factor
    rows, columns = known.scene.grid.shape
    names, skipped = _experts(job, rows * columns * factor**2, bands)
    names = (*names, GUIDED) if guide else names
    untrained = [name for name in names if name in ("deep_prior", "paper_2d", "paper_3d")]
    room = max(MIN_NETWORK_TILE, int(np.sqrt(_TILE_BYTES / 8 / bands)) // factor)
    if untrained:
        room = min(room, max(largest_network_tile(untrained, bands, "superresolve") // factor, 16))
    elif job.method == "paper_cascade":
        room = min(room, _CASCADE_TILE // factor)
    else:
        room = min(room, _TAUGHT_TILE // factor)
    size = job.compute.tile_size or room
    overlap = job.compute.overlap or min(24, size // 4)
    margin = -(-Cascade.reach // factor) if job.method == "paper_cascade" else 0 if untrained else HALO
    side, most = (size, 1) if untrained else (_WINDOW, 1 if job.method == "paper_cascade" else 4)
    taught = any(name in EXPERTS for name in names)
    lessons = windows_of(known, factor, max(_WINDOW, 4 * factor), 4) if taught else []
    windows = windows_of(known, factor, max(side, 4 * factor), most)
    tiles = sum(len(row) for row in split_into_tiles(rows, columns, size, overlap))
    share = len(windows) / (len(windows) + tiles)
    return Plan(names, windows, lessons, size, overlap, margin, skipped, share)


def _experts(job: SuperResolveJob, fine_pixels: int, bands: int) -> tuple[tuple[str, ...], dict[str, str]]:
    if job.method == "fast":
        return EXPERTS, {}
    if job.method != "best":
        return (job.method,), {}
    wanted = 2 * fit_cost("deep_prior", fine_pixels, bands, "superresolve")
    if wanted <= MAX_COST[resolve_device(job.compute.device).type]:
        return (*EXPERTS, "deep_prior"), {}
    minutes = wanted / MAX_COST["cpu"]
    return EXPERTS, {"deep_prior": f"about {minutes:.0f} minutes on two CPU cores; choose METHOD deep_prior to run it"}
