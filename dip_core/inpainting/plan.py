"""Which experts are candidates for a gap-fill or stripe job, how they are validated, and the tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from rasterio.windows import Window

from ..dip.cost import A_MINUTE, AFFORDABLE, MEMORY, cost, memory, network_tile
from ..errors import InvalidJob
from ..job import Compute, Outputs
from ..raster.scene import Scene
from ..runtime.devices import check_device, resolve_device
from ..runtime.tiling import split_into_tiles
from . import holdout
from .experts.registry import CLASSICAL, FILLERS, GUIDED
from .problem import Survey
from .validation_windows import sample_windows

# A scene is validated until so many of its pixels were hidden, but so many times at least and at most. For the choice
# of one expert, some thousands of pixels are enough.
_ROUNDS = {"fast": (3_000, 1, 3), "best": (30_000, 3, 9)}
_ROUNDS_OF_MANY = (1, 2)  # at least and at most, where there are several windows
# Experts that hold-outs overrate in stripes, and that are not worth their time on scenes too large for one window.
_SMALL_GAPS_ONLY = ("plug_and_play_fine",)
# A scene of so many pixels at most (some 470 x 470) is validated as a whole; of others, so many windows of a size are.
# Scenes differ from place to place: many small windows tell more of them than few large ones of the same area.
_WHOLE = 221_000
_WINDOWS = {"fast": 8, "best": 12}
_VALIDATION_WINDOW = 256
CLASSICAL_TILE = 512


class FillJob(Protocol):
    """What filling needs to know of a job."""

    @property
    def task(self) -> str:
        """The job's kind."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""

    @property
    def method(self) -> str:
        """The METHOD."""

    @property
    def network_input(self) -> str:
        """What the papers' networks start from."""

    @property
    def compute(self) -> Compute:
        """Device, seed, time budget, tiles."""

    @property
    def outputs(self) -> Outputs:
        """What to write."""


@dataclass(frozen=True)
class Plan:
    """Which experts stand for election, how they are validated, and the tiles."""

    names: tuple[str, ...]
    windows: list[Window]
    rounds: int
    tile_size: int
    overlap: int
    skipped: dict[str, str]


def tile_count(known: Survey, planned: Plan) -> int:
    """Number of tiles that cover the scene."""
    return sum(len(row) for row in split_into_tiles(*known.scene.grid.shape, planned.tile_size, planned.overlap))


def plan(job: FillJob, known: Survey) -> Plan:
    """Experts, hold-outs and tiles for a job. It depends on sizes and device only, never on the clock."""
    scene, gaps = known.scene, known.gaps
    rng = np.random.default_rng([job.compute.seed, 0])
    with_network = job.method not in ("fast", "best")
    size = job.compute.tile_size or (_tile(job.method, scene) if with_network else CLASSICAL_TILE)
    overlap = job.compute.overlap or min(64, size // 4)
    if not job.compute.tile_size:
        size = max(size, 3 * overlap)  # room for an OVERLAP that was asked for
        if with_network and memory(job.method, min(size, max(scene.grid.shape)) ** 2, scene.count) > 2 * MEMORY:
            raise InvalidJob(reason=f"OVERLAP {overlap} makes tiles too large for METHOD {job.method}: give less.")
    if with_network:
        windows = sample_windows(gaps, size, 1, rng)
    else:
        windows = sample_windows(gaps, _VALIDATION_WINDOW, _WINDOWS[job.method], rng, _WHOLE)
    rounds = 1
    if windows and not with_network:
        pixels, fewest, limit = _ROUNDS[job.method]
        if len(windows) > 1:
            fewest, limit = _ROUNDS_OF_MANY
        hidden = sum(holdout.expected(*gaps.window(window)) for window in windows)
        rounds = min(max(math.ceil(pixels / max(1.0, hidden)), fewest), limit)
    small_gaps = job.task == "gap_fill" and len(windows) <= 1
    fillers = [name for name in FILLERS if small_gaps or name not in _SMALL_GAPS_ONLY]
    names: tuple[str, ...] = (*(fillers if job.method == "best" else CLASSICAL), *(GUIDED if known.guide else ()))
    skipped: dict[str, str] = {}
    check_device(job.compute.device)
    if with_network:
        names = (job.method,)
    elif job.method == "best" and gaps.target_pixels:
        # Fewer hold-outs for its sake would cost the mixture more than it brings.
        area = sum(int(window.width * window.height) for window in windows) * rounds
        work = cost("deep_prior", area + scene.grid.width * scene.grid.height, scene.count)
        if work <= AFFORDABLE[resolve_device(job.compute.device).type]:
            names = (*names, "deep_prior")
        else:
            minutes = work / A_MINUTE
            skipped["deep_prior"] = f"about {minutes:.0f} minutes on two CPU cores; choose METHOD deep_prior to run it"
    return Plan(names, windows, rounds, size, overlap, skipped)


def _tile(method: str, scene: Scene) -> int:
    return network_tile([method], scene.count, "inpaint", max(scene.grid.shape))
