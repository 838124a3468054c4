"""Alpha bands: tells validity masks from data bands that are tagged as alpha, and reads the valid pixels of a file.

GDAL tags the fourth band of bytes as alpha by default, so the alpha band of a multispectral raster is often data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

_STRIPS = 64  # of the alpha band that are examined
_STRIP_VALUES = 1 << 18
_OPAQUE_VALUES = (1, 255, 65535)  # besides the highest value of the type
_MAX_INTERMEDIATE_SHARE = 0.5  # of the pixels that are not transparent, in a mask with feathered edges
_MAX_STEPS = 8  # so many different values are a mask in steps, whatever their shares


@dataclass(frozen=True)
class AlphaBands:
    """The alpha bands of a file, by index (from 1): the validity ``mask``, and those that are ``data`` bands."""

    mask: int | None = None
    data: tuple[int, ...] = ()


def find_alpha_bands(source: rasterio.DatasetReader) -> AlphaBands:
    """The alpha bands of an open file.

    Only the last band can be a mask, and only if few of its values are neither transparent nor opaque; floats must be
    either. Raises RasterioError if the pixels cannot be read.
    """
    tagged = [index for index, interp in zip(source.indexes, source.colorinterp) if interp == ColorInterp.alpha]
    if not tagged:
        return AlphaBands()
    if tagged[-1] == source.count and _is_mask(source, tagged[-1]):
        return AlphaBands(tagged[-1], tuple(tagged[:-1]))
    return AlphaBands(None, tuple(tagged))


def alpha_notes(path: str, alpha: AlphaBands) -> list[str]:
    """Sentences for the user about the alpha bands of a file that are data."""
    return [
        f"The alpha band of '{path}' (band {index}) holds data, not a validity mask: it is treated as a data band. "
        "If it is a mask, give it the values 0 (missing) and 255 (valid) only."
        for index in alpha.data
    ]


def marks_missing(source: rasterio.DatasetReader, alpha: AlphaBands) -> list[bool]:
    """For each band of the file: whether a nodata value, a mask or an alpha band marks its missing pixels."""
    return [
        alpha.mask is not None or not (MaskFlags.all_valid in flags or (MaskFlags.alpha in flags and alpha.data))
        for flags in source.mask_flag_enums
    ]


def read_valid(
    source: rasterio.DatasetReader, indexes: Sequence[int], window: Window | None, alpha: AlphaBands
) -> NDArray[np.bool_]:
    """True for the pixels ``(band, row, column)`` that nodata, masks and the validity mask of a file do not exclude."""
    if not alpha.data:
        valid = source.read_masks(indexes, window=window) > 0
    else:
        shape = source.shape if window is None else (int(window.height), int(window.width))
        valid = np.ones((len(indexes), *shape), bool)
        marked = marks_missing(source, alpha)
        places = [place for place, index in enumerate(indexes) if marked[index - 1]]
        if places:
            valid[places] = source.read_masks([indexes[place] for place in places], window=window) > 0
    if alpha.mask is not None:  # GDAL's masks include it only in rasters of 2 and 4 bands
        valid &= source.read(alpha.mask, window=window) > 0
    return valid


def _is_mask(source: rasterio.DatasetReader, index: int) -> bool:
    dtype = np.dtype(source.dtypes[index - 1])
    counts: Counter[float] = Counter()
    rows = max(1, min(source.height, _STRIP_VALUES // source.width))
    tops = np.unique(np.linspace(0, source.height - rows, min(_STRIPS, -(-source.height // rows))).astype(int))
    for top in tops:
        values, numbers = np.unique(source.read(index, window=Window(0, top, source.width, rows)), return_counts=True)
        counts.update(dict(zip(np.nan_to_num(values).tolist(), numbers.tolist())))
    counts.pop(0, None)
    if len(counts) <= 1:
        return True
    if dtype.kind == "f":
        return False
    opaque = max(counts)
    if opaque not in (*_OPAQUE_VALUES, np.iinfo(dtype).max):
        return False
    return len(counts) <= _MAX_STEPS or counts[opaque] >= (1 - _MAX_INTERMEDIATE_SHARE) * sum(counts.values())
