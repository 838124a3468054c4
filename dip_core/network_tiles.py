"""The largest tile that an untrained network's fit has room for: all its layers' images are kept for the backward pass.

A fit's size follows from the network and the number of bands alone, so that a job's tiles do not depend on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .demands import memory
from .devices import physical_memory
from .errors import InvalidJob, OutOfMemory
from .presets import preset

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
    if wanted > 0.7 * physical_memory():
        raise OutOfMemory(reason=f"METHOD {names[0]} needs about {wanted / 1e9:.0f} GB for {bands} bands")
    return SMALLEST_TILE
