"""Morphology with squares on masks, by repeated doubling of the window: a few passes per axis, whatever the size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arrays import Mask


def close_with_square(mask: Mask, radius: int) -> Mask:
    """Morphological closing with a square of ``2 radius + 1`` pixels; everything beyond the raster is False."""
    size = 2 * radius + 1
    grown = np.pad(mask, 2 * radius)
    for combine in (np.logical_or, np.logical_and):
        for axis in (0, 1):
            grown = _slide(grown, size, axis, combine)
    return grown


def erode_with_square(mask: Mask, radius: int) -> Mask:
    """Erosion with a square of ``2 radius + 1`` pixels; everything beyond the raster is True."""
    grown = np.pad(mask, radius, constant_values=True)
    for axis in (0, 1):
        grown = _slide(grown, 2 * radius + 1, axis, np.logical_and)
    return grown


def _slide(mask: Mask, size: int, axis: int, combine: Callable[[Mask, Mask], Mask]) -> Mask:
    """Combine each window of ``size`` pixels along an axis; the result is shorter by ``size - 1``."""
    mask = mask if axis == 0 else mask.T
    width = 1
    while 2 * width <= size:
        mask = combine(mask[:-width], mask[width:])
        width *= 2
    if width < size:
        mask = combine(mask[: len(mask) - (size - width)], mask[size - width :])
    return mask if axis == 0 else mask.T
