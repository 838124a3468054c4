"""A scene seen on a grid with smaller pixels: each pixel repeated ``factor`` times along rows and columns.

A super-resolved raster is written like this one: it has its grid, its metadata, and its missing pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .scene import Scene


def upsampled_window(window: Window, factor: int) -> Window:
    """The same place on the finer grid."""
    return Window(window.col_off * factor, window.row_off * factor, window.width * factor, window.height * factor)


class UpsampledScene(Scene):
    """A view of an open scene, which stays its owner's to close."""

    def __init__(self, scene: Scene, factor: int) -> None:
        self.__dict__.update(scene.__dict__)
        self.grid = scene.grid.upsampled(factor)
        self.factor = factor
        self._coarse = scene

    def __exit__(self, *_: object) -> None:
        """The scene itself stays open."""

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray:
        """As `Scene.read`, repeated."""
        return self._repeat(lambda part: self._coarse.read(part, bands), window)

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """As `Scene.valid`, repeated."""
        return self._repeat(lambda part: self._coarse.valid(part, bands), window)

    def read_alpha(self, window: Window) -> NDArray | None:
        """As `Scene.read_alpha`, repeated."""
        return None if not self.has_alpha() else self._repeat(self._coarse.read_alpha, window)

    def tags(self) -> dict[str, dict[str, str]]:
        """As `Scene.tags`, less what is said there of the old grid; RPCs are the grid's."""
        found = {name: items for name, items in super().tags().items() if name != "RPC"}
        old = ("lines", "samples", "map_info", "x_start", "y_start", "pixel_size")
        if "ENVI" in found:
            found["ENVI"] = {key: value for key, value in found["ENVI"].items() if key.lower() not in old}
        return found

    def _repeat(self, read: Callable, window: Window | None) -> NDArray:
        if window is None:
            window = Window(0, 0, self.grid.width, self.grid.height)
        top, left = int(window.row_off), int(window.col_off)
        bottom, right = top + int(window.height), left + int(window.width)
        f = self.factor
        part = Window(left // f, top // f, -(-right // f) - left // f, -(-bottom // f) - top // f)
        pixels = np.repeat(np.repeat(read(part), f, axis=-2), f, axis=-1)
        skip_rows, skip_columns = top % f, left % f
        return pixels[..., skip_rows : skip_rows + bottom - top, skip_columns : skip_columns + right - left]
