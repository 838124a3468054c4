"""Values that mark missing pixels: compared with pixels in the pixels' own type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_HUGE = 1e30  # such values are often written with few digits, such as -3.4e38
_HUGE_TOLERANCE = 0.01
_TOLERANCE = 1e-6  # relative; texts hold about seven digits of a float32


def equals_any(pixels: NDArray, values: Sequence[float]) -> NDArray[np.bool_]:
    """True where a pixel is one of the ``values``; a value that the pixels' type cannot hold equals none.

    Floats match with a relative tolerance of 1e-6, and of 1 % for values of 1e30 and more.
    """
    found = np.zeros(pixels.shape, bool)
    for value in values:
        if np.isnan(value):
            found |= np.isnan(pixels) if pixels.dtype.kind == "f" else False
        elif pixels.dtype.kind == "f":
            found |= _is_close(pixels, float(value))
        elif can_hold(pixels.dtype, value):
            found |= pixels == pixels.dtype.type(int(value))
    return found


def can_hold(dtype: np.dtype, value: float) -> bool:
    """True if a pixel of this type can have this value."""
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return bool(np.isfinite(value)) and int(value) == value and limits.min <= int(value) <= limits.max


def without_repeats(values: Iterable[float]) -> tuple[float, ...]:
    """The values in their order, each once."""
    return tuple({str(value): value for value in values}.values())


def _is_close(pixels: NDArray, value: float) -> NDArray[np.bool_]:
    if np.isinf(value):
        return pixels == value
    tolerance = abs(value) * (_HUGE_TOLERANCE if abs(value) >= _HUGE else _TOLERANCE)
    with np.errstate(over="ignore"):
        low, high = np.asarray([value - tolerance, value + tolerance]).astype(pixels.dtype)
    return (pixels >= low) & (pixels <= high) & np.isfinite(pixels)
