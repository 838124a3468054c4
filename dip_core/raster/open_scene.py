"""Opening the scene of a job: decides which pixels are missing and reports every assumption about the data.

All tasks open their rasters here, so that they agree about what is data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..runtime.context import Context
from .categories import mark_categories
from .missing_values import can_hold
from .scene import Scene


def open_scene(paths: Sequence[str], nodata: Sequence[float] = (), context: Context | None = None) -> Scene:
    """Open the bands of one or more rasters; the caller closes the scene.

    ``nodata``: values that mark missing pixels in all bands, besides those that the metadata name. Assumptions are
    reported to ``context`` as warnings. Raises UnreadableRaster and GridMismatch.
    """
    context = context or Context()
    scene = Scene(paths)
    try:
        if nodata:
            _declare(scene, nodata, context)
        for text in scene.notes:
            context.warn(text)
        mark_categories(scene, context)
    except BaseException:
        scene.close()
        raise
    return scene


def _declare(scene: Scene, nodata: Sequence[float], context: Context) -> None:
    """Mark the user's nodata values as missing."""
    scene.missing_codes = {number: tuple(nodata) for number in range(scene.count)}
    for value in nodata:
        # NaN is always missing. As the only value it says that no other value is.
        if not math.isnan(value) and not can_hold(scene.dtype, value):
            context.info(f"No pixel of type {scene.dtype} can have the NODATA value {value:g}: it has no effect.")
