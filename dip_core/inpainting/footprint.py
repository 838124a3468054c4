"""The footprint of a scene: the area inside a raster that the sensor covered, with its gaps.

A missing pixel is a gap if it lies in a hole of the scene or in a *lane*: a narrow strip between observed pixels that
opens to the exterior or to the raster's border, as SLC-off gaps do. The rest is the exterior.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Mask
from .lanes import find_gaps


def footprint(observed: Mask) -> Mask:
    """The footprint ``(row, column)`` from the pixels that are observed in any band.

    It holds the observed pixels, the holes, whatever their size, the lanes, and parts of lanes that the border cuts.
    Rows and columns without observed pixels at the raster's border are a frame, and so exterior, unless they are part
    of a pattern of missing rows or columns.
    """
    rows, columns = np.flatnonzero(observed.any(axis=1)), np.flatnonzero(observed.any(axis=0))
    inside = np.zeros_like(observed)
    if not len(rows):
        return inside
    height, width = observed.shape
    margins = (int(rows[0]), height - 1 - int(rows[-1]), int(columns[0]), width - 1 - int(columns[-1]))
    is_lane = _are_cut_lanes(rows, margins[:2], margins[2:]) + _are_cut_lanes(columns, margins[2:], margins[:2])
    frame = [0 if lane else margin for margin, lane in zip(margins, is_lane)]
    window = (slice(frame[0], height - frame[1]), slice(frame[2], width - frame[3]))
    inside[window] = find_gaps(observed[window], (frame[0] > 0, frame[1] > 0, frame[2] > 0, frame[3] > 0))
    return inside


def _are_cut_lanes(lines: np.ndarray, margins: tuple[int, int], others: tuple[int, int]) -> list[bool]:
    """Whether the missing lines before and after the observed ``lines`` are gaps that the border cuts.

    They are if at least two runs of missing lines between the observed ones are as wide, and the scene has no margins
    in the other direction (``others``).
    """
    runs = np.diff(lines) - 1
    return [0 < margin and not any(others) and int(np.count_nonzero(runs >= margin)) >= 2 for margin in margins]
