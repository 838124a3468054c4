"""Features of missing pixels: properties of the observed pixels around them, for weights and uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Upper ends of the distance classes in pixels. Class 0 is for pixels that were predicted from other bands.
DISTANCE_LIMITS = (1.5, 3.5, 6.5, np.inf)
DISTANCE_CLASSES = len(DISTANCE_LIMITS) + 1
UNCERTAINTY_TERMS = 5


@dataclass(frozen=True)
class GapFeatures:
    """Features of pixels, arrays ``(pixel,)`` of standardised values. Assumed pixels count as not observed.

    ``distance_class``: by the distance to the nearest observed pixel, see `DISTANCE_LIMITS`. ``roughness``,
    ``wide_roughness``: variance of the observed pixels in windows of 15 x 15 and 31 x 31 pixels. ``edge_variance``:
    variance of the nearest observed pixels up, down, left and right, weighted by inverse distance; it is high where an
    edge crosses the gap. ``kriging_variance``: variance of ordinary kriging from 3 observed pixels per quadrant with a
    fixed covariance of sill 1; it depends only on how well the observed pixels enclose the pixel.
    """

    distance_class: NDArray[np.int8]
    roughness: NDArray[np.float32]
    wide_roughness: NDArray[np.float32]
    edge_variance: NDArray[np.float32]
    kriging_variance: NDArray[np.float32]

    def uncertainty_terms(self, disagreement: NDArray) -> Sequence[NDArray]:
        """The terms of the uncertainty model, the roughness first; ``disagreement``: variance among the experts."""
        return self.roughness, disagreement, self.kriging_variance, self.wide_roughness, self.edge_variance
