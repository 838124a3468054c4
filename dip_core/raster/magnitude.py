"""The range of magnitudes in which the methods can compute: single precision, with squares and sums of squares."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray

from ..errors import ValuesOutOfRange

MAX_MAGNITUDE = 1e30  # the largest float32 is 3.4e38, and the smallest with all digits 1.2e-38
MAX_SQUARED_MAGNITUDE = 1e17  # of values whose squares are summed in single precision


def require_computable(
    path: str, bands: Sequence[int], low: NDArray, high: NDArray, limit: float = MAX_MAGNITUDE
) -> None:
    """Raise ValuesOutOfRange for bands whose values are too large, or too small to differ in single precision.

    ``bands``: their numbers (from 0); ``low``, ``high``: their lowest and highest observed value ``(band,)``. Values
    may be up to ``limit`` and must not all be below its inverse.
    """
    for band, smallest, largest in zip(bands, low, high):
        value = float(max(smallest, largest, key=abs))
        is_small = 0 < abs(value) < 1 / limit and smallest < largest
        if abs(value) > limit or is_small:
            raise ValuesOutOfRange(path=path, band=band + 1, value=f"{value:.3g}")
