"""Comparing nodata values, and finding one for an output that no valid pixel of any band has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags

from ..errors import UnreadableRaster
from .file_view import Nodata
from .missing_values import can_hold

_CANDIDATES = (0, -9999, -1)
_FIRST = 8  # values that are tried before the others
_MAX_EXACT = 1 << 53  # largest integer up to which floats are exact


def same(one: Nodata | None, other: Nodata | None) -> bool:
    """True if both nodata values are equal, both NaN, or both None."""
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def same_in(dtype: np.dtype, one: Nodata | None, other: Nodata | None) -> bool:
    """As `same`; two floats are also equal if pixels of this type cannot tell them apart."""
    if same(one, other) or one is None or other is None or dtype.kind != "f":
        return same(one, other)
    with np.errstate(over="ignore"):
        return bool(dtype.type(one) == dtype.type(other))


def masks_differ(
    sources: Sequence[rasterio.DatasetReader], valid_blocks: Callable[[], Iterator[NDArray[np.bool_]]]
) -> bool:
    """True if mask bands belong to single bands or files, and are not the same for all bands.

    ``valid_blocks``: the valid pixels ``(band, row, column)`` of all bands, part by part.
    """
    flags = [set(flags) for source in sources for flags in source.mask_flag_enums]
    shared = {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.per_dataset}
    has_own = any(not shared & found for found in flags)
    if not has_own and (len(sources) == 1 or not any(MaskFlags.per_dataset in found for found in flags)):
        return False
    return any((valid != valid[:1]).any() for valid in valid_blocks())


def rasterio_can_write(dtype: np.dtype, value: Nodata | None) -> bool:
    """True if rasterio writes this value exactly, for which it uses a float and checks the range of the type."""
    if value is None:
        return True
    if dtype.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max)
    return can_hold(dtype, value) and abs(value) <= _MAX_EXACT


def unused_value(
    dtype: np.dtype, candidates: Iterable[Nodata], used: Callable[[], Iterator[NDArray]], path: str
) -> Nodata:
    """A value that no valid pixel has: one of the candidates if possible.

    ``used``: the values of the valid pixels of all bands, part by part. Raises UnreadableRaster for ``path`` if the
    type has no such value.
    """
    if dtype.kind == "f":
        limits: list[Nodata] = [math.nan]
    else:
        lowest, highest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        limits = [lowest, highest, *_CANDIDATES]
        limits += range(lowest, highest) if highest - lowest < 1 << 16 else [highest - 1, lowest + 1, lowest + 2]
    tried = [value for value in dict.fromkeys([*candidates, *limits]) if can_hold(dtype, value)]
    for values in (tried[:_FIRST], tried[_FIRST:]):
        unused = _unused(dtype, values, used)
        if unused is not None:
            return unused
    raise UnreadableRaster(
        path=path,
        reason="its bands mark missing pixels in different ways, and a GeoTIFF needs one nodata value for all of them, "
        f"but every value of the type {dtype} is a valid pixel. Convert it to a larger type first",
    )


def _unused(dtype: np.dtype, values: list[Nodata], used: Callable[[], Iterator[NDArray]]) -> Nodata | None:
    """The first of the values that is not used."""
    left = list(values)
    for pixels in used() if left else ():
        with np.errstate(over="ignore"):
            left = [value for value in left if not (pixels == np.asarray(value).astype(dtype)).any()]
        if not left:
            return None
    return left[0] if left else None
