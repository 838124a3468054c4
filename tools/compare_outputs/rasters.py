"""Synthetic rasters that the jobs of the comparison read; the random numbers have a fixed seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

ROWS, COLUMNS = 48, 56
UPPER_LEFT = (500_000.0, 6_200_000.0)


def make_rasters(folder: Path) -> None:
    """Write all rasters to ``folder``, as GeoTIFFs with the names that `cases` uses."""
    maker = _RasterMaker(folder)
    maker.landsat()
    maker.integers_with_nodata()
    maker.masks_and_colours()
    maker.cubes()
    maker.guide()
    maker.coarse()


def diagonal_gaps(
    rows: int = ROWS, columns: int = COLUMNS, width: int = 5, period: int = 18, shift: int = 0
) -> NDArray[np.bool_]:
    """Diagonal gaps ``(row, column)`` like those of SLC-off scenes; True = missing."""
    y, x = np.mgrid[:rows, :columns]
    return (y + shift + x // 8) % period < width


class _RasterMaker:
    """Writes groups of rasters. Their order matters, because all draw from one random generator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rng = np.random.default_rng(20240229)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.tif"

    def _landscape(self, bands: int, rows: int = ROWS, columns: int = COLUMNS, noise: float = 2.0) -> NDArray:
        """Correlated bands with values from 20 to 230."""
        y, x = np.mgrid[:rows, :columns]
        common = np.sin(x / 9.0 + y / 23.0) + np.cos(y / 7.0 - x / 31.0)
        specific = [25 * 0.4 * np.sin(x / (5.0 + band % 7) + band) for band in range(bands)]
        values = 125 + 40 * common + np.array(specific) + self._rng.normal(0, noise, (bands, rows, columns))
        return values.clip(20, 230)

    def _write(
        self,
        name: str,
        pixels: NDArray,
        pixel_size: float = 30.0,
        shift: tuple[float, float] = (0.0, 0.0),
        band_tags: list[dict[str, str]] | None = None,
        descriptions: list[str] | None = None,
        scale_and_offset: tuple[float, float] | None = None,
        mask: NDArray | None = None,
        **profile: Any,
    ) -> None:
        """Write ``(band, row, column)`` pixels. ``shift``: of the upper left corner, in metres."""
        count, height, width = pixels.shape
        left, top = UPPER_LEFT[0] + shift[0], UPPER_LEFT[1] + shift[1]
        grid = {
            "crs": "EPSG:32633",
            "transform": rasterio.Affine(pixel_size, 0.0, left, 0.0, -pixel_size, top),
            "height": height,
            "width": width,
        }
        options = {**grid, "count": count, "dtype": pixels.dtype.name, **profile}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(self._path(name), "w", driver="GTiff", **options) as file,
        ):
            file.write(pixels)
            file.update_tags(SENSOR="synthetic", ACQUIRED="2003-07-14")
            for number, tags in enumerate(band_tags or [], start=1):
                file.update_tags(number, **tags)
            for number, text in enumerate(descriptions or [], start=1):
                file.set_band_description(number, text)
            if scale_and_offset:
                file.scales, file.offsets = [scale_and_offset[0]] * count, [scale_and_offset[1]] * count
                file.units = ["reflectance"] * count
            if mask is not None:
                file.write_mask(mask)

    def landsat(self) -> None:
        """Bytes: with gaps in all bands, with other gaps in each band, complete; 16 bits: large (for tiles)."""
        complete = np.rint(self._landscape(3)).astype(np.uint8)
        names = ["L7_B3", "L7_B2", "L7_B1"]
        with_gaps = np.where(diagonal_gaps(), 0, complete).astype(np.uint8)
        self._write("slc_off", with_gaps, descriptions=names, photometric="rgb", nodata=0)
        self._write("small_slc_off", with_gaps[:2, :30, :32].copy(), descriptions=names[:2], nodata=0)
        self._write("complete", complete, descriptions=names, photometric="rgb")
        restored = np.rint(complete + self._rng.normal(0, 3, complete.shape)).clip(1, 255)
        self._write("restored", restored.astype(np.uint8))
        self._write("evaluation_mask", diagonal_gaps()[None].astype(np.uint8))
        for number in range(3):
            band = np.where(diagonal_gaps(shift=2 * number), 0, complete[number]).astype(np.uint8)
            self._write(f"L7_B{number + 1}", band[None], nodata=0 if number else None)
        large = np.rint(10 * self._landscape(2, 80, 104)).astype(np.uint16)
        self._write("large_slc_off", np.where(diagonal_gaps(80, 104), 0, large).astype(np.uint16), nodata=0)

    def integers_with_nodata(self) -> None:
        """Signed integers with scale, offset, nodata outside the scene and in a cloud, and their gap masks."""
        values = np.rint(20 * self._landscape(4) - 1500).astype(np.int16)
        y, x = np.mgrid[:ROWS, :COLUMNS]
        outside = x + 2 * y < 40
        gaps = np.stack([diagonal_gaps(width=4, shift=band) for band in range(4)])
        cloud = (y - 34) ** 2 + (x - 40) ** 2 < 12
        values[:, outside | cloud] = -999
        descriptions = [f"scene_B{number}" for number in (1, 2, 3, 4)]
        metadata: dict[str, Any] = {"descriptions": descriptions, "scale_and_offset": (0.0001, 0.1), "nodata": -999}
        self._write("integers", values, **metadata)
        self._write("integers_with_gaps", np.where(gaps, -999, values).astype(np.int16), **metadata)
        for number, gap in enumerate(gaps, start=1):
            self._write(f"gap_mask_B{number}", (~gap[None]).astype(np.uint8))
        self._write("gap_mask_all_bands", 255 * gaps.any(axis=0, keepdims=True).astype(np.uint8))

    def masks_and_colours(self) -> None:
        """An alpha band, a dataset mask, a colour table, zeros without nodata, no observed pixel, a shifted grid."""
        pixels = np.rint(self._landscape(2)).astype(np.uint8)
        alpha = np.where(diagonal_gaps(), 0, 255).astype(np.uint8)
        self._write("alpha", np.concatenate([pixels, alpha[None]]))
        with rasterio.open(self._path("alpha"), "r+") as file:
            file.colorinterp = [ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha]
        self._write("dataset_mask", pixels, mask=alpha)
        self._write("zeros_without_nodata", np.where(diagonal_gaps(), 0, pixels).astype(np.uint8))
        self._write("colour_table", (pixels[:1] // 25).astype(np.uint8), nodata=255)
        with rasterio.open(self._path("colour_table"), "r+") as file:
            file.write_colormap(1, {value: (20 * value, 10, 255 - 20 * value, 255) for value in range(12)})
        self._write("only_nodata", np.zeros_like(pixels), nodata=0)
        self._write("shifted_grid", pixels, shift=(15.0, 0.0))

    def cubes(self) -> None:
        """Noisy cubes with wavelengths: plain, clipped, with stripes, with outliers, with gaps, small, large."""
        wavelengths = np.linspace(430.0, 2350.0, 24)
        tags = [
            {"wavelength": f"{value:.3f}", "wavelength_units": "Nanometers", "fwhm": "9.5", "bbl": str(int(band != 17))}
            for band, value in enumerate(wavelengths)
        ]
        y, x = np.mgrid[:ROWS, :COLUMNS]
        fields = ((x // 9 + y // 7) % 3) / 2
        abundances = np.stack([np.sin(x / 8.0), np.cos(y / 6.0), np.sin((x + y) / 13.0) ** 2, fields])
        spectra = np.abs(np.sin(np.outer(np.arange(1, 5), wavelengths / 700.0)))
        clean = 0.25 + 0.1 * np.tensordot(spectra.T, abundances, 1)
        noise = self._rng.normal(0, 1, clean.shape) * np.linspace(0.006, 0.02, 24)[:, None, None]
        cube = (clean + noise).astype(np.float32)
        clipped = cube[:10, :32, :36].copy()
        for band in range(3, 10):
            clipped[band] = np.maximum(clipped[band], np.quantile(clipped[band], 0.1))
        striped, stripe_mask = _add_stripes(cube)
        with_outliers = striped.copy()
        hit = self._rng.random(with_outliers.shape) < 0.002
        with_outliers[hit] += np.float32(0.4)
        self._write("cube", cube, band_tags=tags)
        self._write("clipped_cube", clipped, band_tags=tags[:10])
        self._write("striped_cube", striped, band_tags=tags)
        self._write("stripe_mask", stripe_mask)
        self._write("cube_with_outliers", with_outliers, band_tags=tags)
        self._write("few_striped_bands", np.rint(4000 * striped[[2, 4, 9]]).astype(np.uint16))
        with_gaps = np.where(diagonal_gaps(), np.nan, cube).astype(np.float32)
        self._write("cube_with_gaps", with_gaps, band_tags=tags, nodata=np.nan)
        self._write("small_cube", striped[4:10, :28, 8:38].copy(), band_tags=tags[4:10])
        # Dead in all bands: otherwise other bands predict the pixels and no network runs.
        dead_columns = np.zeros((1, 28, 30), np.uint8)
        dead_columns[:, :, [11, 12, 21]] = 1
        self._write("dead_columns", dead_columns)
        large = np.tile(cube[:8], (1, 2, 2))[:, :80, :104] + self._rng.normal(0, 0.01, (8, 80, 104))
        large[1, :, 50] += 0.08
        large[5, :, 20] = 0.0
        self._write("large_cube", large.astype(np.float32), band_tags=tags[:8])

    def guide(self) -> None:
        """Two bands of another date, with clouds, on another grid."""
        y, x = np.mgrid[:70, :80]
        rows, columns = (25 * y + 100) / 30.0, (25 * x - 130) / 30.0
        first = np.sin(columns / 9.0 + rows / 23.0) + 0.9 * np.cos(rows / 7.0 - columns / 31.0)
        second = np.sin(columns / 6.0 + 1) + 0.3 * first
        guide = np.stack([first, second]) + self._rng.normal(0, 0.05, (2, 70, 80))
        guide[:, (y - 20) ** 2 + (x - 50) ** 2 < 30] = -9
        self._write("guide", guide.astype(np.float32), pixel_size=25.0, shift=(-130.0, 100.0), nodata=-9)

    def coarse(self) -> None:
        """Scenes for super-resolution: one with a gap and its finer guide, a large one, a cube, two for training."""
        tags = [{"wavelength": text, "wavelength_units": "Micrometers"} for text in ("0.48", "0.56", "0.66")]
        fine = self._landscape(3, 80, 96, noise=0.5)
        coarse = fine.reshape(3, 40, 2, 48, 2).mean(axis=(2, 4))[:, :30, :36]
        with_gap = np.rint(10 * coarse).astype(np.int16)
        with_gap[:, 7:9, 20:23] = -999
        self._write("coarse", with_gap, nodata=-999, band_tags=tags)
        fine_guide = fine.mean(axis=0) + self._rng.normal(0, 1, (80, 96))
        self._write("fine_guide", fine_guide[None].astype(np.float32), pixel_size=15.0)
        large = self._landscape(2, 70, 90, noise=1.0)
        self._write("large_coarse", np.rint(10 * large).astype(np.uint16), nodata=0)
        self._write("coarse_cube", self._landscape(4, 16, 16, noise=0.5).astype(np.float32))
        for number, shape in ((1, (34, 68)), (2, (33, 67))):
            training = np.rint(10 * self._landscape(3, *shape, noise=0.5)).astype(np.int16)
            self._write(f"training_{number}", training, nodata=-999, band_tags=tags)


def _add_stripes(cube: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A copy with columns that are offset (2 in the mask) or constant (1), and the mask."""
    striped, mask = cube.copy(), np.zeros(cube.shape, np.uint8)
    for band, column, offset in ((2, 11, 0.05), (6, 30, -0.07), (6, 31, -0.04), (13, 22, 0.06)):
        striped[band, :, column] += offset
        mask[band, :, column] = 2
    for band, column, level in ((4, 40, 0.0), (9, 8, 0.31), (9, 9, 0.31)):
        striped[band, :, column] = level
        mask[band, :, column] = 1
    return striped, mask
