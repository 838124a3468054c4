"""Mask rasters: one file whose values mark pixels.

A mask's own missing pixels (nodata, internal mask, alpha, NaN) mark nothing: its values there have no meaning.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from ..arrays import Mask
from ..errors import GridMismatch, UnreadableRaster
from .alpha import AlphaBands, read_valid
from .grid import Grid, grid_of
from .source import RASTER_ERRORS, open_raster, short_message


class MaskRaster:
    """An open mask; a context manager that closes it.

    ``indexes``: its bands (from 1), without an alpha band. ``nodata_is_zero``: whether its nodata value is 0. Raises
    UnreadableRaster.
    """

    def __init__(self, path: str) -> None:
        self.path = str(path)
        self._source = open_raster(path)
        interps = self._source.colorinterp
        self._alpha = AlphaBands(interps.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in interps else None)
        self.indexes = tuple(index for index in self._source.indexes if index != self._alpha.mask)
        self.nodata_is_zero = self._source.nodata == 0

    def __enter__(self) -> MaskRaster:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    @property
    def grid(self) -> Grid:
        """The mask's grid."""
        return grid_of(self._source)

    @property
    def source(self) -> rasterio.DatasetReader:
        """The open file."""
        return self._source

    @property
    def nodata(self) -> float | None:
        """The nodata value of the file, None without one."""
        return self._source.nodata

    @property
    def has_alpha(self) -> bool:
        """Whether the file has an alpha band."""
        return ColorInterp.alpha in self._source.colorinterp

    @property
    def all_bands(self) -> int:
        """The number of bands with the alpha band."""
        return int(self._source.count)

    @property
    def dtype(self) -> np.dtype:
        """The data type of the first band."""
        return np.dtype(self._source.dtypes[0])

    @property
    def texts(self) -> list[tuple[str, ...]]:
        """What names each band: the file's name, if it has one band, and the band's description."""
        file = (file_stem(self.path),) if len(self.indexes) == 1 else ()
        return [(*file, self._source.descriptions[index - 1] or "") for index in self.indexes]

    def use_alpha_as_mask_band(self) -> None:
        """Count the alpha band among the mask's bands: GDAL tags the fourth band of bytes as alpha by default."""
        if self._alpha.mask is not None:
            self._alpha = AlphaBands(None, (self._alpha.mask,))
        self.indexes = tuple(self._source.indexes)

    def require_grid(self, grid: Grid, reference: str) -> None:
        """Raise GridMismatch unless the mask lies on a grid, that of the raster ``reference``."""
        difference = grid.difference(self.grid)
        if difference:
            raise GridMismatch(path=self.path, reference=reference, reason=difference)

    def read(self, window: Window | None, indexes: Sequence[int] | None = None) -> tuple[NDArray, Mask]:
        """Values and meaningful pixels, ``(mask band, row, column)``, of bands ``indexes`` (by default of all)."""
        chosen = list(self.indexes if indexes is None else indexes)
        try:
            values = self._source.read(chosen, window=window)
            meaningful = read_valid(self._source, chosen, window, self._alpha)
        except RASTER_ERRORS as error:
            raise UnreadableRaster(path=self.path, reason=short_message(error)) from error
        if values.dtype.kind in "fc":
            meaningful &= np.isfinite(values)
        return values, meaningful


def open_masks(paths: Sequence[str], bands: int, stack: ExitStack) -> list[MaskRaster]:
    """Open the masks of a scene with this number of bands; ``stack`` closes them. Raises UnreadableRaster."""
    rasters = [stack.enter_context(MaskRaster(path)) for path in paths]
    # A gray mask with alpha is one mask for all bands, also of a scene with two bands.
    if bands > 2 and sum(raster.all_bands for raster in rasters) == bands:
        for raster in rasters:
            raster.use_alpha_as_mask_band()
    return rasters


def file_stem(path: str) -> str:
    """The file's name without folder and extension (``.TIF``, ``.TIF.gz``)."""
    name = os.path.basename(path)
    name = name[: -len(".gz")] if name.lower().endswith(".gz") else name
    return os.path.splitext(name)[0]
