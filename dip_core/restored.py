"""The rasters of a *restoration*: OUTPUT, and where they are wanted UNCERTAINTY and FILLED, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .job import Outputs
from .scene import Scene
from .writer import RasterWriter


def restoration_writers(
    files: ExitStack, outputs: Outputs, like: Scene, tags: dict[str, str], done: str
) -> dict[str, RasterWriter]:
    """Writers of the rasters that are wanted, by output name, open until ``files`` close.

    ``like`` gives grid, bands and metadata; ``done``: what FILLED marks, in a word.
    """
    found = {"output": files.enter_context(RasterWriter(outputs.output or "", like, tags=tags))}
    if outputs.uncertainty:
        names = [f"{name}, one standard deviation" for name in like.names]
        nan = float("nan")
        found["uncertainty"] = files.enter_context(
            RasterWriter(
                outputs.uncertainty, like, dtype="float32", nodata=nan, descriptions=names, tags=tags, kind="deviation"
            )
        )
    if outputs.filled:
        names = [f"{name}, 1 = {done}" for name in like.names]
        found["filled"] = files.enter_context(
            RasterWriter(outputs.filled, like, dtype="uint8", nodata=None, descriptions=names, tags=tags, kind="mask")
        )
    return found


def write_restored(
    writers: Mapping[str, RasterWriter],
    window: Window,
    pixels: NDArray,
    bands: Sequence[int],
    fresh: NDArray,
    good: NDArray[np.bool_],
    deviation: NDArray[np.float32],
) -> None:
    """Write a window of OUTPUT and, where there are writers for them, of UNCERTAINTY and FILLED.

    ``pixels``: those of all bands as they are stored, in which ``fresh`` ones of some ``bands`` are put where ``good``.
    """
    bands = list(bands)
    pixels[bands] = np.where(good, fresh, pixels[bands])
    writers["output"].write(pixels, window)
    if "uncertainty" in writers:
        whole = np.full(pixels.shape, np.nan, np.float32)
        whole[bands] = np.where(good, deviation, np.nan)
        writers["uncertainty"].write(whole, window)
    if "filled" in writers:
        mask = np.zeros(pixels.shape, np.uint8)
        mask[bands] = good
        writers["filled"].write(mask, window)
