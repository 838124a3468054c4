"""Scenes: their bands, their valid pixels, and rasters that cannot be a scene."""

from __future__ import annotations

import os

import numpy as np
import pytest
import rasterio
from core_scenes import landscape, write
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from dip_core.errors import UnreadableRaster
from dip_core.raster.scene import Scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def pixels():
    return landscape(3, 30, 40).astype(np.uint8)


def test_bands_pixels_and_windows(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels, nodata=0)
    with rasterio.open(path, "r+") as file:
        file.set_band_description(2, "green")
        file.scales, file.offsets, file.units = (2.0, 3.0, 4.0), (-1.0, 0.0, 1.0), ("K", "", "m")
    with Scene([path]) as scene:
        assert scene.shape == (3, 30, 40) and scene.dtype == np.uint8 and scene.nodata == 0
        assert scene.names == ["Band 1", "green", "Band 3"]
        assert [(band.scale, band.offset, band.units) for band in scene.bands] == [
            (2.0, -1.0, "K"),
            (3.0, 0.0, None),
            (4.0, 1.0, "m"),
        ]
        np.testing.assert_array_equal(scene.read(), pixels)
        np.testing.assert_array_equal(scene.read(Window(5, 7, 11, 13), [2, 0]), pixels[[2, 0], 7:20, 5:16])
        blocks = list(scene.blocks(rows=7))
        np.testing.assert_array_equal(np.concatenate([scene.read(block) for block in blocks], axis=1), pixels)


def test_bands_of_further_rasters_are_appended(tmp_path, pixels):
    """As in Landsat products: one file per band, named after the files."""
    paths = [
        write(tmp_path / f"LE07_X_B{number}.TIF", band[None], nodata=0)
        for number, band in zip((1, 2, 61), (pixels[0], pixels[1].astype(np.int16) - 50, pixels[2]))
    ]
    with Scene(paths) as scene:
        assert scene.names == ["LE07_X_B1", "LE07_X_B2", "LE07_X_B61"]
        assert scene.dtype == np.int16
        np.testing.assert_array_equal(scene.read()[1], pixels[1].astype(np.int16) - 50)
        np.testing.assert_array_equal(scene.read()[2], pixels[2])


@pytest.mark.parametrize(
    ("dtypes", "common"),
    [
        (("uint8", "uint16"), "uint16"),
        (("uint8", "int8"), "int16"),
        (("uint16", "int16"), "int32"),
        (("int32", "float32"), "float64"),  # float32 has only 24 bits of precision
    ],
)
def test_the_type_holds_the_values_of_all_bands(tmp_path, pixels, dtypes, common):
    paths = [write(tmp_path / f"{dtype}.tif", (pixels[:1] // 2).astype(dtype)) for dtype in dtypes]
    with Scene(paths) as scene:
        assert scene.dtype == common


@pytest.fixture
def hole():
    """A hole ``(row, column)``."""
    mask = np.zeros((30, 40), bool)
    mask[10:14, 5:30] = True
    return mask


def valid_of(*paths):
    with Scene([str(path) for path in paths]) as scene:
        blocks = [scene.valid(window) for window in scene.blocks(rows=11)]
        whole = scene.valid()
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
        return whole, scene.has_declared_marker()


def test_nodata_applies_per_band(tmp_path, pixels, hole):
    pixels[1][hole] = 0
    valid, has_marker = valid_of(write(tmp_path / "a.tif", pixels, nodata=0))
    assert has_marker
    assert valid[0].all() and valid[2].all()
    np.testing.assert_array_equal(valid[1], ~hole)


@pytest.mark.parametrize("nodata", [np.nan, None, -3.4028234663852886e38, -9999.0])
def test_nan_is_always_missing(tmp_path, pixels, hole, nodata):
    values = pixels.astype(np.float32)
    values[0][hole] = np.nan
    values[1][hole] = np.inf
    if nodata is not None:
        values[2][hole] = nodata
    valid, has_marker = valid_of(write(tmp_path / "a.tif", values, nodata=nodata))
    assert has_marker == (nodata is not None)
    np.testing.assert_array_equal(valid[0], ~hole)
    np.testing.assert_array_equal(valid[1], ~hole)
    assert valid[2].all() == (nodata is None)


def test_a_huge_double_nodata_is_missing(tmp_path, pixels, hole):
    values = pixels.astype(np.float64)
    values[:, hole] = -1.7976931348623157e308
    valid, _ = valid_of(write(tmp_path / "a.tif", values, nodata=-1.7976931348623157e308))
    np.testing.assert_array_equal(valid, np.broadcast_to(~hole, valid.shape))


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_is_not_a_band_and_marks_missing_pixels(tmp_path, hole, bands, dtype):
    """GDAL's masks include alpha only in rasters of 2 and 4 bands."""
    values = landscape(bands, 30, 40).astype(dtype)
    opaque = np.iinfo(dtype).max
    path = write(tmp_path / "a.tif", np.concatenate([values, np.where(hole, 0, opaque).astype(dtype)[None]]))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * bands, ColorInterp.alpha)
    with Scene([path]) as scene:
        assert scene.count == bands and scene.has_alpha()
        np.testing.assert_array_equal(scene.read_alpha(Window(0, 12, 40, 5)), np.where(hole, 0, opaque)[12:17])
    valid, has_marker = valid_of(path)
    assert has_marker
    np.testing.assert_array_equal(valid, np.broadcast_to(~hole, valid.shape))


def test_half_transparent_pixels_are_valid(tmp_path, pixels):
    alpha = np.full((1, 30, 40), 60, np.uint8)
    valid, _ = valid_of(write(tmp_path / "a.tif", np.concatenate([pixels, alpha]), photometric="rgb", alpha="yes"))
    assert valid.all()


@pytest.mark.parametrize("internal", [True, False])
def test_internal_and_external_mask_bands(tmp_path, pixels, hole, internal):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        path = write(tmp_path / "a.tif", pixels)
        with rasterio.open(path, "r+") as file:
            file.write_mask(~hole)
    assert (tmp_path / "a.tif.msk").exists() != internal
    valid, has_marker = valid_of(path)
    assert has_marker
    np.testing.assert_array_equal(valid, np.broadcast_to(~hole, valid.shape))
    with Scene([path]) as scene:
        assert scene.has_dataset_mask() and not scene.has_alpha()


def test_nodata_values_combined_over_bands(tmp_path, pixels, hole):
    """NODATA_VALUES: a pixel is missing if all bands have their value; a single band of 0 is a dark pixel."""
    pixels[:, hole] = 0
    pixels[1, 0, 0] = 0
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.update_tags(NODATA_VALUES="0 0 0")
    valid, _ = valid_of(path)
    np.testing.assert_array_equal(valid, np.broadcast_to(~hole, valid.shape))
    with Scene([path]) as scene:
        assert not scene.has_dataset_mask()  # there is no mask band to copy


def test_a_raster_without_markers_has_no_missing_pixels(tmp_path, pixels):
    valid, has_marker = valid_of(write(tmp_path / "a.tif", pixels))
    assert valid.all() and not has_marker


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_rasters_are_errors(tmp_path, dtype):
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=4, width=4, dtype=dtype):
        pass
    with pytest.raises(UnreadableRaster, match=f"data type {dtype} is not supported"):
        Scene([str(path)])


def test_a_raster_with_only_an_alpha_band_is_an_error(tmp_path):
    path = write(tmp_path / "a.tif", np.full((1, 5, 5), 255, np.uint8))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (ColorInterp.alpha,)
    with pytest.raises(UnreadableRaster, match="no data band"):
        Scene([path])


def test_a_truncated_file_is_an_error_on_reading(tmp_path, pixels):
    big = landscape(3, 300, 300).astype(np.uint8)
    path = write(tmp_path / "a.tif", big, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    with open(path, "r+b") as file:
        file.truncate(30_000)
    with pytest.raises(UnreadableRaster, match=r"a\.tif"), Scene([path]) as scene:
        scene.read()


def test_a_failed_scene_closes_its_files(tmp_path, pixels):
    first = write(tmp_path / "a.tif", pixels)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for _ in range(20):
        with pytest.raises(UnreadableRaster):
            Scene([first, str(tmp_path / "none.tif")])
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_many_bands_are_read_in_the_requested_order(tmp_path):
    """More bands than one read takes, in any order, from files of different types."""
    first = np.arange(150 * 6, dtype=np.int16).reshape(150, 2, 3) + 1
    second = np.full((1, 2, 3), 0.5, np.float32)
    second[0, 0, 0] = np.nan
    paths = [write(tmp_path / "a.tif", first, nodata=7), write(tmp_path / "b.tif", second)]
    chosen = [149, 3, 150, 0, *range(10, 100)]
    with Scene(paths) as scene:
        pixels, valid = scene.read(bands=chosen), scene.valid(bands=chosen)
    assert np.array_equal(pixels, np.concatenate([first, second])[chosen], equal_nan=True)
    assert not valid[2, 0, 0] and valid[2, 1, 1]
    assert np.array_equal(valid[3], first[0] != 7) and valid[4:].all()


def test_subsampled_pixels(tmp_path):
    """Also across the blocks in which a tall scene is read."""
    pixels = np.arange(2 * 1100 * 7, dtype=np.int32).reshape(2, 1100, 7)
    with Scene([write(tmp_path / "tall.tif", pixels)]) as scene:
        subsampled = scene.read_subsampled(scene.read, None, 3)
        part = Window(1, 500, 5, 90)
        part_subsampled = scene.read_subsampled(scene.read, part, 2)
    np.testing.assert_array_equal(subsampled, pixels[:, ::3, ::3])
    np.testing.assert_array_equal(part_subsampled, pixels[:, 500:590:2, 1:6:2])


def test_bands_without_nodata_inherit_that_of_another_file(tmp_path, pixels):
    first = write(tmp_path / "a.tif", pixels[:1], nodata=7)
    second = write(tmp_path / "b.tif", np.full((1, 30, 40), 7, np.uint8))
    with Scene([first, second]) as scene:
        assert scene.nodata == 7 and not scene.valid()[1].any()
        assert scene.notes == ["b has no nodata value; that of another band is used (7)."]
