"""Rasters out: what is written comes back, with all that is known of it, and only as a whole."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import rasterio
from core_scenes import DATA, TRANSFORM, copy, data, landscape, read, write
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.rpc import RPC
from rasterio.windows import Window

from dip_core.errors import DiskFull, UnwritableOutput
from dip_core.raster import atomic, metadata
from dip_core.raster.scene import Scene
from dip_core.raster.writer import RasterWriter

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(autouse=True)
def no_partials_left():
    yield
    atomic.discard()


@pytest.fixture
def pixels():
    return landscape(3, 30, 40).astype(np.uint8)


def same(one, other):
    """Equal, NaN included."""
    return one == other or (one != one and other != other)


def differences(first: str, second: str) -> list[str]:
    """What a copy lost or changed, by name."""
    found = []
    with Scene([first]) as old, Scene([second]) as new:
        if old.dtype != new.dtype or not np.array_equal(old.read(), new.read(), equal_nan=old.dtype.kind == "f"):
            found.append("pixels")
        if not np.array_equal(old.valid(), new.valid()):
            found.append("valid pixels")
        for name in ("width", "height", "crs", "transform", "gcp_crs"):
            if getattr(old.grid, name) != getattr(new.grid, name):
                found.append(name)
        if [point.asdict() for point in old.grid.gcps] != [point.asdict() for point in new.grid.gcps]:
            found.append("ground control points")
        if (old.grid.rpcs and old.grid.rpcs.to_dict()) != (new.grid.rpcs and new.grid.rpcs.to_dict()):
            found.append("RPCs")
        for one, other in zip(old.bands, new.bands):
            for name in ("dtype", "nodata", "scale", "offset", "units", "description", "colorinterp"):
                if not same(getattr(one, name), getattr(other, name)):
                    found.append(f"{name} of a band")
            for space, items in one.tags.items():
                kept = {key: value for key, value in items.items() if not key.startswith("STATISTICS_")}
                if not kept.items() <= other.tags.get(space, {}).items():
                    found.append(f"items of a band in '{space}'")
        for space, items in old.tags().items():
            changed = {"wavelength", "fwhm", "bbl", "wavelength_units"} if space == "ENVI" else set()
            if any(new.tags().get(space, {}).get(key) != value for key, value in items.items() if key not in changed):
                found.append(f"items in '{space}'")
        if old.colormap(0) != new.colormap(0):
            found.append("colour table")
        spectra = [
            np.array([[item.wavelength, item.fwhm, item.good] for item in metadata.read_spectral_info(scene)], float)
            for scene in (old, new)
        ]
        if not np.allclose(*spectra, rtol=1e-5, equal_nan=True):  # six digits are written
            found.append("wavelengths")
    return sorted(set(found))


# The whole house


ODD = sorted(str(path.relative_to(DATA)) for path in (DATA / "odd").glob("*/*")) or ["odd"]
UNREADABLE = ("corrupt.tif", ".hdr", ".h5", ".xml", "RGB.byte.gcp.vrt", "RGB.byte.rpc.vrt", "compdcs.vrt", "iv.vrt")


@pytest.mark.parametrize("name", [name for name in ODD if not name.endswith(UNREADABLE)])
def test_odd_rasters_survive(tmp_path, name):
    source = data(name)
    out = copy(source, tmp_path / "o.tif")
    lost = differences(source, out)
    # A GeoTIFF's first band is grey or a colour; ENVI's is undefined.
    assert lost == (["colorinterp of a band"] if name.endswith("cubus_gamsberg_subset") else [])
    # Whatever GDAL would have put beside the file would be lost at the renaming.
    assert os.listdir(tmp_path) == ["o.tif"]


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
)
def test_every_type_keeps_its_extremes(tmp_path, dtype):
    kind = np.dtype(dtype)
    limits = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    values = np.array([limits.min, limits.max, 0, 1], kind).reshape(1, 2, 2)
    out = copy(write(tmp_path / "a.tif", values), tmp_path / "o.tif")
    assert read(out).dtype == kind
    np.testing.assert_array_equal(read(out), values)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 300), (2, 300, 1), (1, 700, 600), (12, 40, 30)])
def test_every_shape(tmp_path, shape):
    values = landscape(*shape).astype(np.int16)
    out = copy(write(tmp_path / "a.tif", values, nodata=-999), tmp_path / "o.tif")
    np.testing.assert_array_equal(read(out), values)


def test_a_turned_and_sheared_transform(tmp_path, pixels):
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


def test_what_is_known_of_bands_and_file(tmp_path, pixels):
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


def test_old_statistics_are_not_claimed_of_new_pixels(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, STATISTICS_MEAN="3", other="kept")
    with rasterio.open(copy(path, tmp_path / "o.tif")) as file:
        assert file.tags(1) == {"other": "kept"}


def test_xmp_is_left_out_rather_than_garbled(tmp_path, pixels):
    """An xml: domain is one text; written as an item it would get a prefix at each copy."""
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
    # The deviation of a class number is no class.
    with rasterio.open(copy(path, tmp_path / "u.tif", dtype="float32", content="deviation")) as file:
        assert file.colorinterp == (ColorInterp.gray,)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_mask_of_any_number_of_bands_is_a_mask(tmp_path, count, dtype):
    """GDAL makes RGB and alpha of three and four bands of bytes; a mask whose fourth band is alpha hides pixels."""
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
    assert lost == []  # grey and undefined bands do not become colours either


def test_a_deviation_has_the_scale_but_not_the_offset(tmp_path, pixels):
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


# Masks and alpha


def with_hole(shape=(30, 40)):
    hole = np.zeros(shape, bool)
    hole[10:14, 5:30] = True
    return hole


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 3), ("uint16", 3), ("uint8", 1), ("uint16", 4)])
def test_filled_pixels_become_opaque(tmp_path, dtype, bands):
    hole = with_hole()
    opaque = np.iinfo(dtype).max
    alpha = np.where(hole, 0, opaque)
    alpha[0, 0] = 100  # half transparent
    alpha[29, :] = 0  # outside
    path = write(tmp_path / "a.tif", np.concatenate([landscape(bands, 30, 40), alpha[None]]).astype(dtype))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * bands, ColorInterp.alpha)
    out = copy(path, tmp_path / "o.tif", changed=np.broadcast_to(hole, (bands, 30, 40)))
    result = read(out)[-1]
    assert (result[hole] == opaque).all()
    np.testing.assert_array_equal(result[~hole], alpha[~hole])  # to the last bit
    with rasterio.open(out) as file:
        assert file.colorinterp[-1] == ColorInterp.alpha and file.count == bands + 1


def test_alpha_keeps_its_meaning_in_a_wider_type(tmp_path, pixels):
    """RGBA bytes stacked with a band of 16 bits: opaque is 65535 there."""
    alpha = np.where(with_hole(), 0, 255).astype(np.uint8)
    first = write(tmp_path / "a.tif", np.concatenate([pixels, alpha[None]]), photometric="rgb", alpha="yes")
    second = write(tmp_path / "b.tif", pixels[:1].astype(np.uint16) * 100)
    out = copy([first, second], tmp_path / "o.tif")
    np.testing.assert_array_equal(read(out)[-1], np.where(with_hole(), 0, 65535))


def test_filled_pixels_are_unmasked(tmp_path, pixels):
    hole = with_hole()
    outside = np.zeros_like(hole)
    outside[:, 35:] = True
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(tmp_path / "a.tif", pixels)
        with rasterio.open(path, "r+") as file:
            file.write_mask(~(hole | outside))
    out = copy(path, tmp_path / "o.tif", changed=np.broadcast_to(hole, pixels.shape))
    with rasterio.open(out) as file:
        np.testing.assert_array_equal(file.dataset_mask() > 0, ~outside)
        assert MaskFlags.per_dataset in file.mask_flag_enums[0]
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "o.tif"]  # no .msk beside it


def test_nodata_values_of_all_bands_together_are_kept(tmp_path, pixels):
    pixels[:, with_hole()] = 0
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.update_tags(NODATA_VALUES="0 0 0")
    assert differences(path, copy(path, tmp_path / "o.tif")) == []


@pytest.mark.parametrize("first", [0, None])
def test_bands_with_several_nodata_values_get_one(tmp_path, pixels, first):
    """A GeoTIFF has one nodata value: missing pixels of the other bands take it, and stay missing."""
    hole = with_hole()
    one, two = pixels[:1].copy(), pixels[1:2].copy()
    if first is not None:
        one[0][hole] = first
    two[0][hole] = 255
    paths = [write(tmp_path / "a.tif", one, nodata=first), write(tmp_path / "b.tif", two, nodata=255)]
    filled = np.zeros((2, 30, 40), bool)
    filled[:, 10] = True  # a row of the hole is filled, with whatever stands there
    out = copy(paths, tmp_path / "o.tif", changed=filled)
    with rasterio.open(out) as file:
        assert file.nodata == (255 if first is None else first)
        result = file.read()
        masks = file.read_masks() > 0
    assert (result[1][hole & ~filled[1]] == (255 if first is None else 0)).all()
    assert not masks[1][hole & ~filled[1]].any()
    np.testing.assert_array_equal(result[:, ~hole], np.concatenate([one, two])[:, ~hole])


# Only as a whole


def test_nothing_appears_before_the_commit(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels)
    out = str(tmp_path / "o.tif")
    with Scene([path]) as scene, RasterWriter(out, scene) as writer:
        writer.write(pixels, Window(0, 0, 40, 30))
        assert not os.path.exists(out)
        assert atomic.temporary_path(out) in [str(entry) for entry in tmp_path.iterdir()]
    assert not os.path.exists(out)
    atomic.commit()
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "o.tif"]


def test_an_error_inside_leaves_nothing(tmp_path, pixels):
    path = write(tmp_path / "a.tif", pixels)
    with pytest.raises(KeyError), Scene([path]) as scene, RasterWriter(str(tmp_path / "o.tif"), scene) as writer:
        writer.write(pixels[:, :5], Window(0, 0, 40, 5))
        raise KeyError
    atomic.discard()
    assert os.listdir(tmp_path) == ["a.tif"]


def test_a_file_that_stood_there_is_replaced_with_its_sidecars(tmp_path, pixels):
    out = write(tmp_path / "o.tif", pixels)
    for ending in (".aux.xml", ".ovr", ".msk"):
        (tmp_path / f"o.tif{ending}").write_text("of other pixels")
    copy(write(tmp_path / "a.tif", 255 - pixels), out)
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "o.tif"]
    np.testing.assert_array_equal(read(out), 255 - pixels)


def test_places_that_cannot_be_written_are_named(tmp_path, pixels):
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


def test_a_disk_without_room_is_known_beforehand(tmp_path):
    target = str(tmp_path / "o.tif")
    atomic.check_disk_space(target, 1)
    with pytest.raises(DiskFull, match="MB free, about 1000000000000 MB needed"):
        atomic.check_disk_space(target, 10**18)
