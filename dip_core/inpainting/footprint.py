"""The footprint of a scene: the area inside a raster that the sensor covered."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..arrays import Mask

# Half the width of the widest gap at the footprint's border that counts as a gap, in pixels. SLC-off gaps are up to 14
# pixels wide, and wider in mosaics with a finer grid.
CLOSING_RADIUS = 24


def footprint(observed: Mask, radius: int = CLOSING_RADIUS) -> Mask:
    """The footprint ``(row, column)`` from the pixels that are observed in any band.

    A morphological closing with a square of ``2 radius + 1`` pixels closes gaps that open to the exterior and keeps
    convex outlines as they are. Holes belong to the footprint, whatever their size. So does a missing strip along the
    raster's border that is no deeper than the gaps inside: it is a gap that the border cuts.
    """
    closed = _erode(_dilate(np.pad(observed, radius), radius), radius)[radius:-radius, radius:-radius] | observed
    labels, count = ndimage.label(~closed)
    if count == 0:
        return closed
    at_border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    at_border = at_border[at_border > 0]
    outside = np.isin(labels, at_border)
    inside = ~outside
    depth = _erosion_depth(inside & ~observed, radius)
    if depth:
        thick = labels[_erode(outside, min(2 * depth, radius), beyond=True)]
        strips = np.setdiff1d(at_border, np.unique(thick))
        inside |= np.isin(labels, strips)
    return inside


def _dilate(mask: Mask, radius: int) -> Mask:
    out = mask.astype(np.uint8)
    for axis in (0, 1):
        out = ndimage.maximum_filter1d(out, 2 * radius + 1, axis=axis, mode="constant", cval=0)
    return out > 0


def _erode(mask: Mask, radius: int, beyond: bool = False) -> Mask:
    """Erosion with a square; ``beyond``: the value outside the raster."""
    out = mask.astype(np.uint8)
    for axis in (0, 1):
        out = ndimage.minimum_filter1d(out, 2 * radius + 1, axis=axis, mode="constant", cval=int(beyond))
    return out > 0


def _erosion_depth(mask: Mask, max_radius: int) -> int:
    """The smallest radius of an erosion that empties the mask, at most ``max_radius``; 0 for an empty mask."""
    if not mask.any():
        return 0
    low, high = 0, max_radius
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _erode(mask, middle).any() else (low, middle)
    return high
