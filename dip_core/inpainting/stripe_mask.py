"""Stripe masks: 0 clean, 2 additive stripe, other values dead; what is nodata in the mask is clean.

A mask that marks most of the raster is inverted if what it does not mark are thin lines, or looks dead in the scene.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Mask
from ..errors import BandCountMismatch, InvalidJob
from ..raster.mask_raster import open_masks
from ..raster.scene import Scene, join_names
from ..runtime.context import Context
from ..stripes.found_stripes import OFFSET
from .footprint import footprint
from .mask_codes import refuse_codes_as_stripes
from .mask_values import NOTHING, OTHER, TWO, ZERO, MaskValues, read_mask_values

_MOSTLY = 0.5
_MAX_LINE_WIDTH = 6  # pixels; of the lines of an inverted mask
_MAX_LINE_SHARE = 0.25  # of the raster, of the lines of an inverted mask
_MIN_DEAD_DIFFERENCE = 0.3
_NEVER_INVERTED = (2.0, 3.0)  # a mask with one of these values says more than marked and unmarked
_VALUES = "In a stripe mask, 0 is clean, 2 an additive stripe, and any other value dead"


def read_stripe_mask(path: str, scene: Scene, valid: Mask, context: Context) -> NDArray[np.uint8]:
    """The mask ``(band, row, column)``: 0 clean, 1 dead, OFFSET additive stripe.

    ``valid``: the scene's valid pixels. Reports to ``context`` a mask that marks nothing, is inverted, or marks most
    pixels of a band. Raises GridMismatch, BandCountMismatch, UnreadableRaster.
    """
    with ExitStack() as stack:
        raster = open_masks([path], scene.count, stack)[0]
        raster.require_grid(scene.grid, scene.paths[0])
        if len(raster.indexes) not in (1, scene.count):
            raise BandCountMismatch(found=len(raster.indexes), wanted=scene.count)
        values = read_mask_values([(raster, index) for index in raster.indexes], scene)
        refuse_codes_as_stripes(values, [raster], _VALUES, context)
    dead, offset = values.classes == OTHER, values.classes == TWO
    inverted = _inverted(scene, values, valid)
    if inverted is not None:
        dead, offset = values.classes == inverted, np.zeros_like(offset)
        place = "0" if inverted == ZERO else "nodata"
        context.warn(
            f"The stripe mask seems to be inverted: the pixels that are {place} in it "
            f"({100 * values.share(inverted):.2g} % of the mask) are taken as dead, and not those of value "
            f"{values.listed()}. If it is not inverted, give dead pixels the value 3."
        )
    elif not (dead.any() or offset.any()):
        nodata = " or nodata" if values.counts[NOTHING] else ""
        context.warn(f"The stripe mask marks no pixel: all its pixels are 0{nodata}. {_VALUES}.")
    else:
        _warn_of_majority(scene, dead | offset, context)
    marked = np.where(dead, np.uint8(1), np.where(offset, np.uint8(OFFSET), np.uint8(0)))
    return np.broadcast_to(marked, scene.shape)


def require_unmarked_pixels(path: str, scene: Scene, valid: Mask, target: Mask) -> None:
    """Raise InvalidJob if a band with valid pixels has none outside the pixels to inpaint ``(band, row, column)``."""
    lost = [
        scene.names[number]
        for number in range(scene.count)
        if target[number].any() and not (valid[number] & ~target[number]).any()
    ]
    if lost:
        raise InvalidJob(
            reason=f"The stripe mask '{path}' marks all observed pixels of {join_names(lost)}, so nothing is left to "
            f"repair from. {_VALUES}: check whether the mask is inverted or has another meaning."
        )


def _inverted(scene: Scene, values: MaskValues, valid: Mask) -> int | None:
    """The class that marks dead pixels, if the mask is inverted; else None."""
    marked = values.share(TWO, OTHER)
    complement = ZERO if values.counts[ZERO] else NOTHING
    if not values.counts[complement]:
        return None
    if not marked:  # only 0 and nodata
        return NOTHING if complement == ZERO and _is_thin(values.classes == NOTHING) else None
    nonzero = [value for value in values.distinct if value != 0]
    if marked <= _MOSTLY or len(nonzero) != 1 or nonzero[0] in _NEVER_INVERTED:
        return None
    difference = _dead_share_difference(scene, values, complement, valid)
    if abs(difference) > _MIN_DEAD_DIFFERENCE:
        return complement if difference > 0 else None
    return complement if _is_thin(values.classes == complement) else None


def _is_thin(lines: Mask) -> bool:
    """Whether a mask ``(band, row, column)`` consists of thin lines that cover a small part of the raster."""
    if not lines.any() or lines.mean() > _MAX_LINE_SHARE:
        return False
    size = _MAX_LINE_WIDTH + 1
    return not any(ndimage.minimum_filter(band.view(np.uint8), size, mode="constant").any() for band in lines)


def _dead_share_difference(scene: Scene, values: MaskValues, complement: int, valid: Mask) -> float:
    """How much more of the unmarked pixels than of the marked ones look dead in the scene, -1 to 1.

    Dead pixels are missing, 0, or equal to the next pixel in the column or row. Only inside the footprint.
    """
    inside = footprint(np.any(valid, axis=0))
    dead, total = np.zeros(2), np.zeros(2)
    for window in scene.blocks():
        rows = window.toslices()[0]
        pixels = scene.read(window)
        looks_dead = ~valid[:, rows] | (pixels == 0)
        for axis in (1, 2):
            looks_dead |= pixels == np.roll(pixels, 1, axis)
        classes = np.broadcast_to(values.classes[:, rows], pixels.shape)
        for place, group in enumerate((classes == complement, (classes == TWO) | (classes == OTHER))):
            chosen = group & inside[rows]
            dead[place] += np.count_nonzero(looks_dead & chosen)
            total[place] += np.count_nonzero(chosen)
    shares = dead / np.maximum(total, 1)
    return float(shares[0] - shares[1])


def _warn_of_majority(scene: Scene, marked: Mask, context: Context) -> None:
    shares = marked.mean(axis=(1, 2))
    most = np.flatnonzero(shares > _MOSTLY)
    if most.size:
        bands = join_names([scene.names[number] for number in most]) if len(shares) > 1 else "all bands"
        context.warn(
            f"The stripe mask marks most pixels of {bands} ({100 * shares[most].max():.0f} %), which are "
            f"replaced. {_VALUES}."
        )
