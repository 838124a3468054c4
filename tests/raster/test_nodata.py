"""Nodata values to the last bit: 64-bit integers, values outside the type, and bands that differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from core_scenes import copy, fill, landscape, read, slanted_gaps, warnings_of, write

from dip_core.errors import UnreadableRaster
from dip_core.raster import atomic
from dip_core.raster.file_view import declared_nodata
from dip_core.raster.geotiff import create_geotiff
from dip_core.raster.nodata import same_in
from dip_core.raster.scene import Scene
from dip_core.raster.writer import RasterWriter
from dip_core.runtime.context import Context

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

EXACT = [
    ("int64", -9223372036854775808),
    ("int64", 9223372036854775807),
    ("int64", -9007199254740993),
    ("int64", -9999),
    ("uint64", 18446744073709551615),
    ("uint64", 9999999999),
    ("uint64", 9007199254740993),
    ("uint64", 0),
    ("int8", -128),
    ("uint16", 65535),
    ("int32", -2147483648),
    ("float32", 0.1),
    ("float32", -3.4028234663852886e38),
    ("float32", -3.40282306073709653e38),
    ("float32", math.nan),
    ("float32", math.inf),
    ("float64", -math.inf),
    ("float64", 0.1),
    ("float64", -1.7976931348623157e308),
    ("uint8", -9999),
    ("uint8", 256),
    ("int16", 0.5),
    ("uint16", math.nan),
    ("float32", 1e300),
]


@pytest.fixture(autouse=True)
def discard_temporary_files():
    yield
    atomic.discard()


def raster(path, pixels, nodata):
    """A GeoTIFF with any nodata value."""
    bands, rows, columns = pixels.shape
    profile = {"driver": "GTiff", "count": bands, "height": rows, "width": columns, "dtype": pixels.dtype.name}
    profile.update(crs="EPSG:32633", transform=rasterio.Affine(30, 0, 5e5, 0, -30, 6e6))
    with create_geotiff(str(path), profile, nodata) as file:
        file.write(pixels)
    return str(path)


def declared(path):
    with rasterio.open(path) as file:
        return declared_nodata(file)


@pytest.mark.parametrize(("dtype", "nodata"), EXACT)
def test_a_copy_has_the_same_nodata_value_and_valid_pixels(tmp_path, dtype, nodata):
    kind = np.dtype(dtype)
    pixels = (np.arange(60) % 50 + 1).astype(kind).reshape(1, 6, 10)
    usable = kind.kind == "f" and nodata != 1e300
    usable |= kind.kind != "f" and isinstance(nodata, int) and np.iinfo(kind).min <= nodata <= np.iinfo(kind).max
    if usable:
        pixels[0, 2, 3:7] = nodata
        if 0 < abs(nodata) < 1e30:  # GDAL compares huge floats with a tolerance that overflows
            pixels[0, 4, 4] = kind.type(int(nodata) // 2)
        if kind.itemsize == 8 and kind.kind != "f":  # what a float would take for nodata
            pixels[0, 5, 5] = nodata - 1 if nodata > 0 else nodata + 1
    source = raster(tmp_path / "a.tif", pixels, nodata)
    out = copy(source, tmp_path / "o.tif")
    assert [str(value) for value in declared(out)] == [str(nodata)] or same_in(kind, declared(out)[0], nodata)
    np.testing.assert_array_equal(read(out), pixels)
    with Scene([source]) as old, Scene([out]) as new:
        expected = np.ones((6, 10), bool)
        if usable:
            expected[2, 3:7] = False
        np.testing.assert_array_equal(old.valid()[0], expected)
        np.testing.assert_array_equal(new.valid()[0], expected)
        assert (old.nodata is None) == (not usable and dtype != "int16")


@pytest.mark.parametrize(("dtype", "nodata"), [("int64", -9223372036854775808), ("uint64", 18446744073709551615)])
def test_gaps_of_64_bit_integers_are_filled(tmp_path, dtype, nodata):
    pixels = landscape(2).astype(dtype)
    truth = pixels.copy()
    pixels[:, slanted_gaps()] = nodata
    _, paths, _ = fill(tmp_path / "run", raster(tmp_path / "a.tif", pixels, nodata), report=False)
    result = read(paths["output"])
    assert declared(paths["output"]) == [nodata] * 2
    assert np.array_equal(result[:, ~slanted_gaps()], truth[:, ~slanted_gaps()])
    assert np.abs(result.astype(float) - truth.astype(float)).mean() < 10


def vrt(path, files, nodata):
    """A VRT with one band per file, each with its own nodata value or None."""
    with rasterio.open(files[0]) as file:
        rasterio.shutil.copy(file, path, driver="VRT")
    with rasterio.open(files[0]) as file:
        size = f'rasterXSize="{file.width}" rasterYSize="{file.height}"'
        kind = {"uint8": "Byte", "int16": "Int16", "float32": "Float32", "uint16": "UInt16"}[file.dtypes[0]]
    bands = [
        f'<VRTRasterBand dataType="{kind}" band="{number}">'
        + ("" if value is None else f"<NoDataValue>{value}</NoDataValue>")
        + f"<SimpleSource><SourceFilename>{file}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        + "</VRTRasterBand>"
        for number, (file, value) in enumerate(zip(files, nodata), start=1)
    ]
    path.write_text(f"<VRTDataset {size}>{''.join(bands)}</VRTDataset>")
    return str(path)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint8", (0, None)),
        ("uint8", (None, 0)),
        ("int16", (0, None)),
        ("int16", (-999, 0)),
        ("float32", (0, None)),
        ("uint16", (0, 65535)),
    ],
)
def test_valid_values_of_one_band_are_not_the_nodata_of_another(tmp_path, dtype, nodata):
    hole = np.zeros((30, 40), bool)
    hole[5:9, 8:20] = True
    bands, holes = landscape(2, 30, 40).astype(dtype), []
    bands[:, 20:24, 3:9] = 0  # valid unless 0 is nodata of the band
    bands[:, 26, 3:9] = 65535 if dtype == "uint16" else 77
    for band, value in zip(bands, nodata):
        if value is not None:
            band[hole] = value
        holes.append(band != value if value is not None else np.ones_like(hole))
    files = [write(tmp_path / f"{number}.tif", band[None]) for number, band in enumerate(bands)]
    source = vrt(tmp_path / "a.vrt", files, nodata)
    warned: list = []
    out = copy(source, tmp_path / "o.tif", context=Context(warned.append))
    with Scene([out]) as new:
        np.testing.assert_array_equal(new.valid(), np.stack(holes))
    np.testing.assert_array_equal(read(out)[np.stack(holes)], bands[np.stack(holes)])
    assert len(set(map(str, declared(out)))) == 1 and len(warnings_of(warned)) == 1


def test_a_byte_raster_that_uses_every_value_is_refused(tmp_path):
    every = np.resize(np.arange(256), (1, 32, 32)).astype(np.uint8)
    files = [write(tmp_path / f"{number}.tif", every) for number in range(2)]
    source = vrt(tmp_path / "a.vrt", files, (0, None))
    with Scene([source]) as scene, pytest.raises(UnreadableRaster, match="larger type"):
        RasterWriter(str(tmp_path / "o.tif"), scene)


def test_an_unused_value_is_found_among_all(tmp_path):
    every = np.resize(np.arange(256), (1, 32, 32)).astype(np.uint8)
    every[every == 133] = 134
    files = [write(tmp_path / f"{number}.tif", every) for number in range(2)]
    out = copy(vrt(tmp_path / "a.vrt", files, (0, None)), tmp_path / "o.tif")
    assert declared(out) == [133, 133]
    with Scene([out]) as new:
        np.testing.assert_array_equal(new.valid(), np.concatenate([every != 0, np.ones_like(every, bool)]))


def test_masks_of_single_files_are_kept(tmp_path):
    """Two files with masks of their own: what one masks is not valid in the output, what it does not mask is."""
    masks = np.ones((2, 30, 40), bool)
    masks[0, 3:9, 5:20] = masks[1, 20:25, 30:] = False
    pixels = landscape(2, 30, 40).astype(np.uint8)
    files = []
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        for number in range(2):
            files.append(write(tmp_path / f"{number}.tif", pixels[number : number + 1]))
            with rasterio.open(files[-1], "r+") as file:
                file.write_mask(masks[number])
    out = copy(files, tmp_path / "o.tif")
    with Scene([out]) as new:
        np.testing.assert_array_equal(new.valid(), masks)
    np.testing.assert_array_equal(read(out)[masks], pixels[masks])


def test_ordinary_rasters_get_no_warning_and_no_sidecar(tmp_path):
    for number, nodata in enumerate((None, 0, -9999, math.nan)):
        source = write(tmp_path / f"{number}.tif", landscape(3, 20, 30).astype("float32"), nodata=nodata)
        warned: list = []
        copy(source, tmp_path / "o.tif", context=Context(warned.append))
        assert not warned and not list(tmp_path.glob("*.xml"))
