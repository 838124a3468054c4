"""The values of mask files, by class: 0, 2 (an additive stripe), other values, and pixels that mark nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..raster.mask_raster import MaskRaster
from ..raster.scene import Scene

NOTHING, ZERO, TWO, OTHER = range(4)  # classes; NOTHING: nodata, masked or NaN in the mask
MAX_DISTINCT = 64  # different values that are kept


@dataclass(frozen=True)
class MaskValues:
    """The mask of a scene by class.

    ``classes`` ``(1 or band, row, column)``: NOTHING, ZERO, TWO or OTHER. ``distinct``: the different values of
    meaningful pixels in ascending order, at most MAX_DISTINCT. ``counts``: pixels by class, over all mask bands.
    """

    classes: NDArray[np.uint8]
    distinct: tuple[float, ...]
    counts: tuple[int, ...]

    def share(self, *classes: int) -> float:
        """The share of the mask's pixels in any of these classes."""
        return sum(self.counts[number] for number in classes) / max(self.classes.size, 1)

    @property
    def is_full(self) -> bool:
        """Whether there may be more different values."""
        return len(self.distinct) >= MAX_DISTINCT

    def listed(self) -> str:
        """The different values in words, at most five."""
        shown = ", ".join(f"{value:g}" for value in self.distinct[:5])
        return f"{shown}, ..." if len(self.distinct) > 5 else shown


def read_mask_values(
    bands: Sequence[tuple[MaskRaster, int]], scene: Scene, nodata_zero_is_0: bool = False
) -> MaskValues:
    """Read mask bands, each given as a mask and the index of its band, block by block.

    ``nodata_zero_is_0``: a mask's nodata value 0 has the meaning of 0. Raises UnreadableRaster.
    """
    classes = np.empty((len(bands), *scene.grid.shape), np.uint8)
    distinct: set[float] = set()
    counts = np.zeros(4, np.int64)
    for window in scene.blocks():
        rows = window.toslices()[0]
        for place, (raster, index) in enumerate(bands):
            values, meaningful = raster.read(window, [index])
            if nodata_zero_is_0 and raster.nodata_is_zero:
                meaningful |= values == 0
            found = _classify(values[0], meaningful[0])
            classes[place, rows] = found
            counts += np.bincount(found.ravel(), minlength=4)
            _add_distinct(values[0][meaningful[0]], distinct)
    return MaskValues(classes, tuple(sorted(distinct)), tuple(int(count) for count in counts))


def _classify(values: NDArray, meaningful: Mask) -> NDArray[np.uint8]:
    classes = np.full(values.shape, OTHER, np.uint8)
    classes[values == 0] = ZERO
    classes[values == 2] = TWO
    classes[~meaningful] = NOTHING
    return classes


def _add_distinct(values: NDArray, distinct: set[float]) -> None:
    """Add the values that are new, until there are MAX_DISTINCT; quick for a mask with few values."""
    for value in distinct:
        values = values[values != value]
    while values.size and len(distinct) < MAX_DISTINCT:
        value = values[0]
        distinct.add(float(value))
        values = values[values != value]
