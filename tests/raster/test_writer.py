"""Writing rasters: pixels, georeferencing and metadata are kept, and files appear only when complete."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import rasterio
from core_scenes import DATA, TRANSFORM, copy, data, landscape, read, write
from raster_comparison import differences
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.rpc import RPC
from rasterio.windows import Window

from dip_core.errors import DiskFull, UnwritableOutput
from dip_core.raster import atomic
from dip_core.raster.scene import Scene
from dip_core.raster.writer import RasterWriter

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

ODD = sorted(str(path.relative_to(DATA)) for path in (DATA / "odd").glob("*/*")) or ["odd"]
UNREADABLE = ("corrupt.tif", ".hdr", ".h5", ".xml", "RGB.byte.gcp.vrt", "RGB.byte.rpc.vrt", "compdcs.vrt", "iv.vrt")


@pytest.fixture(autouse=True)
def discard_temporary_files():
    yield
    atomic.discard()


@pytest.fixture
def pixels():
    return landscape(3, 30, 40).astype(np.uint8)


@pytest.mark.parametrize("name", [name for name in ODD if not name.endswith(UNREADABLE)])
def test_unusual_rasters_are_copied_completely(tmp_path, name):
    source = data(name)
    out = copy(source, tmp_path / "o.tif")
    lost = differences(source, out)
    # The first band of a GeoTIFF is grey or a colour; that of ENVI is undefined.
    assert lost == (["colorinterp of a band"] if name.endswith("cubus_gamsberg_subset") else [])
    # Sidecar files would be lost by the renaming.
    assert os.listdir(tmp_path) == ["o.tif"]


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
)
def test_extreme_values_of_all_types(tmp_path, dtype):
    kind = np.dtype(dtype)
    limits = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    values = np.array([limits.min, limits.max, 0, 1], kind).reshape(1, 2, 2)
    out = copy(write(tmp_path / "a.tif", values), tmp_path / "o.tif")
    assert read(out).dtype == kind
    np.testing.assert_array_equal(read(out), values)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 300), (2, 300, 1), (1, 700, 600), (12, 40, 30)])
def test_all_shapes(tmp_path, shape):
    values = landscape(*shape).astype(np.int16)
    out = copy(write(tmp_path / "a.tif", values, nodata=-999), tmp_path / "o.tif")
    np.testing.assert_array_equal(read(out), values)


def test_rotated_and_sheared_transform(tmp_path, pixels):
    turned = TRANSFORM @ rasterio.Affine.rotation(30) @ rasterio.Affine.shear(5)
    with rasterio.open(copy(write(tmp_path / "a.tif", pixels, transform=turned), tmp_path / "o.tif")) as file:
        assert file.transform == turned


def test_ground_control_points(tmp_path, pixels):
    corners = [(row, column) for row in (0, 29) for column in (0, 39)]
    points = [GroundControlPoint(row, column, 10.0 + column / 9, 50 - row / 7, 3.5) for row, column in corners]
    profile = {"driver": "GTiff", "count": 3, "height": 30, "width": 40, "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, gcps=points, crs="EPSG:4326") as file:
        file.write(pixels)
    out = copy(tmp_path / "a.tif", tmp_path / "o.tif")
    assert differences(str(tmp_path / "a.tif"), out) == []
    with rasterio.open(out) as file:
        assert len(file.gcps[0]) == 4 and file.gcps[1] == rasterio.CRS.from_epsg(4326)


def test_rational_polynomials(tmp_path, pixels):
    numerator, denominator = [0.25] * 20, [1.0] + [0.0] * 19
    rpcs = RPC(100, 10, 55.5, 0.1, denominator, numerator, 15, 20, 12.25, 0.2, denominator, numerator, 20, 15)
    path = write(tmp_path / "a.tif", pixels, crs=None, transform=None)
    with rasterio.open(path, "r+") as file:
        file.rpcs = rpcs
    out = copy(path, tmp_path / "o.tif")
    assert differences(path, out) == []
    with rasterio.open(out) as file:
        assert file.rpcs.line_num_coeff == numerator and file.rpcs.height_off == 100


def test_metadata_of_bands_and_file(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels, nodata=7)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("red", None, "grün")
        file.scales, file.offsets, file.units = (2.75e-5,) * 3, (-0.2, 0.0, 1.5), ("W", "", "m")
        file.update_tags(1, gain="high")
        file.update_tags(2, ns="SENSOR", detector="16")
        file.update_tags(scene_id="LE07")
        file.update_tags(ns="CUSTOM", key="a=b; c")
    out = copy(path, tmp_path / "o.tif", tags={"MADE": "by a test"})
    assert differences(path, out) == []
    with rasterio.open(out) as file:
        assert file.tags()["MADE"] == "by a test"
        assert file.tags(ns="CUSTOM") == {"key": "a=b; c"}
        assert file.descriptions == ("red", None, "grün") and file.nodata == 7


def test_statistics_of_the_input_are_not_copied(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, STATISTICS_MEAN="3", other="kept")
    with rasterio.open(copy(path, tmp_path / "o.tif")) as file:
        assert file.tags(1) == {"other": "kept"}


def test_xmp_is_not_copied(tmp_path, pixels):
    """An xml: domain is a single text; written as an item it would get a prefix with each copy."""
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="xml:XMP", **{"xml:XMP": "<x/>"})
    with rasterio.open(copy(path, tmp_path / "o.tif")) as file:
        assert file.tags(ns="xml:XMP") == {}


def test_colour_table(tmp_path):
    path = write(tmp_path / "a.tif", np.arange(12, dtype=np.uint8).reshape(1, 3, 4))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (255, 0, 0, 255), 11: (0, 0, 255, 255)})
    assert differences(path, copy(path, tmp_path / "o.tif")) == []
    # The deviation of a class number is not a class.
    with rasterio.open(copy(path, tmp_path / "u.tif", dtype="float32", content="deviation")) as file:
        assert file.colorinterp == (ColorInterp.gray,)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_masks_have_no_colours_and_no_alpha(tmp_path, count, dtype):
    """By default GDAL takes three and four bands of bytes for RGB and alpha, which would hide pixels."""
    path = write(tmp_path / "a.tif", landscape(count, 20, 30).astype(dtype), photometric="minisblack", nodata=0)
    out = tmp_path / "f.tif"
    with Scene([path]) as scene, RasterWriter(str(out), scene, dtype="uint8", nodata=None, content="mask") as writer:
        assert scene.count == count
        writer.write(np.zeros((count, 20, 30), np.uint8), Window(0, 0, 30, 20))
    atomic.commit()
    with rasterio.open(out) as file:
        assert file.count == count and file.nodata is None
        assert ColorInterp.alpha not in file.colorinterp and ColorInterp.red not in file.colorinterp
        assert file.mask_flag_enums[0] == [MaskFlags.all_valid]
        assert file.crs == rasterio.CRS.from_epsg(32633) and file.transform == TRANSFORM
    lost = differences(path, copy(path, tmp_path / "o.tif"))
    assert lost == []  # grey and undefined bands do not become colours


def test_deviations_have_the_scale_but_not_the_offset(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels, nodata=0)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets, file.units = (0.1,) * 3, (-273.0,) * 3, ("K",) * 3
    out = tmp_path / "u.tif"
    options = {"dtype": "float32", "nodata": math.nan, "descriptions": ["a", "b", "c"], "content": "deviation"}
    with Scene([path]) as scene, RasterWriter(str(out), scene, **options) as writer:
        writer.write(np.full((3, 30, 40), np.nan), Window(0, 0, 40, 30))
    atomic.commit()
    with rasterio.open(out) as file:
        assert file.scales == (0.1,) * 3 and file.offsets == (0.0,) * 3 and file.units == ("K",) * 3
        assert math.isnan(file.nodata) and file.descriptions == ("a", "b", "c")


def test_the_output_appears_at_the_commit(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels)
    out = str(tmp_path / "o.tif")
    with Scene([path]) as scene, RasterWriter(out, scene) as writer:
        writer.write(pixels, Window(0, 0, 40, 30))
        assert not os.path.exists(out)
        assert atomic.temporary_path(out) in [str(entry) for entry in tmp_path.iterdir()]
    assert not os.path.exists(out)
    atomic.commit()
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "o.tif"]


def test_an_error_leaves_no_file(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels)
    with pytest.raises(KeyError), Scene([path]) as scene, RasterWriter(str(tmp_path / "o.tif"), scene) as writer:
        writer.write(pixels[:, :5], Window(0, 0, 40, 5))
        raise KeyError
    atomic.discard()
    assert os.listdir(tmp_path) == ["a.tif"]


def test_an_existing_file_is_replaced_with_its_sidecars(tmp_path, pixels):
    out = write(tmp_path / "o.tif", pixels)
    for ending in (".aux.xml", ".ovr", ".msk"):
        (tmp_path / f"o.tif{ending}").write_text("describes other pixels")
    copy(write(tmp_path / "a.tif", 255 - pixels), out)
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "o.tif"]
    np.testing.assert_array_equal(read(out), 255 - pixels)


def test_paths_that_cannot_be_written_are_errors(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    places = {
        tmp_path / "none" / "o.tif": "does not exist",
        tmp_path / "folder": "it is a folder",
        tmp_path / "file" / "o.tif": "does not exist",
    }
    with Scene([path]) as scene:
        for place, reason in places.items():
            with pytest.raises(UnwritableOutput, match=reason) as caught:
                RasterWriter(str(place), scene)
            assert str(place) in str(caught.value)
    atomic.discard()
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "file", "folder"]


def test_a_full_disk_is_recognised_in_a_long_message(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise rasterio.errors.RasterioIOError(f"{'x' * 300}: No space left on device")

    scene = write(tmp_path / "in.tif", landscape(1).astype("u1"))
    monkeypatch.setattr(rasterio.io.DatasetWriter, "write", fail)
    with pytest.raises(DiskFull):
        copy(scene, tmp_path / "out.tif")


def test_items_and_name_of_the_alpha_band_are_kept(tmp_path):
    pixels = np.concatenate([landscape(3, 20, 30), np.full((1, 20, 30), 255.0)]).astype(np.uint8)
    pixels[3, :5] = 0
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        file.set_band_description(4, "coverage")
        file.update_tags(4, SOURCE="mosaic")
    with rasterio.open(copy(path, tmp_path / "o.tif")) as file:
        assert file.descriptions[3] == "coverage" and file.tags(4)["SOURCE"] == "mosaic"
