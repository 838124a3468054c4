"""Random rasters: small scenes with random damage, type, georeferencing and metadata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from scipy import ndimage

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
DAMAGES = ("none", "wedges", "blocks", "scattered", "frame", "line", "everything")
MARKERS = ("nodata", "nan", "mask", "alpha", "none")
GEOREFERENCES = ("north_up", "rotated", "gcps", "none")
# Nodata values that each type can hold.
NODATA = {
    "uint8": (0, 255),
    "int8": (-128, 0),
    "uint16": (0, 65535),
    "int16": (-9999, -32768, 0),
    "uint32": (0, 4294967295),
    "int32": (-9999, -2147483648),
    "float32": (-9999.0, float(np.finfo(np.float32).min), math.inf),
    "float64": (-9999.0, 1e300, 0.1),
}


@dataclass(frozen=True)
class RandomRaster:
    """All that decides the pixels and the metadata of a raster.

    ``marker``: what marks the missing pixels; ``damage``: where they are.
    """

    seed: int
    bands: int = 3
    rows: int = 60
    columns: int = 70
    dtype: str = "int16"
    damage: str = "wedges"
    marker: str = "nodata"
    nodata: float = -9999
    level: float = 1000.0
    georeference: str = "north_up"
    scaled: bool = False
    named: bool = False
    wavelengths: bool = False
    tiled: bool = False
    striped: bool = False

    def write(self, path: Path) -> NDArray[np.bool_]:
        """Write the raster; returns its observed pixels, ``(band, row, column)``."""
        rng = np.random.default_rng(self.seed)
        observed = self._observed(rng)
        pixels = self._pixels(rng)
        marker = self._marker()
        dtype = np.dtype(self.dtype)
        if marker in ("nodata", "nan"):
            nodata = math.nan if marker == "nan" else self.nodata
            pixels = np.where(observed, pixels, np.asarray(nodata, dtype))
        elif marker == "none":
            observed = np.ones_like(observed)
        else:
            observed = np.broadcast_to(observed[:1], observed.shape)
        profile = {
            "driver": "GTiff",
            "count": self.bands + (marker == "alpha"),
            "height": self.rows,
            "width": self.columns,
            "dtype": self.dtype,
            "nodata": {"nodata": self.nodata, "nan": math.nan}.get(marker),
            "compress": "deflate",
            **({"tiled": True, "blockxsize": 16, "blockysize": 16} if self.tiled else {}),
            **self._georeference(),
        }
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
            file.write(pixels, list(range(1, self.bands + 1)))
            self._write_metadata(file)
            if marker == "alpha":
                interps = [ColorInterp.gray, *[ColorInterp.undefined] * (self.bands - 1), ColorInterp.alpha]
                file.colorinterp = interps
                file.write(np.where(observed[0], np.iinfo(dtype).max, 0).astype(dtype), self.bands + 1)
            elif marker == "mask":
                file.write_mask(observed[0])
        return observed

    def _marker(self) -> str:
        """The marker, or another one where the type has no such marker."""
        is_float = np.dtype(self.dtype).kind == "f"
        if self.marker == "nan" and not is_float:
            return "nodata"
        if self.marker == "alpha" and self.dtype not in ("uint8", "uint16"):
            return "mask"
        return self.marker

    def _pixels(self, rng: np.random.Generator) -> NDArray:
        """Smooth fields with texture and noise, within the range of the type and away from the nodata values."""
        dtype = np.dtype(self.dtype)
        common = ndimage.gaussian_filter(rng.normal(size=(self.rows, self.columns)), 4)
        common /= common.std() or 1.0
        own = ndimage.gaussian_filter(rng.normal(size=(self.bands, self.rows, self.columns)), (0, 3, 3))
        fields = common + own / (own.std() or 1.0) / 3 + rng.normal(scale=0.05, size=own.shape)
        if self.striped:
            fields[int(rng.integers(self.bands)), :, int(rng.integers(self.columns))] += 3.0
        if dtype.kind == "f":
            return (self.level * (2.0 + 0.3 * fields)).astype(dtype)
        limits = np.iinfo(dtype)
        middle, spread = (60.0, 12.0) if limits.max <= 255 else (min(self.level, limits.max / 4.0), self.level / 8.0)
        return np.clip(np.rint(middle + spread * fields), 1, limits.max - 2).astype(dtype)

    def _observed(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        y, x = np.mgrid[: self.rows, : self.columns]
        missing = np.zeros((self.bands, self.rows, self.columns), bool)
        if self.damage == "wedges":
            for band in range(self.bands):
                missing[band] = (y + x // 9 + band) % 17 < 5
        elif self.damage == "blocks":
            for _ in range(4):
                top, left = int(rng.integers(self.rows)), int(rng.integers(self.columns))
                missing[:, top : top + 9, left : left + 12] = True
        elif self.damage == "scattered":
            missing = rng.random(missing.shape) < 0.1
        elif self.damage == "frame":
            missing[:, :7] = missing[:, -7:] = missing[:, :, :7] = missing[:, :, -7:] = True
        elif self.damage == "line":
            missing[:, self.rows // 2] = True
        elif self.damage == "everything":
            missing[:] = True
        return ~missing

    def _georeference(self) -> dict:
        turned = rasterio.Affine.translation(500000, 6200000) @ rasterio.Affine.rotation(12) @ rasterio.Affine.scale(30)
        if self.georeference == "north_up":
            return {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 500000, 0, -30, 6200000)}
        if self.georeference == "rotated":
            return {"crs": "EPSG:3577", "transform": turned}
        if self.georeference == "gcps":
            corners = ((0, 0), (0, self.columns), (self.rows, 0), (self.rows, self.columns))
            points = [GroundControlPoint(row, column, 15 + column / 1e4, 48 - row / 1e4) for row, column in corners]
            return {"crs": "EPSG:4326", "gcps": points}
        return {}

    def _write_metadata(self, file: rasterio.io.DatasetWriter) -> None:
        extra = [0.0] * (file.count - self.bands)
        if self.scaled:
            file.scales = [0.0001 * (band + 1) for band in range(self.bands)] + [1.0 for _ in extra]
            file.offsets = [-0.1 * band for band in range(self.bands)] + extra
        if self.named:
            file.update_tags(ACQUISITION="2003-06-01", NOTE="ümlaut = ; %")
            for band in range(1, self.bands + 1):
                file.set_band_description(band, f"band ‘{band}’")
                file.update_tags(band, GAIN=str(band))
        if self.wavelengths:
            for band in range(1, self.bands + 1):
                file.update_tags(band, wavelength=str(400 + 10 * band), wavelength_units="Nanometers", fwhm="9.5")
