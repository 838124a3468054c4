"""Dense striping: most lines of a band have an offset of their own, so that no line is a reference for the others.

The medians of the halves of each line are compared with those of the next line. Noise and the scene's texture make
these differences independent in both halves; an offset makes them equal. The offsets' standard deviation follows from
the covariance of both: ``sqrt(cov / 2)``. Offsets of neighbouring lines are independent, so that successive differences
have a correlation of -0.5; a scene with structure along the lines varies smoothly from line to line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .found_stripes import DenseStriping
from .lines import Direction, Plane, Profile, line_medians, robust_spread

_MIN_LINES = 12  # pairs of neighbouring lines
_MIN_HALF_PIXELS = 8  # of half a line
_MIN_CORRELATION = 0.5  # between the differences in both halves of the lines
_MIN_NOISE_SHARE = 0.3  # of the noise; weaker offsets are not reported
_CLIP = 2.5  # robust deviations; edges in the scene and single stripes count no more than this
_MAX_SUCCESSIVE = -0.2  # correlation of successive differences, relative to that between the halves
_MIN_CONTRAST = 2.0  # to the offsets along the other axis


@dataclass(frozen=True)
class LineOffsets:
    """The deviation of the offsets of all lines, and how their differences are correlated.

    ``between_halves``: of the same difference in both halves of the lines; ``successive``: of a difference in one half
    and the next one in the other half, relative to the covariance of both.
    """

    deviation: float = 0.0
    between_halves: float = 0.0
    successive: float = 0.0


def measure_offsets(view: Plane) -> LineOffsets:
    """Measure the offsets in a view ``(line, position)``; all zeros if there are too few lines."""
    half = view.shape[1] // 2
    least = max(_MIN_HALF_PIXELS, half // 4)
    steps = np.diff([line_medians(part, least)[0] for part in (view[:, :half], view[:, half:])], axis=1)
    usable = np.isfinite(steps).all(axis=0)
    steps[:, ~usable] = np.nan
    if np.count_nonzero(usable) < _MIN_LINES or not min(robust_spread(step) for step in steps) > 0:
        return LineOffsets()
    first, second = (_clipped(step) for step in steps)
    covariance = float(np.nanmean(first * second))
    correlation = covariance / float(np.sqrt(np.nanmean(first**2) * np.nanmean(second**2)))
    if covariance <= 0:
        return LineOffsets(between_halves=correlation)
    lagged = first[:-1] * second[1:]
    successive = float(np.nanmean(lagged)) if np.isfinite(lagged).any() else 0.0
    return LineOffsets(float(np.sqrt(covariance / 2)), correlation, successive / covariance)


def _clipped(step: Profile) -> Profile:
    """Differences about their median; edges in the scene and single stripes are clipped."""
    limit = _CLIP * robust_spread(step)
    return np.clip(step - np.nanmedian(step), -limit, limit)


def find_dense_striping(band: int, images: list[tuple[Direction, NDArray]], noise: float) -> DenseStriping | None:
    """The dense striping of a band, or None.

    ``images``: per axis, the view ``(line, position)`` of the band, NaN for pixels to ignore; ``noise``: its deviation.
    """
    measured = [measure_offsets(view) for _, view in images]
    strongest = int(np.argmax([offsets.deviation for offsets in measured]))
    found, other = measured[strongest], measured[1 - strongest]
    is_weak = found.deviation < _MIN_NOISE_SHARE * noise or found.deviation <= 0
    if is_weak or found.between_halves < _MIN_CORRELATION or found.successive > _MAX_SUCCESSIVE:
        return None
    if other.between_halves >= _MIN_CORRELATION and found.deviation < _MIN_CONTRAST * other.deviation:
        return None
    return DenseStriping(band, images[strongest][0].orientation, found.deviation, noise)
