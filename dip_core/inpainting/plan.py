"""Plans a gap-fill or stripe job: the candidates, the validation windows and rounds, and the tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from rasterio.windows import Window

from ..dip.cost import CPU_COST_PER_MINUTE, MAX_COST, MAX_FIT_BYTES, fit_cost, fit_memory, largest_network_tile
from ..errors import InvalidJob
from ..job_fields import MIN_TILE_SIZE, Compute, Outputs
from ..restoration_jobs import InpaintStripesJob
from ..runtime.devices import check_device, resolve_device
from ..runtime.tiling import Tile, require_mosaic_memory, split_into_tiles
from . import holdout
from .experts.registry import GAP_EXPERTS
from .gap_mask import GapMask
from .methods import FILL_METHODS, FillMethod, ValidationScheme
from .validation_windows import sample_windows

DEFAULT_TILE = 512  # pixels, of methods without a network
_DEFAULT_OVERLAP = 64
_MIN_ROUNDS_OF_WINDOWS, _MAX_ROUNDS_OF_WINDOWS = 1, 2  # if there are several windows


class FillJob(Protocol):
    """What gap-fill and stripe jobs have in common."""

    @property
    def task(self) -> str:
        """The task's id."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""

    @property
    def method(self) -> str:
        """The METHOD."""

    @property
    def network_input(self) -> str:
        """The input of the papers' networks."""

    @property
    def compute(self) -> Compute:
        """Device, seed, time budget, tiles."""

    @property
    def outputs(self) -> Outputs:
        """The files to write."""


@dataclass(frozen=True)
class FillPlan:
    """What a gap fill will compute; the sizes are in pixels.

    ``experts``: the candidates. ``skipped``: why other experts are no candidates, by name.
    """

    experts: tuple[str, ...]
    windows: list[Window]
    rounds: int
    tile_size: int
    overlap: int
    skipped: dict[str, str]

    def tiles(self, shape: tuple[int, int]) -> list[list[Tile]]:
        """The tiles of a scene of ``shape`` rows and columns, row by row."""
        return split_into_tiles(*shape, self.tile_size, self.overlap)


def plan_fill(job: FillJob, gaps: GapMask, shape: tuple[int, int], has_guide: bool) -> FillPlan:
    """The plan of a job for a scene of ``shape`` rows and columns.

    It depends on sizes and the device only, so it is the same on every machine. Raises InvalidJob, DeviceUnavailable,
    OutOfMemory.
    """
    method = FILL_METHODS[job.method]
    check_device(job.compute.device)
    tile_size, overlap = _tile_size(job, method, shape, gaps.bands)
    require_mosaic_memory(split_into_tiles(*shape, tile_size, overlap), gaps.bands, shape[1], MIN_TILE_SIZE)
    scheme = method.validation
    windows = sample_windows(
        gaps.observed_any,
        gaps.target_any,
        scheme.window_side or tile_size,
        scheme.windows,
        np.random.default_rng([job.compute.seed, 0]),
        scheme.max_whole_pixels,
    )
    rounds = _rounds(scheme, gaps, windows)
    in_stripes = job.task == InpaintStripesJob.task
    experts = tuple(
        record.name
        for record in (GAP_EXPERTS[name] for name in method.experts)
        if (has_guide or not record.needs_guide)
        and (len(windows) <= 1 or not record.single_window_only)
        and (record.in_stripes or not in_stripes)
    )
    skipped: dict[str, str] = {}
    if gaps.target_pixels:
        # Fewer validation rounds would make these experts affordable, but cost the stack more than they gain.
        pixels = sum(int(window.width * window.height) for window in windows) * rounds + shape[0] * shape[1]
        for name in method.affordable_experts:
            operations = fit_cost(name, pixels, gaps.bands)
            if operations <= MAX_COST[resolve_device(job.compute.device).type]:
                experts = (*experts, name)
            else:
                minutes = operations / CPU_COST_PER_MINUTE
                skipped[name] = f"it would take about {minutes:.0f} min on two CPU cores; METHOD {name} runs it"
    return FillPlan(experts, windows, rounds, tile_size, overlap, skipped)


def _tile_size(job: FillJob, method: FillMethod, shape: tuple[int, int], bands: int) -> tuple[int, int]:
    """Size and overlap of the tiles, in pixels."""
    networks = [name for name in method.experts if GAP_EXPERTS[name].network]
    size = job.compute.tile_size
    if not size:
        size = largest_network_tile(networks, bands, "inpaint", max(shape)) if networks else DEFAULT_TILE
    overlap = job.compute.overlap or min(_DEFAULT_OVERLAP, size // 4)
    if not job.compute.tile_size:
        size = max(size, 3 * overlap)  # for an OVERLAP that the user has set
        pixels = min(size, max(shape)) ** 2
        if any(fit_memory(name, pixels, bands) > 2 * MAX_FIT_BYTES for name in networks):
            raise InvalidJob(
                reason=f"OVERLAP {overlap} makes the tiles too large for METHOD {job.method}: choose a smaller one."
            )
    return size, overlap


def _rounds(scheme: ValidationScheme, gaps: GapMask, windows: list[Window]) -> int:
    """How often pixels are hidden in each window."""
    if not windows:
        return 0
    low, high = scheme.min_rounds, scheme.max_rounds
    if len(windows) > 1:
        low, high = _MIN_ROUNDS_OF_WINDOWS, _MAX_ROUNDS_OF_WINDOWS
    hidden = sum(holdout.max_hidden_pixels(*gaps.window(window)) for window in windows)
    return min(max(math.ceil(scheme.hidden_pixels / max(1.0, hidden)), low), high)
