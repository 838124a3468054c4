"""Connected areas of missing pixels, and what lies along their outlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Mask

Sides = tuple[bool, bool, bool, bool]
"""Top, bottom, left and right."""

_OBSERVED, _FILLED, _OPEN, _BORDER, _OWN = range(5)


@dataclass(frozen=True)
class Areas:
    """Connected areas of missing pixels, numbered from 1.

    ``places``: of their pixels in the flattened raster; ``numbers``: the area of each of these pixels. The other arrays
    have one element per area, and a first one that stands for no area. ``size``: pixels. The next four count pixel
    edges: ``bank`` against observed pixels, ``filled`` against gaps that were found before, ``mouth`` against other
    missing pixels, ``border`` along the raster's border. ``angle``: between bank and rows, 0 to 90 degrees.
    """

    places: NDArray[np.int64]
    numbers: NDArray[np.int32]
    size: NDArray[np.int64]
    bank: NDArray[np.int64]
    filled: NDArray[np.int64]
    mouth: NDArray[np.int64]
    border: NDArray[np.int64]
    angle: NDArray[np.float64]

    def touching(self, mask: Mask) -> Mask:
        """The areas with a pixel in ``mask`` ``(row, column)``."""
        found = np.zeros(len(self.size), bool)
        found[self.numbers[mask.ravel()[self.places]]] = True
        return found

    def elongation(self) -> NDArray[np.float64]:
        """Length divided by width of rectangles with the same size and outline."""
        outline = (self.bank + self.filled + self.mouth + self.border).astype(np.float64)
        root = np.sqrt(np.maximum(np.square(outline) - 16.0 * self.size, 0.0))
        return (outline + root) / np.maximum(outline - root, 1e-9)


class PixelMap:
    """Marks each pixel of a scene as observed, as a gap (filled), or as neither (open).

    ``open_sides``: sides of the array beyond which the exterior continues; beyond the others is the raster's border.
    """

    def __init__(self, observed: Mask, open_sides: Sides) -> None:
        kinds = np.where(observed, np.uint8(_OBSERVED), np.uint8(_OPEN))
        self._kinds = np.ascontiguousarray(np.pad(kinds, 1))  # so that a flattened view can be written
        lines = (self._kinds[0], self._kinds[-1], self._kinds[:, 0], self._kinds[:, -1])
        for line, is_open in zip(lines, open_sides):
            line[:] = _OPEN if is_open else _BORDER

    @property
    def inside(self) -> Mask:
        """``(row, column)``: True where observed or filled."""
        return self._kinds[1:-1, 1:-1] <= _FILLED

    def areas(self, missing: Mask) -> Areas:
        """The areas ``(row, column)`` of open pixels, 4-connected."""
        labels, count = ndimage.label(missing)
        places = np.flatnonzero(missing)
        numbers = labels.ravel()[places]
        at, kinds = self._padded(places), self._kinds.ravel()
        kinds[at] = _OWN
        step = self._kinds.shape[1]
        edges = np.zeros((5, count + 1), np.int64)
        banks = []
        for neighbour in (-step, step, -1, 1):
            counts = np.bincount(numbers * 5 + kinds[at + neighbour], minlength=5 * count + 5).reshape(-1, 5).T
            edges += counts
            banks.append(counts[_OBSERVED])
        kinds[at] = _OPEN
        angle = np.degrees(np.arctan2(banks[2] + banks[3], banks[0] + banks[1]))
        size = np.bincount(numbers, minlength=count + 1)
        bank, filled, mouth, border, _ = edges
        return Areas(places, numbers, size, bank, filled, mouth, border, angle)

    def fill(self, areas: Areas, chosen: Mask) -> None:
        """Mark the chosen areas as gaps."""
        self._kinds.ravel()[self._padded(areas.places[chosen[areas.numbers]])] = _FILLED

    def _padded(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in the flattened array with one more pixel on each side."""
        columns = self._kinds.shape[1] - 2
        return places + 2 * (places // columns) + columns + 3
