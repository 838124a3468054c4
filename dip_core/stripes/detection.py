"""Detection of stripes: lines of a band with an additive *offset*, and *dead* lines, in any direction.

A stripe is 1 to about 20 pixels wide, runs along the whole image or half of it, and belongs to one band. It is searched
in the band residual, the part of a band that the other bands do not predict (`offset_lines`, `tilted_lines`). Dead
lines are constant or saturated (`stuck_lines`), also in a part of their length (`line_dropouts`), copied from a
neighbour (`copied_lines`) or noisy (`noisy_lines`). Lines that `resampling` repeated are not defects. Where most lines
of a band have an offset (`dense_striping`), only the largest ones are found.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray

from ..arrays import Mask
from ..runtime.memory import require_scene_memory
from ..runtime.progress import SILENT, ProgressReporter
from .found_stripes import Stripes
from .search import search_stripes

BYTES_PER_VALUE = 24.0  # memory of `find_stripes` per value of the cube
MASK_BYTES_PER_VALUE = 6.0  # memory of the masks of a stripe job per value of the cube


def check_memory(shape: tuple[int, int, int], per_value: float = BYTES_PER_VALUE) -> None:
    """Raise OutOfMemory if ``per_value`` bytes per value of a cube of ``shape`` exceed the available memory.

    The whole scene is examined at once, because stripes run through all of it.
    """
    require_scene_memory(shape, per_value, 0.0, "stripe detection")


def find_stripes(
    values: NDArray,
    observed: Mask | None = None,
    use: Sequence[bool] | None = None,
    progress: ProgressReporter = SILENT,
) -> Stripes:
    """Find the stripes and dead lines of a cube ``(band, row, column)``.

    ``observed`` (any shape that broadcasts): False for pixels to ignore, besides those that are not finite. ``use``:
    False for bands to ignore. Offsets are found from about 1.5 standard deviations of the band's noise. Tilted offsets
    need at least 5 bands.
    """
    state = search_stripes(values, observed, use, progress)
    lines = sorted(state.found, key=lambda item: item.band)
    noise = tuple(state.noise_by_band().tolist())
    return Stripes(values.shape, tuple(lines), noise, tuple(state.resampled), tuple(state.dense))
