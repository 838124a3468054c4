"""Rasters in: which bands a scene has, which pixels are valid, and what is refused."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, data, landscape, write
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from dip_core.errors import GridMismatch, UnreadableRaster
from dip_core.raster.grid import grid_of
from dip_core.raster.scene import Scene
from dip_core.raster.source import open_raster

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


def test_further_rasters_are_further_bands(tmp_path, pixels):
    """Landsat's delivery: one file a band; names come from the files, the type is one that holds all."""
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
        (("int32", "float32"), "float64"),  # a float32 has 24 bits for the digits
    ],
)
def test_the_stack_has_a_type_that_holds_every_band(tmp_path, pixels, dtypes, common):
    paths = [write(tmp_path / f"{dtype}.tif", (pixels[:1] // 2).astype(dtype)) for dtype in dtypes]
    with Scene(paths) as scene:
        assert scene.dtype == common


# Valid pixels


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
        return whole, scene.has_missing_marker()


def test_nodata_counts_band_by_band(tmp_path, pixels, hole):
    pixels[1][hole] = 0
    valid, marked = valid_of(write(tmp_path / "a.tif", pixels, nodata=0))
    assert marked
    assert valid[0].all() and valid[2].all()
    np.testing.assert_array_equal(valid[1], ~hole)


@pytest.mark.parametrize("nodata", [np.nan, None, -3.4028234663852886e38, -9999.0])
def test_floats_nan_is_always_missing(tmp_path, pixels, hole, nodata):
    values = pixels.astype(np.float32)
    values[0][hole] = np.nan
    values[1][hole] = np.inf
    if nodata is not None:
        values[2][hole] = nodata
    valid, marked = valid_of(write(tmp_path / "a.tif", values, nodata=nodata))
    assert marked == (nodata is not None)
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
def test_alpha_is_no_band_and_hides_pixels(tmp_path, hole, bands, dtype):
    """GDAL's own masks heed alpha in rasters of 2 and 4 bands; the fifth band of an aerial image counts too."""
    values = landscape(bands, 30, 40).astype(dtype)
    opaque = np.iinfo(dtype).max
    path = write(tmp_path / "a.tif", np.concatenate([values, np.where(hole, 0, opaque).astype(dtype)[None]]))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * bands, ColorInterp.alpha)
    with Scene([path]) as scene:
        assert scene.count == bands and scene.has_alpha()
        np.testing.assert_array_equal(scene.read_alpha(Window(0, 12, 40, 5)), np.where(hole, 0, opaque)[12:17])
    valid, marked = valid_of(path)
    assert marked
    np.testing.assert_array_equal(valid, np.broadcast_to(~hole, valid.shape))


def test_half_transparent_pixels_are_valid(tmp_path, pixels):
    alpha = np.full((1, 30, 40), 60, np.uint8)
    valid, _ = valid_of(write(tmp_path / "a.tif", np.concatenate([pixels, alpha]), photometric="rgb", alpha="yes"))
    assert valid.all()


@pytest.mark.parametrize("internal", [True, False])
def test_mask_bands_inside_and_beside_the_file(tmp_path, pixels, hole, internal):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        path = write(tmp_path / "a.tif", pixels)
        with rasterio.open(path, "r+") as file:
            file.write_mask(~hole)
    assert (tmp_path / "a.tif.msk").exists() != internal
    valid, marked = valid_of(path)
    assert marked
    np.testing.assert_array_equal(valid, np.broadcast_to(~hole, valid.shape))
    with Scene([path]) as scene:
        assert scene.has_dataset_mask() and not scene.has_alpha()


def test_nodata_values_of_all_bands_together(tmp_path, pixels, hole):
    """NODATA_VALUES: a pixel is missing where every band has its value; one band at 0 is a dark pixel."""
    pixels[:, hole] = 0
    pixels[1, 0, 0] = 0
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.update_tags(NODATA_VALUES="0 0 0")
    valid, _ = valid_of(path)
    np.testing.assert_array_equal(valid, np.broadcast_to(~hole, valid.shape))
    with Scene([path]) as scene:
        assert not scene.has_dataset_mask()  # it is no mask band that could be copied


def test_a_plain_raster_marks_nothing(tmp_path, pixels):
    valid, marked = valid_of(write(tmp_path / "a.tif", pixels))
    assert valid.all() and not marked


# Grids


def test_rasters_on_other_grids_are_refused(tmp_path, pixels):
    first = write(tmp_path / "a.tif", pixels)
    others = {
        "40 x 29 pixels instead of 40 x 30": {"pixels": pixels[:, :29]},
        "another CRS": {"pixels": pixels, "crs": "EPSG:32634"},
        "another position": {"pixels": pixels, "transform": TRANSFORM @ rasterio.Affine.translation(0, 0.5)},
    }
    for number, (reason, profile) in enumerate(others.items()):
        path = write(tmp_path / f"{number}.tif", profile.pop("pixels"), **profile)
        with pytest.raises(GridMismatch, match=reason) as caught:
            Scene([first, path])
        assert path in str(caught.value) and first in str(caught.value)


def test_small_differences_of_georeferencing_are_no_mismatch(tmp_path, pixels):
    """A thousandth of a pixel is rounding; a raster without georeferencing can only be taken as it lies."""
    first = write(tmp_path / "a.tif", pixels)
    near = write(tmp_path / "b.tif", pixels, transform=TRANSFORM @ rasterio.Affine.translation(2e-4, 0))
    bare = tmp_path / "c.tif"
    with rasterio.open(bare, "w", driver="GTiff", count=1, height=30, width=40, dtype="uint8") as file:
        file.write(pixels[:1])
    with Scene([first, near, str(bare)]) as scene:
        assert scene.count == 7


def test_rotated_transform_gcps_and_rpcs_are_part_of_the_grid():
    with rasterio.open(data("odd/odc-geo/au-3577-rotated.tif")) as file:
        assert grid_of(file).transform.b != 0
    with rasterio.open(data("odd/odc-geo/au-gcp.tif")) as file:
        grid = grid_of(file)
        assert len(grid.gcps) == 24 and grid.gcp_crs


# Refusals


def test_what_is_no_raster_is_named(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    for path, reason in ((text, "not recognized"), (tmp_path / "none.tif", "no such file"), (tmp_path, ".")):
        with pytest.raises(UnreadableRaster, match=reason) as caught:
            Scene([str(path)])
        assert str(path) in str(caught.value) and "Check that the file is complete" in str(caught.value)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_rasters_are_refused(tmp_path, dtype):
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=4, width=4, dtype=dtype):
        pass
    with pytest.raises(UnreadableRaster, match=f"data type {dtype} is not supported"):
        Scene([str(path)])


def test_only_an_alpha_band_is_no_scene(tmp_path):
    path = write(tmp_path / "a.tif", np.full((1, 5, 5), 255, np.uint8))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (ColorInterp.alpha,)
    with pytest.raises(UnreadableRaster, match="no data band"):
        Scene([path])


def test_a_truncated_file_fails_when_it_is_read(tmp_path, pixels):
    big = landscape(3, 300, 300).astype(np.uint8)
    path = write(tmp_path / "a.tif", big, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    with open(path, "r+b") as file:
        file.truncate(30_000)
    with pytest.raises(UnreadableRaster, match=r"a\.tif"), Scene([path]) as scene:
        scene.read()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("odd/rasterio/corrupt.tif", "IReadBlock failed"),
        ("odd/rasterio/two-subs.h5", "choose one subdataset"),
        ("odd/rasterio/no_band.h5", "choose one subdataset"),
        ("odd/rasterio/RGB.byte.gcp.vrt", "No such file"),
        ("odd/rasterio/RGB.byte.tif.aux.xml", "not recognized"),
    ],
)
def test_broken_rasters_of_the_data_folder(name, reason):
    with pytest.raises(UnreadableRaster, match=reason), Scene([data(name)]) as scene:
        scene.valid()
        scene.read()


def test_gzip_files_are_read_in_place(tmp_path, pixels):
    plain = write(tmp_path / "LE07_GM_B1.TIF", pixels[:1])
    with open(plain, "rb") as file, gzip.open(f"{plain}.gz", "wb") as packed:
        shutil.copyfileobj(file, packed)
    with open_raster(f"{plain}.gz") as source:
        np.testing.assert_array_equal(source.read(), pixels[:1])
    with pytest.raises(UnreadableRaster):
        open_raster(str(tmp_path / "none.TIF.gz"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["LE07_GM_B1.TIF", "LE07_GM_B1.TIF.gz"]


def test_a_failed_scene_closes_its_files(tmp_path, pixels):
    import os

    first = write(tmp_path / "a.tif", pixels)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for _ in range(20):
        with pytest.raises(UnreadableRaster):
            Scene([first, str(tmp_path / "none.tif")])
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_many_bands_are_read_in_the_order_that_is_asked_for(tmp_path):
    """More than are read at a time, out of order, with some of another file and type between."""
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


def test_thinned_is_every_so_manieth_pixel(tmp_path):
    """Also across the blocks that a tall scene is read in."""
    pixels = np.arange(2 * 1100 * 7, dtype=np.int32).reshape(2, 1100, 7)
    with Scene([write(tmp_path / "tall.tif", pixels)]) as scene:
        thinned = scene.read_subsampled(scene.read, None, 3)
        part = Window(1, 500, 5, 90)
        close = scene.read_subsampled(scene.read, part, 2)
    np.testing.assert_array_equal(thinned, pixels[:, ::3, ::3])
    np.testing.assert_array_equal(close, pixels[:, 500:590:2, 1:6:2])
