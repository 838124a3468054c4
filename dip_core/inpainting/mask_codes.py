"""Recognises a quality band that was given as a mask: it holds codes, of which no single value marks missing pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InvalidJob
from ..raster.mask_raster import MaskRaster
from ..runtime.context import Context
from .mask_values import ZERO, MaskValues
from .qa_codes import BQA, FMASK, PIXEL_QA, QA_PIXEL, SCL, Layout
from .qa_kind import CodeCounts, layout_by_name, layout_by_values

_MANY_VALUES = 4
_MANY_STRIPE_VALUES = 6  # 0, 1, 2, 3 and one more are common
_BIT_LAYOUTS = (QA_PIXEL, BQA, PIXEL_QA)


def refuse_codes_as_gaps(values: MaskValues, rasters: Sequence[MaskRaster], is_certain: bool, context: Context) -> None:
    """Raise InvalidJob for a gap mask that holds quality codes; a warning if that is doubtful.

    ``is_certain``: the user has set the polarity, which makes the values of any raster a mask.
    """
    layout = _recognise(values, rasters, (*_BIT_LAYOUTS, SCL, FMASK))
    if layout is None or is_certain:
        if len(values.distinct) >= _MANY_VALUES and _are_whole(values):
            context.warn(
                f"The gap mask holds {_number(values)} different values ({values.listed()}), and all but 0 have the "
                "same meaning. If they are the codes of a quality band, give it as QA instead."
            )
        return
    raise InvalidJob(
        reason=f"The gap mask '{rasters[0].path}' holds codes ({values.listed()}), as {layout.title} has, of which no "
        "single value marks gaps: give it as QA. If it is a mask, set MASK_POLARITY."
    )


def refuse_codes_as_stripes(values: MaskValues, rasters: Sequence[MaskRaster], meaning: str, context: Context) -> None:
    """Raise InvalidJob for a stripe mask that holds quality codes; a warning if that is doubtful.

    ``meaning``: of the values of a stripe mask, in words.
    """
    layout = _recognise(values, rasters, _BIT_LAYOUTS)
    if layout is not None:
        raise InvalidJob(
            reason=f"The stripe mask '{rasters[0].path}' holds codes ({values.listed()}), as {layout.title} has. "
            f"{meaning}: make such a mask, or leave MASK empty to detect stripes."
        )
    if len(values.distinct) >= _MANY_STRIPE_VALUES and _are_whole(values):
        context.warn(
            f"The stripe mask holds {_number(values)} different values ({values.listed()}): perhaps it holds codes. "
            f"{meaning}."
        )


def _recognise(values: MaskValues, rasters: Sequence[MaskRaster], layouts: Sequence[Layout]) -> Layout | None:
    """The layout that a mask's names or values have; by values only one of ``layouts``."""
    if not _are_whole(values):
        return None
    codes = np.array(values.distinct, np.int64)
    names = [text for raster in rasters for texts in raster.texts for text in texts]
    by_name = layout_by_name(names)
    if by_name is not None and len(codes) > 2:
        return by_name
    if np.count_nonzero(codes > 1) < 2:
        return None
    by_values = layout_by_values(CodeCounts(codes, rasters[0].dtype))
    if by_values is SCL and values.share(ZERO) > 0.5:  # numbered gaps
        return None
    return by_values if by_values in layouts else None


def _are_whole(values: MaskValues) -> bool:
    return all(value == int(value) for value in values.distinct) and bool(values.distinct)


def _number(values: MaskValues) -> str:
    return f"{len(values.distinct)}{' or more' if values.is_full else ''}"
