"""Shrinkage of a noisy spectrum to its significant part, by blocks of bands.

Sources: James and Stein (1961); Cai, Adaptive wavelet estimation: a block thresholding approach (1999).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCKS = (4, 16)  # bands
_MIN_BLOCK = 2.5  # deviations of the sum of squares of a block that is kept


def shrink_spectrum(spectrum: NDArray) -> NDArray[np.float64]:
    """The significant part of a ``spectrum`` ``(band,)`` with noise of variance 1.

    Blocks of a few bands, or all bands together, are multiplied by ``1 - L / S^2`` with their number of bands L and
    their sum of squares S^2; blocks that noise explains become 0. The size with the lowest estimated risk is used.
    """
    spectrum = spectrum.astype(np.float64)
    best, best_gain = np.zeros_like(spectrum), 0.0
    for size in (*(size for size in _BLOCKS if size < len(spectrum)), len(spectrum)):
        # The mean of two divisions, because a feature may lie across an edge.
        shifts = (0, size // 2) if size < len(spectrum) else (0,)
        estimates = [_shrink_blocks(spectrum, size, shift) for shift in shifts]
        gain = float(np.mean([own for _, own in estimates]))
        if gain > best_gain:
            best, best_gain = np.mean([own for own, _ in estimates], axis=0), gain
    return best


def _shrink_blocks(spectrum: NDArray[np.float64], size: int, shift: int) -> tuple[NDArray[np.float64], float]:
    """The shrunk spectrum, and by how much its estimated risk is below that of 0."""
    edges = np.unique([0, *range(shift, len(spectrum), size)])
    square = np.add.reduceat(np.square(spectrum), edges)
    count = np.diff([*edges, len(spectrum)])
    kept = square > count * (1.0 - 2.0 / (9.0 * count) + _MIN_BLOCK * np.sqrt(2.0 / (9.0 * count))) ** 3
    factor = np.where(kept, np.maximum(1.0 - count / np.maximum(square, 1e-9), 0.0), 0.0)
    return spectrum * np.repeat(factor, count), float((square - 2.0 * count)[kept].sum())
