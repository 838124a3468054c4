"""Reading a band of codes, such as a quality band, on the grid of a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from ..arrays import Mask
from ..errors import GridMismatch, InvalidJob
from .grid import Grid
from .mask_raster import MaskRaster, file_stem
from .source import RASTER_ERRORS, short_message

_UNSIGNED = {np.dtype(np.int8): 0xFF, np.dtype(np.int16): 0xFFFF}
_TOLERANCE = 0.01  # pixels, by which the corners of two grids with one extent may differ


@dataclass(frozen=True)
class CodeBand:
    """Codes ``(row, column)`` on the grid of a scene, as integers.

    ``meaningful``: pixels that are not nodata, masked or NaN. ``covered``: pixels inside the band's raster. ``nodata``:
    its nodata value. ``dtype``: as stored. ``names``: of the file and the band.
    """

    codes: NDArray
    meaningful: Mask
    covered: Mask
    nodata: float | None
    dtype: np.dtype
    names: tuple[str, ...]


def read_code_band(path: str, grid: Grid, reference: str, is_code_name: Callable[[str], bool]) -> CodeBand:
    """Read the only band of a raster, or the one whose description is a code name.

    Another grid is resampled by the nearest pixel. ``reference``: the raster with the grid. Raises InvalidJob if the
    band cannot be told or holds fractions, GridMismatch, UnreadableRaster.
    """
    with MaskRaster(path) as raster:
        place = _place(raster, path, is_code_name)
        index, names = raster.indexes[place], raster.texts[place]
        if grid.difference(raster.grid) is None:
            values, meaningful = raster.read(None, [index])
            covered = np.ones(grid.shape, bool)
        else:
            factor = whole_number_ratio(grid, raster.grid)
            if factor is not None:
                values, meaningful = raster.read(None, [index])
                values, meaningful = (_scaled(part, factor) for part in (values, meaningful))
                covered = np.ones(grid.shape, bool)
            else:
                values, meaningful, covered = _warped(raster, index, grid, path, reference)
        nodata, dtype = raster.nodata, raster.dtype
    codes = _as_integers(values[0], meaningful[0], path)
    return CodeBand(codes, meaningful[0], covered, nodata, dtype, (file_stem(path), *names))


def whole_number_ratio(grid: Grid, other: Grid) -> float | None:
    """How many pixels of ``grid`` one of ``other`` is wide, if both have one extent and it is n or 1/n; else None.

    For grids that cannot be warped because one of them has no CRS.
    """
    if grid.crs and other.crs and not grid.transform.is_identity:
        return None
    for fine, coarse in ((grid, other), (other, grid)):
        factor = fine.width // coarse.width
        if factor < 1 or (fine.width, fine.height) != (coarse.width * factor, coarse.height * factor):
            continue
        if not (fine.transform.is_identity or coarse.transform.is_identity):
            ends = [
                each.transform @ corner for each in (fine, coarse) for corner in ((0, 0), (each.width, each.height))
            ]
            size = abs(fine.transform.a) + abs(fine.transform.b)
            if np.abs(np.subtract(ends[:2], ends[2:])).max() > _TOLERANCE * size:
                continue
        return float(factor) if fine is grid else 1.0 / factor
    return None


def _place(raster: MaskRaster, path: str, is_code_name: Callable[[str], bool]) -> int:
    if len(raster.indexes) == 1:
        return 0
    named = [place for place, texts in enumerate(raster.texts) if is_code_name(texts[-1])]
    if len(named) != 1:
        raise InvalidJob(
            reason=f"QA '{path}' has {len(raster.indexes)} bands, and their names do not say which one holds the "
            "quality codes: give a raster with this band alone."
        )
    return named[0]


def _scaled(pixels: NDArray, factor: float) -> NDArray:
    if factor >= 1:
        return pixels.repeat(int(factor), axis=1).repeat(int(factor), axis=2)
    step = round(1 / factor)
    return pixels[:, step // 2 :: step, step // 2 :: step]


def _warped(raster: MaskRaster, index: int, grid: Grid, path: str, reference: str) -> tuple[NDArray, Mask, Mask]:
    """Values and meaningful pixels ``(1, row, column)``, and covered pixels ``(row, column)``."""
    if not raster.grid.crs or not grid.crs or grid.transform.is_identity or raster.grid.transform.is_identity:
        raise GridMismatch(path=path, reference=reference, reason=grid.difference(raster.grid))
    try:
        # Without a nodata value for the warp, the added alpha band shows what the raster covers.
        with WarpedVRT(
            raster.source,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling.nearest,
            src_nodata=None,
            nodata=None,
            add_alpha=not raster.has_alpha,
        ) as warped:
            values = warped.read([index])
            covered = warped.read(warped.count) > 0
    except (*RASTER_ERRORS, ValueError) as error:
        raise GridMismatch(path=path, reference=reference, reason=short_message(error)) from error
    if not covered.any():
        raise GridMismatch(path=path, reference=reference, reason="they do not overlap")
    meaningful = covered & np.isfinite(values)
    if raster.nodata is not None and not np.isnan(raster.nodata):
        meaningful &= values != raster.nodata
    return values, meaningful, covered


def _as_integers(values: NDArray, meaningful: Mask, path: str) -> NDArray:
    """The codes as unsigned integers: signed 16-bit files hold the upper codes as negative numbers."""
    if values.dtype.kind == "f":
        whole = np.where(meaningful, values, 0)
        if (whole != np.rint(whole)).any() or np.abs(whole).max(initial=0) >= 1 << 31:
            raise InvalidJob(reason=f"QA '{path}' holds fractions, not quality codes: give the quality band itself.")
        return whole.astype(np.int64)
    if values.dtype in _UNSIGNED:
        return values.astype(np.int32) & _UNSIGNED[values.dtype]
    return values
