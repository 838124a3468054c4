"""Dense striping: most lines of a band have an offset of their own, so that no line is a reference for the others.

The medians of the halves of each line are compared with those of the next line. Noise and the scene's texture make
these differences independent in both halves; an offset makes them equal. The offsets' standard deviation follows from
the covariance of both: ``sqrt(cov / 2)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .found_stripes import DenseStriping
from .lines import Direction, Plane, line_medians, robust_spread

_MIN_LINES = 12  # pairs of neighbouring lines
_MIN_HALF_PIXELS = 8  # of half a line
_MIN_CORRELATION = 0.5  # between the differences in both halves of the lines
_MIN_NOISE_SHARE = 0.3  # of the noise; weaker offsets are not reported
_CLIP = 2.5  # robust deviations; edges in the scene and single stripes count no more than this
_MIN_CONTRAST = 2.0  # to the offsets along the other axis


def measure_offsets(view: Plane) -> tuple[float, float]:
    """The deviation of the offsets of all lines of a view ``(line, position)``, and the correlation that shows them.

    The deviation is 0 if neighbouring lines do not differ in the same way in both halves.
    """
    half = view.shape[1] // 2
    least = max(_MIN_HALF_PIXELS, half // 4)
    steps = np.diff([line_medians(part, least)[0] for part in (view[:, :half], view[:, half:])], axis=1)
    steps = steps[:, np.isfinite(steps).all(axis=0)]
    if steps.shape[1] < _MIN_LINES:
        return 0.0, 0.0
    spread = [robust_spread(step) for step in steps]
    if not min(spread) > 0:
        return 0.0, 0.0
    clipped = [np.clip(step - np.median(step), -_CLIP * size, _CLIP * size) for step, size in zip(steps, spread)]
    covariance = float(np.mean(clipped[0] * clipped[1]))
    correlation = covariance / float(np.sqrt(np.mean(clipped[0] ** 2) * np.mean(clipped[1] ** 2)))
    return float(np.sqrt(max(covariance, 0.0) / 2)), correlation


def find_dense_striping(band: int, images: list[tuple[Direction, NDArray]], noise: float) -> DenseStriping | None:
    """The dense striping of a band, or None.

    ``images``: per axis, the view ``(line, position)`` of the band, NaN for pixels to ignore; ``noise``: its deviation.
    """
    measured = [measure_offsets(view) for _, view in images]
    strongest = int(np.argmax([strength for strength, _ in measured]))
    strength, correlation = measured[strongest]
    other = measured[1 - strongest]
    if correlation < _MIN_CORRELATION or strength < _MIN_NOISE_SHARE * noise or strength <= 0:
        return None
    if other[1] >= _MIN_CORRELATION and strength < _MIN_CONTRAST * other[0]:
        return None
    return DenseStriping(band, images[strongest][0].orientation, strength, noise)
