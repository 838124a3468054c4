"""Pictures of a scene before and after its restoration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..raster import metadata
from ..raster.scene import Scene
from . import pictures
from .page import Figure, Gallery


@dataclass(frozen=True)
class View:
    """The same pixels before and after, ``(band, row, column)``, with the pixels that held data before."""

    before: NDArray
    after: NDArray
    observed: Mask


def read_view(scene: Scene, written: str, bands: Sequence[int], window: Window | None = None, step: int = 1) -> View:
    """Every ``step``-th pixel of some bands of the scene and of the file ``written``, on the same grid."""
    chosen = list(bands)
    with rasterio.open(written) as file, np.errstate(over="ignore"):  # a double's nodata value, which is not drawn
        numbers = [number + 1 for number in chosen]
        before = scene.read_subsampled(lambda part: scene.read(part, chosen), window, step).astype(np.float32)
        after = scene.read_subsampled(lambda part: file.read(numbers, window=part), window, step).astype(np.float32)
    return View(before, after, scene.read_subsampled(lambda part: scene.valid(part, chosen), window, step))


def before_after(
    view: View, stretch: pictures.Stretch, what: str, exterior: Mask | None = None, gaps: bool = False
) -> Gallery:
    """Two pictures with one stretch. ``exterior``: transparent pixels; by default, those that no band observed.

    ``gaps``: paint the pixels that are missing before.
    """
    outside = ~np.asarray(view.observed.any(axis=0)) if exterior is None else exterior
    before = pictures.picture(view.before, stretch, view.observed if gaps else None, outside)
    after = pictures.picture(view.after, stretch, exterior=outside)
    note = " Gaps are magenta." if gaps else ""
    return Gallery([Figure(before, f"Before: {what}.{note}"), Figure(after, f"After: {what}.")])


def composite_of(scene: Scene, bands: Sequence[int]) -> list[int]:
    """Those of ``bands`` that make a colour composite."""
    info = metadata.read_spectral_info(scene)
    wavelengths = [info[band].wavelength for band in bands]
    nanometres = [1000.0 * wavelength for wavelength in wavelengths if wavelength is not None]
    chosen = pictures.composite_bands(len(bands), nanometres if len(nanometres) == len(bands) else None)
    return [bands[place] for place in chosen]


def central_window(rows: int, columns: int, side: int) -> Window:
    """The window in the middle of a scene, with at most ``side`` pixels per side."""
    height, width = min(side, rows), min(side, columns)
    return Window((columns - width) // 2, (rows - height) // 2, width, height)
