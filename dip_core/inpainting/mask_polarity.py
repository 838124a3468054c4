"""The polarity of gap masks: which class of a mask's pixels are the gaps.

If the mask has both 0 and other values, one of them marks the gaps. If it has only one of them beside nodata, the gaps
are the pixels with this value, or those that are nodata in the mask.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..raster.scene import Scene
from ..runtime.context import Context
from .footprint import footprint
from .mask_values import NOTHING, OTHER, TWO, ZERO, MaskValues

_MIN_SHARE_DIFFERENCE = 0.05
_MOSTLY = 0.5
_MAX_SAMPLED_PIXELS = 4_000_000  # of the scene, to find out which side is fill
_ZERO, _NOT_ZERO, _NODATA = "0 = missing", "not 0 = missing", "nodata = missing"
_CLASSES = {_ZERO: (ZERO,), _NOT_ZERO: (TWO, OTHER), _NODATA: (NOTHING,)}


def find_gaps(scene: Scene, values: MaskValues, polarity: str, valid: Mask, context: Context) -> tuple[Mask, str]:
    """The gap pixels ``(1 or band, row, column)`` of a mask, and its polarity in words.

    ``polarity``: ``auto``, ``zero_is_gap`` or ``nonzero_is_gap``. ``valid``: the scene's valid pixels ``(band, row,
    column)``. Reports guesses, and a mask that marks nothing, to ``context``.
    """
    meaning = _meaning(scene, values, polarity, valid)
    gaps = np.isin(values.classes, _CLASSES[meaning]) if meaning else np.zeros(values.classes.shape, bool)
    if meaning is None or not gaps.any():
        context.warn(f"The gap mask marks no pixel as missing: {_why_nothing(values)}.")
        return gaps, meaning or "marks nothing"
    extent = f"{np.count_nonzero(gaps)} pixels, {100 * gaps.mean():.2g} % of the mask"
    if meaning == _NODATA:
        context.warn(
            f"The gap mask has no value but {values.listed()} beside nodata: its nodata pixels are taken as the gaps "
            f"({extent}). If they are not, {_overrule(values)}."
        )
    elif polarity == "auto" and len(_present(values)) == 1:
        context.warn(
            f"The gap mask has no value but {values.listed()} beside nodata: the pixels with it are taken as the gaps "
            f"({extent}). If the nodata pixels are the gaps, set MASK_POLARITY to "
            f"{'nonzero_is_gap' if meaning == _ZERO else 'zero_is_gap'}."
        )
    return gaps, meaning


def _present(values: MaskValues) -> list[str]:
    """The meanings whose value occurs in the mask, without nodata."""
    return [meaning for meaning in (_ZERO, _NOT_ZERO) if values.share(*_CLASSES[meaning])]


def _meaning(scene: Scene, values: MaskValues, polarity: str, valid: Mask) -> str | None:
    """Which class marks the gaps; None if the mask marks nothing."""
    present = _present(values)
    chosen = {"zero_is_gap": _ZERO, "nonzero_is_gap": _NOT_ZERO}.get(polarity)
    if chosen in present or not present:
        return chosen
    has_nodata = values.counts[NOTHING] > 0
    if chosen == _ZERO:
        return _NODATA if has_nodata else _ZERO
    if chosen == _NOT_ZERO:
        # Without any gap in it, a mask may be nodata only where the scene has no data either.
        shares = _fill_shares(scene, values, valid) if has_nodata else {}
        return _NODATA if shares.get(_NODATA, (0.0, 0))[0] > _MOSTLY else _NOT_ZERO
    alternatives = [*present, *([_NODATA] if has_nodata and len(present) == 1 else [])]
    return _detect(alternatives, _fill_shares(scene, values, valid)) if len(alternatives) == 2 else None


def _detect(alternatives: list[str], shares: dict[str, tuple[float, int]]) -> str:
    """The class that is mostly fill in the scene, if the other one is less so; else the smaller one.

    SLC-off gaps are at most 42 % of a scene.
    """
    (first, first_size), (second, second_size) = (shares[meaning] for meaning in alternatives)
    if max(first, second) > _MOSTLY and abs(first - second) > _MIN_SHARE_DIFFERENCE:
        return alternatives[0] if first > second else alternatives[1]
    return alternatives[0] if first_size <= second_size else alternatives[1]


def _fill_shares(scene: Scene, values: MaskValues, valid: Mask) -> dict[str, tuple[float, int]]:
    """By meaning: the share of its pixels that are fill (missing or 0) in the scene, and their number.

    From a sample of the pixels, and only inside the scene's footprint: the exterior is always fill.
    """
    step = max(1, round(math.sqrt(scene.grid.width * scene.grid.height / _MAX_SAMPLED_PIXELS)))

    def read_fill(window: Window) -> Mask:
        return ~valid[:, window.toslices()[0]] | (scene.read(window) == 0)

    is_fill = scene.read_subsampled(read_fill, None, step)
    holds_data: Mask = ~np.all(is_fill, axis=0)
    inside = np.ones(holds_data.shape, bool) if holds_data.all() else footprint(holds_data)
    fill, total = np.zeros(4, np.int64), np.zeros(4, np.int64)
    for number in range(scene.count):
        classes = values.classes[number if len(values.classes) > 1 else 0, ::step, ::step]
        fill += _count(classes[inside & is_fill[number]])
        total += _count(classes[inside])
    return {
        meaning: (
            float(fill[list(numbers)].sum() / max(total[list(numbers)].sum(), 1)),
            int(total[list(numbers)].sum()),
        )
        for meaning, numbers in _CLASSES.items()
    }


def _count(classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.bincount(classes.ravel(), minlength=4)


def _why_nothing(values: MaskValues) -> str:
    if not values.distinct:
        return "all its pixels are nodata"
    nodata = ", or are nodata, which marks nothing" if values.counts[NOTHING] else ""
    return f"all its pixels are {values.listed()}{nodata}"


def _overrule(values: MaskValues) -> str:
    if values.counts[ZERO]:
        return "set MASK_POLARITY to zero_is_gap if 0 marks gaps, else leave GAP_MASK empty"
    return "set MASK_POLARITY to nonzero_is_gap"
