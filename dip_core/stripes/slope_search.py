"""Search for the direction in which the means of an image's lines stand out most.

The fast discrete Radon transform gives the sums along all lines at once. Sources: Goetz and Druckmueller (1996) and
Brady (1998) for the transform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..arrays import Mask
from .lines import Direction, Plane, Profile, running_median

_BOX = 41  # pixels of the local mean; a stripe is narrower than half of it
_MAX_SIDE = 256  # pixels of the part that is searched
_MIN_SCORE = 4.0  # standard deviations of a line mean that counts as evidence
_CLIP = 4.0  # standard deviations of pixels
_MIN_LENGTH_SHARE = 0.3  # of a line's full length that must be observed
_SLOPE_STEP = 0.25  # pixels over the length of the image, when a slope is refined


@dataclass(frozen=True)
class SlopeEstimate:
    """The direction with the most evidence in an image, and the largest evidence for lines without tilt."""

    orientation: str
    slope: float
    evidence: float
    untilted_evidence: float


class SlopeSearch:
    """Slope search in images with a common mask of ``observed`` pixels (row, column).

    The evidence for a direction is the sum, over its lines, of the amount by which the squared score of the line mean
    exceeds 16. `search` examines the middle of a large image, `refine` the whole image.
    """

    def __init__(self, observed: Mask, max_side: int = _MAX_SIDE) -> None:
        self._observed = observed
        starts = (max(0, (size - max_side) // 2) for size in observed.shape)
        self._middle = tuple(slice(start, start + max_side) for start in starts)
        middle = observed[self._middle]
        self._weight = np.maximum(ndimage.uniform_filter(middle.astype(np.float64), _BOX, mode="constant"), 1e-3)
        self._numbers = [discrete_radon(plane) for plane in _flips(middle.astype(np.float32))]

    def search(self, image: Plane, noise: float) -> SlopeEstimate:
        """The direction with the most evidence in ``image`` ``(row, column)``; ``noise``: its robust deviation."""
        observed = self._observed[self._middle]
        # Clipping limits the influence of small bright objects; subtracting the local mean removes large ones.
        clipped = np.where(observed, np.clip(image[self._middle], -_CLIP * noise, _CLIP * noise), 0.0)
        level = ndimage.uniform_filter(clipped, _BOX, mode="constant") / self._weight
        flat = np.where(observed, clipped - level, 0.0) / noise
        scores = []
        for number, plane in zip(self._numbers, _flips(flat)):
            enough = number >= max(16.0, _MIN_LENGTH_SHARE * plane.shape[0])
            scores.append(np.where(enough, discrete_radon(plane) / np.sqrt(np.maximum(number, 1.0)), np.nan))
        # Spatially correlated residuals have larger line means in all directions, which is no sign of stripes.
        typical = max(1.0, float(1.4826 * np.nanmedian(np.abs(np.concatenate([s.ravel() for s in scores])))))
        orientation, slope, largest = "columns", 0.0, 0.0
        untilted = 0.0
        for place, score in enumerate(scores):
            evidence = _evidence(score / typical)
            untilted = max(untilted, float(evidence[0]))
            step = int(np.argmax(evidence))
            if evidence[step] > largest:
                orientation, largest = ("columns", "rows")[place // 2], float(evidence[step])
                slope = float((1, -1)[place % 2] * step / max(len(evidence) - 1, 1))
        return SlopeEstimate(orientation, slope, largest, untilted)

    def refine(self, image: Plane, noise: float, found: SlopeEstimate) -> float:
        """The slope near that of ``found`` with the most evidence in the whole image, in steps of a quarter pixel."""
        shape = self._observed.shape
        length = shape[0] if found.orientation == "columns" else shape[1]
        reach = 1.0 / min(cut.stop - cut.start for cut in self._middle)
        clipped = np.clip(image[self._observed], -_CLIP * noise, _CLIP * noise) / noise
        best, largest = found.slope, -1.0
        for slope in found.slope + np.arange(-reach, reach, _SLOPE_STEP / length):
            direction = Direction(found.orientation, float(slope), shape)
            line = direction.line_numbers()[self._observed]
            number = np.bincount(line)
            score = np.bincount(line, clipped) / np.sqrt(np.maximum(number, 1))
            score = np.where(number * direction.lines_per_pixel >= _MIN_LENGTH_SHARE * length, score, np.nan)
            level = running_median(score, _BOX * direction.lines_per_pixel)
            evidence = float(_evidence((score - level)[None])[0])
            if evidence > largest:
                best, largest = float(slope), evidence
        return best


def discrete_radon(image: Plane) -> Plane:
    """Sums along all lines that move right by 0 to 1 columns per row: the fast discrete Radon transform.

    Returns ``(slope, line)`` for ``image`` ``(row, column)``, whose rows are zero-padded to a power of two, n. A line
    of slope number s moves by s columns over n rows and starts at column ``line - (n - 1)``; with n = 4, line 0 starts
    at column -3. Sums over halves are shared, so that all slopes together need n log n additions per column.
    """
    rows, columns = image.shape
    n = 1 << max(0, int(rows - 1).bit_length())
    sums = np.zeros((n, 1, columns + 2 * (n - 1)), np.float32)
    sums[:rows, 0, n - 1 : n - 1 + columns] = image
    while len(sums) > 1:
        upper, lower = sums[0::2], sums[1::2]
        blocks, slopes, width = upper.shape
        merged = np.empty((blocks, 2 * slopes, width), np.float32)
        for slope in range(2 * slopes):
            shift = (slope + 1) // 2
            merged[:, slope] = upper[:, slope // 2]
            merged[:, slope, : width - shift] += lower[:, slope // 2, shift:]
        sums = merged
    return sums[0][:, : columns + n - 1]


def _flips(image: Plane) -> tuple[Plane, Plane, Plane, Plane]:
    """Four flips of the image; in each, one of the four kinds of lines moves right by at most one column per row."""
    return image, image[:, ::-1], image.T, image.T[:, ::-1]


def _evidence(score: Plane) -> Profile:
    return np.nansum(np.maximum(score**2 - _MIN_SCORE**2, 0.0), axis=1)
