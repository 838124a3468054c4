"""The guide: a raster of another date or sensor, on any grid, read on the grid of the scene."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, landscape, slanted_gaps, write
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import calculate_default_transform, reproject
from rasterio.windows import Window

from dip_core.errors import GridMismatch, UnreadableRaster
from dip_core.raster.guide import Guide
from dip_core.raster.open_guide import open_guide
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

ROWS, COLUMNS = 90, 110
GAP = slanted_gaps(ROWS, COLUMNS, thick=9, period=26)


@pytest.fixture
def texture():
    """Detail of the ground that is the same at all dates."""
    return 18 * np.random.default_rng(2).normal(size=(ROWS, COLUMNS))


@pytest.fixture
def whole(texture):
    return (landscape(2, ROWS, COLUMNS) + texture).clip(1, 255).round()


@pytest.fixture
def scene(tmp_path, whole):
    return write(tmp_path / "in.tif", np.where(GAP, 0, whole).astype("u1"), nodata=0)


def other_date(texture, bands=3):
    """Another date: other levels and gains, the same texture, other noise."""
    rng = np.random.default_rng(7)
    gains = np.array([0.5, 1.5, -1.0])[:bands, None, None]
    levels = np.array([500.0, 900.0, 1500.0])[:bands, None, None]
    return (
        levels + 8 * gains * (texture + 0.4 * landscape(1, ROWS, COLUMNS)) + rng.normal(0, 12, (bands, ROWS, COLUMNS))
    )


pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def test_a_guide_on_the_grid_of_the_scene_is_not_resampled(tmp_path, scene, texture):
    pixels = other_date(texture)
    pixels[:, 5:10, 5:10] = -9999
    path = write(tmp_path / "g.tif", pixels.astype("f4"), nodata=-9999)
    with Scene([scene]) as opened, Guide(path, opened) as guide:
        values = guide.read()
        hole = np.zeros((ROWS, COLUMNS), bool)
        hole[5:10, 5:10] = True
        assert np.isnan(values[:, hole]).all() and np.isfinite(values[:, ~hole]).all()
        for band in range(3):
            kept = pixels[band][~hole]
            np.testing.assert_allclose(values[band][~hole], (kept - kept.mean()) / kept.std(), atol=1e-3)
        np.testing.assert_array_equal(guide.read(Window(20, 30, 40, 25)), values[:, 30:55, 20:60])
        assert guide.coverage == pytest.approx(1 - 25 / (ROWS * COLUMNS))


def on_another_grid(path, pixels, crs="EPSG:4326", nodata=None):
    """The same area in degrees, with about the same pixel size."""
    bands = len(pixels)
    west, north = TRANSFORM.c, TRANSFORM.f
    bounds = (west, north - 30 * ROWS, west + 30 * COLUMNS, north)
    transform, width, height = calculate_default_transform("EPSG:32633", crs, COLUMNS, ROWS, *bounds)
    turned = np.zeros((bands, height, width), "f4")
    reproject(
        pixels.astype("f4"),
        turned,
        src_transform=TRANSFORM,
        src_crs="EPSG:32633",
        dst_transform=transform,
        dst_crs=crs,
        resampling=Resampling.cubic,
        dst_nodata=0,
    )
    return write(path, turned, crs=crs, transform=transform, nodata=nodata)


@pytest.mark.parametrize("nodata", [None, 0])
def test_a_guide_on_another_grid_is_warped(tmp_path, scene, texture, nodata):
    smooth = landscape(3, ROWS, COLUMNS) + 500
    path = on_another_grid(tmp_path / "g.tif", smooth, nodata=nodata)
    with Scene([scene]) as opened, Guide(path, opened) as guide:
        values = guide.read()
        assert values.shape == (3, ROWS, COLUMNS) and guide.coverage > 0.95
        shown = np.isfinite(values[0])
        shown[[0, -1]] = shown[:, [0, -1]] = False  # edge pixels are mixed with missing ones
        # The position is right: shifted by one pixel, the correlation is lower.
        matched, shifted = (
            np.corrcoef(values[0][shown], np.roll(smooth[0], step, axis=1)[shown])[0, 1] for step in (0, 1)
        )
        assert matched > 0.99 and matched > shifted
        np.testing.assert_array_equal(np.isnan(guide.read(Window(3, 4, 50, 60))), np.isnan(values[:, 4:64, 3:53]))


@pytest.mark.parametrize("bands", [1, 3, 6])
def test_pixels_outside_the_guide_are_missing(tmp_path, scene, bands):
    """The guide covers the east half and has no nodata value; the west half must not become 0."""
    half = np.full((bands, ROWS, COLUMNS // 2), 100, "u1")
    east = TRANSFORM @ rasterio.Affine.translation(COLUMNS // 2 + 0.3, 0)
    with Scene([scene]) as opened, Guide(write(tmp_path / "g.tif", half, transform=east), opened) as guide:
        shown = np.isfinite(guide.read()).all(axis=0)
        assert not shown[:, : COLUMNS // 2 - 1].any() and shown[:, COLUMNS // 2 + 2 : -2].all()
        assert guide.coverage == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("shift", [0, 0.4])
def test_the_alpha_band_of_a_guide_marks_missing_pixels(tmp_path, scene, bands, shift):
    pixels = np.full((bands + 1, ROWS, COLUMNS), 90, "u1")
    pixels[-1] = 255
    pixels[-1, 20:40, 30:60] = 0
    place = TRANSFORM @ rasterio.Affine.translation(shift, 0)
    path = write(tmp_path / "g.tif", pixels, transform=place)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * bands, ColorInterp.alpha)
    with Scene([scene]) as opened, Guide(path, opened) as guide:
        values = guide.read()
        assert len(values) == bands
        assert np.isnan(values[:, 22:38, 32:58]).all() and np.isfinite(values[:, 45:80, 5:100]).all()


def test_guides_that_cannot_be_used_are_errors(tmp_path, scene):
    bare = tmp_path / "bare.tif"
    with rasterio.open(bare, "w", driver="GTiff", count=1, height=20, width=30, dtype="uint8") as file:
        file.write(np.ones((1, 20, 30), "u1"))
    with Scene([scene]) as opened:
        with pytest.raises(GridMismatch, match=r"bare\.tif.*no CRS"):
            Guide(str(bare), opened)
        with pytest.raises(UnreadableRaster, match="no such file"):
            Guide(str(tmp_path / "none.tif"), opened)


@pytest.mark.parametrize("declared", [None, 0])
@pytest.mark.parametrize("shift", [0, 0.4])
def test_undeclared_codes_of_a_guide_are_missing(tmp_path, scene, declared, shift):
    """They must not be averaged with the data beside them."""
    pixels = np.rint(landscape(2, ROWS, COLUMNS)).astype("i2") * 10
    pixels[0, 20:40, 30:60] = -9999
    pixels[:, 50:60, 70:90] = 32767
    pixels[:, 70:, :20] = 900 if declared is None else declared
    place = TRANSFORM @ rasterio.Affine.translation(shift, 0)
    path = write(tmp_path / "g.tif", pixels, transform=place, nodata=declared)
    context = Context()
    with Scene([scene]) as opened, open_guide(path, "best", True, opened, context) as guide:
        values = guide.read()
        assert np.isnan(values[0, 22:38, 32:58]).all() and np.isfinite(values[1, 22:38, 32:58]).all()
        assert np.isnan(values[:, 52:58, 72:88]).all()
        assert np.isnan(values[:, 72:, :18]).all() == (declared is not None)
        assert np.nanmax(np.abs(values)) < 6
        (warning,) = context.warnings
        assert "-9999" in warning and "32767" in warning
