"""A scene on a grid with smaller pixels: each pixel is repeated ``factor`` times along rows and columns.

It gives grid, metadata and missing pixels to the outputs of super-resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .scene import Scene

# ENVI items that describe the original grid.
_GEOLOCATION = "GEOLOCATION"
_ENVI_GRID_ITEMS = ("lines", "samples", "map_info", "x_start", "y_start", "pixel_size")


def upsampled_window(window: Window, factor: int) -> Window:
    """The window of the upsampled grid that covers the same area."""
    return Window(window.col_off * factor, window.row_off * factor, window.width * factor, window.height * factor)


class UpsampledScene(Scene):
    """An upsampled view of an open scene; closing the view does not close the scene."""

    def __init__(self, scene: Scene, factor: int) -> None:
        self.__dict__.update(scene.__dict__)
        self.grid = scene.grid.upsampled(factor)
        self.factor = factor
        self._original = scene

    def close(self) -> None:
        """Leave the original scene open."""

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray:
        """As `Scene.read`, with repeated pixels."""
        return self._repeat(lambda part: self._original.read(part, bands), window)

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """As `Scene.valid`, with repeated pixels."""
        return self._repeat(lambda part: self._original.valid(part, bands), window)

    def declared_valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """As `Scene.declared_valid`, with repeated pixels."""
        return self._repeat(lambda part: self._original.declared_valid(part, bands), window)

    def read_alpha(self, window: Window) -> NDArray | None:
        """As `Scene.read_alpha`, with repeated pixels."""
        return self._repeat(self._original.read_alpha, window) if self.has_alpha() else None

    def tags(self) -> dict[str, dict[str, str]]:
        """As `Scene.tags`, without items that describe the original grid; RPCs are part of the grid."""
        found = {name: items for name, items in super().tags().items() if name != "RPC"}
        if "ENVI" in found:
            found["ENVI"] = {key: value for key, value in found["ENVI"].items() if key.lower() not in _ENVI_GRID_ITEMS}
        if _GEOLOCATION in found:
            found[_GEOLOCATION] = self._geolocation(found[_GEOLOCATION])
        return found

    def _geolocation(self, items: dict[str, str]) -> dict[str, str]:
        """The items of a geolocation array: its offsets and steps count pixels of the raster."""
        in_centres = items.get("GEOREFERENCING_CONVENTION", "").upper() == "PIXEL_CENTER"
        shift = (self.factor - 1) / 2 if in_centres else 0.0
        found = dict(items)
        for axis in ("LINE", "PIXEL"):
            try:
                found[f"{axis}_OFFSET"] = f"{self.factor * float(items.get(f'{axis}_OFFSET', 0)) + shift:.15g}"
                found[f"{axis}_STEP"] = f"{self.factor * float(items.get(f'{axis}_STEP', 1)):.15g}"
            except ValueError:
                continue
        return found

    def _repeat(self, read: Callable, window: Window | None) -> NDArray:
        """The pixels of ``window`` from what ``read`` returns for the window of the original grid that covers it."""
        if window is None:
            window = Window(0, 0, self.grid.width, self.grid.height)
        top, left = int(window.row_off), int(window.col_off)
        bottom, right = top + int(window.height), left + int(window.width)
        f = self.factor
        part = Window(left // f, top // f, -(-right // f) - left // f, -(-bottom // f) - top // f)
        pixels = np.repeat(np.repeat(read(part), f, axis=-2), f, axis=-1)
        skip_rows, skip_columns = top % f, left % f
        return pixels[..., skip_rows : skip_rows + bottom - top, skip_columns : skip_columns + right - left]
