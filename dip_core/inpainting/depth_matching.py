"""Makes validation samples as deep inside gaps as the pixels to be filled.

Hidden pixels next to a gap widen it, so they are deeper than the gaps where much is missing. Samples are thinned until
the distribution of their distances to the nearest observed pixel is that of the gaps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Upper ends of the distance bins, in pixels.
_BIN_LIMITS = (1.5, 2.5, 3.5, 5.0, 6.5, 8.5, 11.5, 16.0, 25.0)
_MIN_KEPT_SHARE = 0.25  # of the samples
_MIN_BIN_SHARE = 0.02  # of the samples, in a bin that limits the kept samples
_MAX_RELAXATIONS, _RELAXATION = 16, 0.8


def depth_histogram(distance: NDArray) -> NDArray[np.int64]:
    """The number of pixels in each distance bin, from distances to the nearest observed pixel."""
    return np.bincount(np.searchsorted(_BIN_LIMITS, distance), minlength=len(_BIN_LIMITS) + 1)


def match_depths(distance: NDArray, gap_histogram: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of samples whose distances are distributed as in the gaps.

    ``distance``: ``(sample,)``; ``gap_histogram``: of the gaps' pixels, from `depth_histogram`. At least a quarter of
    the samples is kept, and all if no sample is as deep as the gaps.
    """
    everything = np.arange(len(distance))
    histogram = depth_histogram(distance)
    if not gap_histogram.any():
        return everything
    gap_shares, sample_shares = gap_histogram / gap_histogram.sum(), histogram / histogram.sum()
    ratio = np.divide(gap_shares, sample_shares, out=np.zeros(len(histogram)), where=histogram > 0)
    highest = float(ratio[histogram >= _MIN_BIN_SHARE * histogram.sum()].max())
    if highest <= 0:
        return everything

    def keep_probabilities(scale: float) -> tuple[NDArray[np.float64], float]:
        """The probability of each bin, and the share of the samples that is kept."""
        probability = np.minimum(ratio / scale, 1.0)
        return probability, float((probability * histogram).sum() / histogram.sum())

    scales = highest * _RELAXATION ** np.arange(_MAX_RELAXATIONS)
    probability, kept = next(
        (found for found in map(keep_probabilities, scales) if found[1] >= _MIN_KEPT_SHARE),
        keep_probabilities(scales[-1]),
    )
    if kept < _MIN_KEPT_SHARE:
        probability = probability + (1.0 - probability) * (_MIN_KEPT_SHARE - kept) / (1.0 - kept)
    return np.flatnonzero(rng.random(len(distance)) < probability[np.searchsorted(_BIN_LIMITS, distance)])
