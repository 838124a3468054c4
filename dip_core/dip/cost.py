"""Cost of fitting an untrained network: operations, memory and the largest tile, from the sizes in its preset.

All figures are estimates within a factor of two. They depend on the network and the number of bands only, so that the
tiles of a job do not depend on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import InvalidJob, OutOfMemory
from ..runtime.memory import available_memory, format_bands, format_bytes
from .presets import preset

# Multiply-adds up to which METHOD best includes the deep prior, validation included: about one minute per device type.
MAX_COST = {"cpu": 3e12, "cuda": 3e15, "mps": 3e14}
CPU_COST_PER_MINUTE = 3e12  # multiply-adds in a minute on two cores
MAX_FIT_BYTES = 4e9  # before tiles are made smaller
MIN_NETWORK_TILE = 64
_TILE_SIZES = (256, 192, 128, 96, MIN_NETWORK_TILE)
_MIN_BANDS_3D = 2
_MAX_MEMORY_SHARE = 0.7  # of the available memory


def fit_cost(name: str, pixels: int, bands: int, task: str = "inpaint") -> float:
    """Multiply-adds of one full fit of the preset ``name`` of a task."""
    chosen = preset(task, name)
    a, axes = chosen.architecture, chosen.dimensions
    taps, halved = 3**axes, 0.5**axes
    work = sum(
        taps * up * ((0 if a.join == "add" else skip) + 3 * down) / 2 * halved**level
        for level, (down, up, skip) in enumerate(zip(a.down, a.up, a.skip))
    )
    runs = bands if chosen.per_band or axes == 3 else 1
    return 3.0 * work * pixels * chosen.schedule.iterations * runs


def fit_memory(name: str, pixels: int, bands: int, task: str = "inpaint") -> float:
    """Bytes that one fit of the preset ``name`` of a task keeps for the backward pass."""
    chosen = preset(task, name)
    a, axes = chosen.architecture, chosen.dimensions
    halved = 0.5**axes

    def joined(skip: int, down: int) -> int:
        return down if a.join == "add" else skip + down

    # Each convolution keeps its padded input, its output and the normalised output; gradients are added.
    maps = sum(
        4 * (skip + 2 * down * halved + joined(skip, down) + up * (1 + a.pointwise_after_up)) * halved**level
        for level, (down, up, skip) in enumerate(zip(a.down, a.up, a.skip))
    )
    volume = pixels * (bands if axes == 3 else 1)
    return 4.0 * (maps * volume + 4.0 * pixels * (1 if chosen.per_band else bands))


def largest_network_tile(names: Sequence[str], bands: int, task: str, longest: float = math.inf) -> int:
    """Side in pixels of the largest tile, at most 256, whose fit needs no more than ``MAX_FIT_BYTES``.

    ``names``: the presets of ``task`` that run one after another. ``longest``: the longer side of the scene in pixels.
    Raises InvalidJob if a network needs more bands, OutOfMemory if even the smallest tile is too large.
    """
    for name in names:
        if preset(task, name).dimensions == 3 and bands < _MIN_BANDS_3D:
            raise InvalidJob(
                reason=f"METHOD {name} convolves along the bands and needs at least {_MIN_BANDS_3D} of them, but this "
                f"raster has {bands}. Choose another METHOD."
            )
    needed = 0.0
    for size in _TILE_SIZES:
        pixels = int(min(size, longest)) ** 2
        needed = max(fit_memory(name, pixels, bands, task) for name in names)
        if needed <= MAX_FIT_BYTES:
            return size
    available = available_memory()
    if needed > _MAX_MEMORY_SHARE * available:
        raise OutOfMemory(
            reason=f"METHOD {names[0]} needs about {format_bytes(needed)} for {format_bands(bands)}, and "
            f"{format_bytes(available)} are available",
            advice="Close other programs, or choose METHOD fast.",  # the tile is the smallest one
        )
    return MIN_NETWORK_TILE
