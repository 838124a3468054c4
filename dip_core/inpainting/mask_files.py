"""Gap mask files: reads them, assigns their bands to those of the scene, and finds the pixels that they mark."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from ..arrays import Mask
from ..raster.mask_raster import open_masks
from ..raster.scene import Scene
from ..runtime.context import Context
from .mask_codes import refuse_codes_as_gaps
from .mask_names import assign_masks
from .mask_polarity import find_gaps
from .mask_values import read_mask_values


def read_gap_masks(
    scene: Scene, paths: Sequence[str], polarity: str, valid: Mask, context: Context
) -> tuple[Mask, str]:
    """The pixels that the masks mark as gaps, ``(band, row, column)``, and the polarity in words.

    ``paths``: one mask for all bands, or masks of the bands, assigned by names or else by order (`assign_masks`).
    ``polarity``: ``auto``, ``zero_is_gap`` or ``nonzero_is_gap``. ``valid``: the scene's valid pixels ``(band, row,
    column)``. Raises GridMismatch, BandCountMismatch, InvalidJob, UnreadableRaster.
    """
    with ExitStack() as stack:
        rasters = open_masks(paths, scene.count, stack)
        bands = [(raster, index) for raster in rasters for index in raster.indexes]
        order = assign_masks(scene, [text for raster in rasters for text in raster.texts], context)
        used = [bands[number] for number in order]
        rasters = list(dict.fromkeys(raster for raster, _ in used))
        for raster in rasters:
            raster.require_grid(scene.grid, scene.paths[0])
        values = read_mask_values(used, scene, nodata_zero_is_0=polarity == "zero_is_gap")
        refuse_codes_as_gaps(values, rasters, polarity != "auto", context)
    gaps, meaning = find_gaps(scene, values, polarity, valid, context)
    return np.broadcast_to(gaps, scene.shape), meaning
