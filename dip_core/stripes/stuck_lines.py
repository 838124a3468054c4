"""Stuck lines: lines of a band that are constant, empty or saturated from end to end.

Each line is compared with the other lines of its band and with its nearest intact neighbours. Water that is clipped to
one value is therefore not a defect. Lines that are constant in a part only: `line_dropouts`.
"""

from __future__ import annotations

import numpy as np

from .lines import MAX_WIDTH, MIN_PIXELS, LineMask, Plane, line_medians, line_rms, runs

_MIN_STUCK_SHARE = 0.9  # of a stuck line's pixels that have its value
_MAX_NEIGHBOUR_SHARE = 0.5  # of a neighbour's pixels that have a stuck line's value
_EQUAL = 0.01  # of the typical deviation along a line; smaller differences count as equal


def find_stuck_lines(view: Plane, min_pixels: int = MIN_PIXELS) -> LineMask:
    """True for lines almost all of whose pixels have one value that their neighbours do not have.

    ``view`` ``(line, position)`` is NaN for missing pixels. Lines with fewer than ``min_pixels`` are not examined.
    """
    centre, number = line_medians(view, min_pixels)
    examined = np.isfinite(centre)
    along = line_rms(view - centre[:, None], min_pixels)
    typical = float(np.nanmedian(along)) if examined.any() else 0.0
    if typical == 0.0:  # most lines are constant, so a constant line is not unusual
        return np.zeros(len(view), bool)

    equal = _EQUAL * typical
    close = np.count_nonzero(np.abs(view - centre[:, None]) <= equal, axis=1)
    stuck = examined & (close >= _MIN_STUCK_SHARE * np.maximum(number, 1))
    for first, last in runs(stuck):
        sides = [(line, end) for line, end in ((first - 1, first), (last, last - 1)) if 0 <= line < len(view)]
        shares = [
            float((np.abs(view[line] - centre[end]) <= equal).sum() / number[line])
            for line, end in sides
            if number[line]
        ]
        if last - first > MAX_WIDTH or not shares or max(shares) > _MAX_NEIGHBOUR_SHARE:
            stuck[first:last] = False
    return stuck
