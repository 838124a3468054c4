"""The *guide*: a raster of another date or sensor, resampled to the scene's grid.

A guide may have another grid, CRS and number of bands, and missing pixels. It is warped window by window with bilinear
resampling (rasterio's WarpedVRT); missing pixels are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform
from rasterio.windows import Window

from ..arrays import Cube
from ..errors import GridMismatch, UnreadableRaster
from .alpha import AlphaBands, alpha_notes, find_alpha_bands, marks_missing, read_valid
from .file_view import open_with_codes, open_without_alpha_tags
from .grid import grid_of
from .scene import Scene
from .source import RASTER_ERRORS, open_raster, short_message

_NO_CRS = "it cannot be warped, because one of them has no CRS, and its size is not {0.width} x {0.height} pixels"


class Guide:
    """An open guide; a context manager that closes it.

    ``codes``: undeclared values that mark missing pixels, by band index (from 1). ``coverage``: share of the scene's
    pixels for which the guide has data. ``pixel_ratio``: side of a guide pixel, in pixels of the scene. Raises
    UnreadableRaster, and GridMismatch if the guide has another grid and cannot be warped because it or the scene has no
    CRS.
    """

    def __init__(self, path: str, scene: Scene, codes: Mapping[int, Sequence[float]] | None = None) -> None:
        self.path = path
        self._stack = ExitStack()
        source = self._stack.enter_context(open_raster(path))
        self.notes: list[str] = []
        try:
            self._alpha = find_alpha_bands(source)
            if self._alpha.data:
                self.notes = alpha_notes(path, self._alpha)
                source = self._stack.enter_context(open_without_alpha_tags(source))
                self._alpha = AlphaBands(self._alpha.mask)
            if self._alpha.mask is None and MaskFlags.per_dataset not in source.mask_flag_enums[0]:
                source = self._stack.enter_context(open_with_codes(source, codes)) if codes else source
            self._bands = [index for index in source.indexes if index != self._alpha.mask]
            self._has_missing_marker = marks_missing(source, self._alpha)[0]
            self._raster = source
            self.pixel_ratio = 1.0
            if scene.grid.difference(grid_of(source)):
                self.pixel_ratio = _pixel_ratio(source, scene)
                self._raster = self._stack.enter_context(_warped(source, scene, path))
            self._mean, self._deviation, self.coverage = self._measure(scene)
        except RASTER_ERRORS as error:
            self._stack.close()
            raise UnreadableRaster(path=path, reason=short_message(error)) from error
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Guide:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, window: Window | None = None) -> Cube:
        """Guide bands ``(guide band, row, column)``, standardised over the scene; NaN for missing pixels."""
        values, valid = self._read(window)
        scaled = (values - self._mean[:, None, None]) / self._deviation[:, None, None]
        return np.where(valid, scaled, np.nan).astype(np.float32)

    def _read(self, window: Window | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        try:
            values = self._raster.read(self._bands, window=window).astype(np.float64)
            valid = read_valid(self._raster, self._bands, window, self._alpha)
        except RASTER_ERRORS as error:
            raise UnreadableRaster(path=self.path, reason=short_message(error)) from error
        if not self._has_missing_marker:
            valid &= (values != 0).any(axis=0)  # 0 in all bands marks missing pixels, as in a scene
        valid &= np.isfinite(values)
        return values, valid

    def _measure(self, scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Mean and standard deviation of each guide band over the scene, and the share of the scene it covers."""
        count, total, squares = (np.zeros(len(self._bands)) for _ in range(3))
        for window in scene.blocks(bands=len(self._bands)):
            values, valid = self._read(window)
            kept = np.where(valid, values, 0.0)
            count += valid.sum(axis=(1, 2))
            total += kept.sum(axis=(1, 2))
            squares += np.square(kept).sum(axis=(1, 2))
        number = np.maximum(count, 1.0)
        variance = np.maximum(squares / number - np.square(total / number), 0.0)
        deviation = np.where(variance > 0, np.sqrt(variance), 1.0)
        return total / number, deviation, float(count.min() / (scene.grid.width * scene.grid.height))


def _pixel_ratio(source: rasterio.DatasetReader, scene: Scene) -> float:
    """Side of a guide pixel in pixels of the scene, at the scene's centre; 1 if it is unknown."""
    if not source.crs or not scene.grid.crs:
        return 1.0
    row, column = scene.grid.height / 2, scene.grid.width / 2
    to_map = scene.grid.transform
    corners = [(column, row), (column + 1, row), (column, row + 1)]
    x = [to_map.a * right + to_map.b * down + to_map.c for right, down in corners]
    y = [to_map.d * right + to_map.e * down + to_map.f for right, down in corners]
    try:
        x, y = transform(scene.grid.crs, source.crs, x, y)[:2]
    except RASTER_ERRORS:
        return 1.0
    across, along = (x[1] - x[0], y[1] - y[0]), (x[2] - x[0], y[2] - y[0])
    area = abs(across[0] * along[1] - across[1] * along[0])
    ratio = np.sqrt(abs(source.transform.determinant) / area) if area > 0 else np.nan
    return float(ratio) if np.isfinite(ratio) else 1.0


def _warped(source: rasterio.DatasetReader, scene: Scene, path: str) -> WarpedVRT:
    if not source.crs or not scene.grid.crs or scene.grid.transform.is_identity:
        raise GridMismatch(path=path, reference=scene.paths[0], reason=_NO_CRS.format(scene.grid))
    has_missing_marker = MaskFlags.all_valid not in source.mask_flag_enums[0]
    try:
        return WarpedVRT(
            source,
            crs=scene.grid.crs,
            transform=scene.grid.transform,
            width=scene.grid.width,
            height=scene.grid.height,
            resampling=Resampling.bilinear,
            add_alpha=not has_missing_marker and ColorInterp.alpha not in source.colorinterp,
        )
    except (*RASTER_ERRORS, ValueError) as error:
        raise GridMismatch(path=path, reference=scene.paths[0], reason=short_message(error)) from error
