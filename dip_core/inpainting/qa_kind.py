"""Which layout a quality band has: by its name, else by its data type and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .qa_codes import BQA, FMASK, HLS_FMASK, PIXEL_QA, PYTHON_FMASK, QA_PIXEL, SCL, Layout

_MIN_SHARE_OF_LAND = 0.001  # of the observed pixels with code 0, so that 0 means land in Fmask, not fill
_NAMES = (
    (re.compile(r"qa[_-]?pixel", re.IGNORECASE), QA_PIXEL),
    (re.compile(r"pixel[_-]?qa", re.IGNORECASE), PIXEL_QA),
    (re.compile(r"(?<![a-z])bqa(?![a-z])", re.IGNORECASE), BQA),
    (re.compile(r"(?<![a-z])scl(?![a-z])", re.IGNORECASE), SCL),
    (re.compile(r"fmask", re.IGNORECASE), FMASK),
)
_HLS = re.compile(r"(?<![a-z])hls", re.IGNORECASE)


@dataclass(frozen=True)
class CodeCounts:
    """The different codes of a quality band in ascending order, without nodata, and its data type.

    ``share_of_zeros``: share of code 0 among the pixels that the scene observes.
    """

    codes: NDArray[np.int64]
    dtype: np.dtype
    share_of_zeros: float = 0.0


def layout_of(kind: str, names: Sequence[str], found: CodeCounts) -> tuple[Layout | None, str]:
    """The layout of a band, and what it was decided by, in words; None if it cannot be told.

    ``kind``: as in QA_KIND. ``names``: of the file and the band.
    """
    if kind == "landsat_c2":
        return QA_PIXEL, "QA_KIND"
    if kind == "sentinel2_scl":
        return SCL, "QA_KIND"
    if kind == "landsat_c1":
        by_name = layout_by_name(names)
        if by_name in (BQA, PIXEL_QA):
            return by_name, "QA_KIND and its name"
        fits = not fits_bqa(found) and fits_pixel_qa(found)
        return (PIXEL_QA if fits else BQA), "QA_KIND and its values"
    if kind == "fmask":
        return _fmask_variant(names, found), "QA_KIND and its values"
    by_name = layout_by_name(names)
    if by_name is FMASK:
        return _fmask_variant(names, found), "its name and values"
    return (by_name, "its name") if by_name else (layout_by_values(found), "its values")


def layout_by_name(names: Sequence[str]) -> Layout | None:
    """The layout that a name says, None if none does."""
    return next((layout for pattern, layout in _NAMES if any(pattern.search(name) for name in names)), None)


def layout_by_values(found: CodeCounts) -> Layout | None:
    """The only layout that the codes fit, None if none or several do."""
    fitting = [layout for layout, fits in _FITS if fits(found)]
    return fitting[0] if len(fitting) == 1 else None


def fits_qa_pixel(found: CodeCounts) -> bool:
    """Every pixel that is not fill has a confidence of cloud, shadow and snow (and cirrus, or no bit of it)."""
    codes = _not_fill(found)
    cloud, shadow, snow, cirrus = (_pair(codes, first) for first in (8, 10, 12, 14))
    is_confidence = (cloud > 0) & _is_low_or_high(shadow) & _is_low_or_high(snow) & (cirrus != 2)
    return bool(codes.size) and bool(is_confidence.all()) and codes.max() < 1 << 16


def fits_bqa(found: CodeCounts) -> bool:
    """Every pixel that is not fill has a confidence of cloud, shadow and snow (and cirrus, or no bit of it)."""
    codes = _not_fill(found)
    cloud, shadow, snow, cirrus = (_pair(codes, first) for first in (5, 7, 9, 11))
    is_confidence = (cloud > 0) & _is_low_or_high(shadow) & _is_low_or_high(snow) & (cirrus != 2)
    return bool(codes.size) and bool(is_confidence.all()) and codes.max() < 1 << 13


def fits_pixel_qa(found: CodeCounts) -> bool:
    """Every pixel that is not fill is clear, water, shadow, snow or cloud, and has a confidence of cloud."""
    codes = _not_fill(found)
    has_class = (codes & 0b111110) > 0
    return (
        bool(codes.size)
        and bool((has_class & (_pair(codes, 6) > 0)).all())
        and codes.max() < 1 << 11
        and (found.dtype.itemsize > 1)
    )


def _fits_scl(found: CodeCounts) -> bool:
    """0 to 11, with a class that few other bands of classes reach."""
    codes = found.codes
    return len(codes) > 3 and codes.min() >= 0 and 6 <= codes.max() <= 11


def _fits_fmask(found: CodeCounts) -> bool:
    """0 to 4 and 255."""
    codes = found.codes[found.codes != 255]
    return len(codes) > 2 and len(codes) < len(found.codes) and codes.min() >= 0 and codes.max() <= 4


def _fits_hls(found: CodeCounts) -> bool:
    """Bytes with a level of aerosol, without the unused bit 0; snow and water exclude each other."""
    codes = found.codes[found.codes != 255]
    if found.dtype.itemsize > 1 or len(codes) < 3 or codes.min() < 0 or codes.max() < 64:
        return False
    return bool(((codes & 1) == 0).all()) and bool(((codes & 0b110000) != 0b110000).all())


_FITS = (
    (QA_PIXEL, fits_qa_pixel),
    (BQA, fits_bqa),
    (PIXEL_QA, lambda found: fits_pixel_qa(found) and not fits_bqa(found)),
    (SCL, _fits_scl),
    (FMASK, _fits_fmask),
    (HLS_FMASK, _fits_hls),
)


def _fmask_variant(names: Sequence[str], found: CodeCounts) -> Layout:
    """Fmask, python-fmask or HLS: by the name, else by the codes that only one of them has."""
    codes = found.codes[found.codes != 255]
    if any(_HLS.search(name) for name in names) or (codes.size and codes.max() > 5):
        return HLS_FMASK
    if 5 in codes:
        return PYTHON_FMASK
    has_land = found.share_of_zeros > _MIN_SHARE_OF_LAND
    return FMASK if has_land or codes.size < len(found.codes) else PYTHON_FMASK


def _not_fill(found: CodeCounts) -> NDArray[np.int64]:
    return found.codes[(found.codes > 1)]


def _pair(codes: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    return (codes >> first) & 3


def _is_low_or_high(confidence: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (confidence == 1) | (confidence == 3)
