"""Opening the scene of a job: decides which pixels are missing and reports every assumption about the data.

All tasks open their rasters here, so that they agree about what is data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..runtime.context import Context
from .categories import mark_categories
from .fill_value import find_fill_pixels
from .frame import find_frame
from .missing_values import can_hold
from .scene import Scene
from .untagged_codes import UntaggedCodes, find_untagged_codes

_OVERRULE = "give NODATA nan"


def open_scene(
    paths: Sequence[str], nodata: Sequence[float] = (), context: Context | None = None, *, keep_damage: bool = False
) -> Scene:
    """Open the bands of one or more rasters; the caller closes the scene.

    ``nodata``: values that mark missing pixels in all bands, besides those that the metadata name. Without them, codes
    that the metadata do not name are looked for (see `untagged_codes`); in a raster without any mark, the value 0 in
    all bands is one (see `fill_value`). ``keep_damage``: dead lines and scattered impulses are data, because the task
    repairs them. All assumptions are reported to ``context`` as warnings. Raises UnreadableRaster and GridMismatch.
    """
    context = context or Context()
    scene = Scene(paths)
    try:
        if nodata:
            _declare(scene, nodata, context)
        mark_categories(scene, context)
        if not nodata:
            _guess(scene, context, keep_damage)
        for text in scene.notes:
            context.warn(text)
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


def _guess(scene: Scene, context: Context, keep_damage: bool) -> None:
    """Mark values as missing that only missing pixels can have, and report them."""
    found = find_untagged_codes(scene, keep_damage=keep_damage)
    scene.missing_codes = found.codes
    if found.shares:
        context.warn(_describe_codes(found))
    if found.doubtful:
        context.warn(_describe_doubtful(found))
    # What a code in all bands marks is missing, so 0 is a dark pixel.
    if found.marked or found.in_all_bands:
        return
    if found.zero and not scene.has_declared_marker():
        filled = find_fill_pixels(scene, 0, connected=not keep_damage)
        if filled is not None:
            scene.fill_value, scene.fill_pixels = 0.0, filled
            context.warn(
                "The raster has no nodata value: 0 in all bands is taken as missing "
                f"({_percent(filled.share())} of the values). If 0 is data, {_OVERRULE}."
            )
            return
    if found.frame:
        filled = find_frame(scene, found.frame)
        if filled is not None:
            scene.fill_value, scene.fill_pixels = found.frame, filled
            context.warn(
                f"The area at the border with the value {found.frame:.10g} in all bands is taken as missing "
                f"({_percent(filled.share())} of the values). If it is data, {_OVERRULE}."
            )


def _describe_codes(found: UntaggedCodes) -> str:
    listed = ", ".join(f"{value:.10g} ({_percent(share)})" for value, share in sorted(found.shares.items()))
    return (
        f"Values that the raster does not declare as nodata are taken as missing, because they repeat far from all "
        f"others: {listed} of the values. If they are data, {_OVERRULE}; otherwise declare them or give them as NODATA."
    )


def _describe_doubtful(found: UntaggedCodes) -> str:
    listed = ", ".join(f"{value:.10g} ({_percent(share)})" for value, share in sorted(found.doubtful.items()))
    return (
        f"Values that may be saturated or missing are taken as data: {listed} of a band. If they mark missing pixels, "
        "give them as NODATA."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
