"""What one fit of an untrained network demands, from the sizes in its preset: no network is made for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import InvalidJob, OutOfMemory
from ..runtime.memory import available_memory
from .presets import preset

# Multiply-adds that the deep prior may cost within METHOD best, with all hold-outs, before it is left out: about a
# minute on two cores, and on a GPU; and how many two cores do in a minute (6.5e12 of them, for 140 x 140 pixels with 9
# hold-outs, took 83 s where the machine was quick, and twice that is not rare).
AFFORDABLE = {"cpu": 3e12, "cuda": 3e15, "mps": 3e14}
A_MINUTE = 3e12


def cost(name: str, pixels: int, bands: int, task: str = "inpaint") -> float:
    """Multiply-adds of one full fit, for planning; an estimate within a factor of two."""
    chosen = preset(task, name)
    a, axes = chosen.architecture, chosen.dimensions
    taps, halved = 3**axes, 0.5**axes
    work = sum(
        taps * up * ((0 if a.join == "add" else skip) + 3 * down) / 2 * halved**level
        for level, (down, up, skip) in enumerate(zip(a.down, a.up, a.skip))
    )
    runs = bands if chosen.per_band or axes == 3 else 1
    return 3.0 * work * pixels * chosen.schedule.iterations * runs


def memory(name: str, pixels: int, bands: int, task: str = "inpaint") -> float:
    """Bytes that one fit keeps for its backward pass, for planning; an estimate within a factor of two."""
    chosen = preset(task, name)
    a, axes = chosen.architecture, chosen.dimensions
    halved = 0.5**axes

    def joined(skip: int, down: int) -> int:
        return down if a.join == "add" else skip + down

    # Of each convolution its padded input, its output and the normalised one are kept; gradients come on top.
    maps = sum(
        4 * (skip + 2 * down * halved + joined(skip, down) + up * (1 + a.pointwise_after_up)) * halved**level
        for level, (down, up, skip) in enumerate(zip(a.down, a.up, a.skip))
    )
    volume = pixels * (bands if axes == 3 else 1)
    return 4.0 * (maps * volume + 4.0 * pixels * (1 if chosen.per_band else bands))


MEMORY = 4e9  # bytes that a fit may keep before tiles are made smaller
SMALLEST_TILE = 64
_SIZES = (256, 192, 128, 96, SMALLEST_TILE)
_FEWEST_BANDS_3D = 2


def network_tile(names: Sequence[str], bands: int, task: str, longest: float = math.inf) -> int:
    """The side of the largest tile, at most 256 pixels, whose fit keeps to the memory budget.

    ``names``: the presets of ``task`` that run one after another. ``longest``: the longer side of the scene. Raises
    InvalidJob where a network cannot take so few bands, OutOfMemory where even the smallest tile is too large.
    """
    for name in names:
        if preset(task, name).dimensions == 3 and bands < _FEWEST_BANDS_3D:
            raise InvalidJob(
                reason=f"METHOD {name} convolves along the bands and needs at least {_FEWEST_BANDS_3D} of them; "
                f"this raster has {bands}. Choose another METHOD."
            )
    wanted = 0.0
    for size in _SIZES:
        pixels = int(min(size, longest)) ** 2
        wanted = max(memory(name, pixels, bands, task) for name in names)
        if wanted <= MEMORY:
            return size
    if wanted > 0.7 * available_memory():
        raise OutOfMemory(reason=f"METHOD {names[0]} needs about {wanted / 1e9:.0f} GB for {bands} bands")
    return SMALLEST_TILE
