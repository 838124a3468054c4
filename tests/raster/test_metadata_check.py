"""Whatever an input's metadata hold is in the output or its sidecar, or its loss is one warning."""

from __future__ import annotations

import os

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from core_scenes import copy, fill, landscape, read, slanted_gaps, warnings_of, write
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from dip_core.raster import atomic
from dip_core.raster.crs import same_crs
from dip_core.raster.file_view import virtual_raster
from dip_core.raster.metadata_check import lost_metadata
from dip_core.raster.scene import Scene
from dip_core.raster.upsampled_scene import UpsampledScene
from dip_core.runtime.context import Context

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

ROTATED_POLE = """GEOGCRS["Rotated",BASEGEOGCRS["unknown",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,
298.257223563]]],DERIVINGCONVERSION["Pole rotation (netCDF CF convention)",METHOD["Pole rotation (netCDF CF convention)"
],PARAMETER["Grid north pole latitude (netCDF CF convention)",39.25,ANGLEUNIT["degree",0.0174532925199433]],
PARAMETER["Grid north pole longitude (netCDF CF convention)",-162,ANGLEUNIT["degree",0.0174532925199433]],
PARAMETER["North pole grid longitude (netCDF CF convention)",0,ANGLEUNIT["degree",0.0174532925199433]]],
CS[ellipsoidal,2],AXIS["latitude",north,ORDER[1],ANGLEUNIT["degree",0.0174532925199433]],
AXIS["longitude",east,ORDER[2],ANGLEUNIT["degree",0.0174532925199433]]]"""
CRSS = {
    "rotated pole": ROTATED_POLE,
    "local": 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]',
    "equal earth": "+proj=eqearth",
    "geostationary": "+proj=geos +h=35785831 +lon_0=0 +sweep=x",
    "oblique": "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180",
    "compound": "EPSG:32632+5773",
    "height": "EPSG:4979",
    "sinusoidal": "+proj=sinu +R=6371007.181",
    "Mars": "+proj=eqc +R=3396190 +lat_ts=10",
    "UTM": "EPSG:32633",
    "degrees": "EPSG:4326",
    "State Plane": "EPSG:2263",
}
COLOURS = '<ColorTable><Entry c1="1" c2="2" c3="3" c4="255"/><Entry c1="9" c2="8" c3="7" c4="255"/></ColorTable>'
NAMES = "<CategoryNames><Category>none</Category><Category>sand &amp; rüb</Category></CategoryNames>"
TABLE = (
    '<GDALRasterAttributeTable tableType="thematic"><FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5'
    '</Usage></FieldDefn><FieldDefn index="1"><Name>Class</Name><Type>2</Type><Usage>2</Usage></FieldDefn>'
    '<Row index="0"><F>1</F><F>water</F></Row></GDALRasterAttributeTable>'
)
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:tk="1"><r:d xmlns:r="urn:r">a=b: <i>c</i> d</r:d></x:xmpmeta>'


@pytest.fixture(autouse=True)
def discard_temporary_files():
    yield
    atomic.discard()


def source(tmp_path, sidecar="", bands=1, **profile):
    """A GeoTIFF whose further metadata are in a sidecar."""
    pixels = landscape(bands, 20, 30).astype(profile.pop("dtype", "uint8"))
    path = write(tmp_path / "in.tif", pixels, **profile)
    if sidecar:
        (tmp_path / "in.tif.aux.xml").write_text(f"<PAMDataset>{sidecar}</PAMDataset>", encoding="utf-8")
    return path


def checked_copy(path, out, **options):
    """Copy a raster; returns the warnings, and what the check finds missing."""
    events: list = []
    copy(path, out, context=Context(events.append), **options)
    with Scene([str(path)]) as scene:
        return warnings_of(events), lost_metadata(scene, str(out))


def band_xml(path, band, name):
    with rasterio.open(path) as file:
        found = virtual_raster(file).findall("VRTRasterBand")[band - 1].find(name)
    return None if found is None else "".join(found.itertext()).split()


@pytest.mark.parametrize("name", CRSS)
def test_every_crs_is_kept(tmp_path, name):
    crs = CRS.from_user_input(CRSS[name])
    path = source(tmp_path, crs=crs, dtype="float32")
    warned, lost = checked_copy(path, tmp_path / "o.tif")
    with rasterio.open(path) as old, rasterio.open(tmp_path / "o.tif") as new:
        assert same_crs(old.crs, crs) or name == "local"
        assert same_crs(old.crs, new.crs) and old.transform == new.transform
    assert not warned and not lost
    assert not [file for file in os.listdir(tmp_path) if file.startswith(".")]
    if name in ("UTM", "degrees", "State Plane", "compound"):
        assert not (tmp_path / "o.tif.aux.xml").exists()


def test_an_engineering_crs_keeps_its_name(tmp_path):
    text = 'ENGCRS["pit 7",EDATUM["site"],CS[Cartesian,2],AXIS["(E)",east],AXIS["(N)",north],LENGTHUNIT["metre",1]]'
    path = source(tmp_path, f"<SRS>{text.replace(chr(34), '&quot;')}</SRS>", crs=None)
    warned, lost = checked_copy(path, tmp_path / "o.tif")
    with rasterio.open(tmp_path / "o.tif") as new:
        assert "pit 7" in new.crs.to_wkt() and not warned and not lost


def test_different_crs_are_told_apart():
    crs = {name: CRS.from_user_input(text) for name, text in CRSS.items()}
    for one in crs:
        for other in crs:
            assert same_crs(crs[one], crs[other]) == (one == other)
    assert not same_crs(crs["UTM"], None) and same_crs(None, None)
    swept = CRS.from_user_input("+proj=geos +h=35785831 +lon_0=0 +sweep=y")
    assert not same_crs(crs["geostationary"], swept)


def test_the_outputs_of_a_job_on_a_rotated_pole(tmp_path):
    pixels = landscape(2).astype(np.float32)
    pixels[:, slanted_gaps()] = np.nan
    path = write(tmp_path / "a.tif", pixels, crs=CRS.from_wkt(ROTATED_POLE), nodata=np.nan)
    for _ in range(2):  # the second run replaces the outputs of the first
        _, outputs, _ = fill(tmp_path / "run", path, report=False)
    for name in ("output", "uncertainty", "filled"):
        with rasterio.open(outputs[name]) as file:
            assert same_crs(file.crs, CRS.from_wkt(ROTATED_POLE))
    expected = {"o.tif", "u.tif", "f.tif", "m.csv", "o.tif.aux.xml", "u.tif.aux.xml", "f.tif.aux.xml"}
    assert set(os.listdir(tmp_path / "run")) == expected


@pytest.mark.parametrize("bands", [1, 3])
def test_category_names_and_attribute_tables_are_kept(tmp_path, bands):
    parts = "".join(f'<PAMRasterBand band="{band}">{NAMES}{TABLE}</PAMRasterBand>' for band in range(1, bands + 1))
    path = source(tmp_path, parts, bands)
    warned, lost = checked_copy(path, tmp_path / "o.tif")
    assert not warned and not lost
    for band in range(1, bands + 1):
        assert band_xml(tmp_path / "o.tif", band, "CategoryNames") == ["none", "sand", "&", "rüb"]
        assert "water" in band_xml(tmp_path / "o.tif", band, "GDALRasterAttributeTable")


@pytest.mark.parametrize(("bands", "band"), [(1, 1), (3, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_the_colour_table_of_the_first_band_is_kept(tmp_path, bands, band, dtype):
    path = source(tmp_path, f'<PAMRasterBand band="{band}">{COLOURS}</PAMRasterBand>', bands, dtype=dtype)
    with rasterio.open(path) as file:
        assert file.colormap(1)[1] == (9, 8, 7, 255)
    warned, lost = checked_copy(path, tmp_path / "o.tif")
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.colormap(1)[1] == (9, 8, 7, 255) and not warned and not lost


def test_the_loss_of_other_colour_tables_is_one_warning(tmp_path):
    source(tmp_path, bands=3)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><Description>odd "{band}" = &lt;ü&gt;</Description>'
        f"<UnitType>m{band}</UnitType><Offset>{band}.5</Offset><Scale>0.{band}</Scale><ColorInterp>Palette</ColorInterp>"
        f'{COLOURS}<SimpleSource><SourceFilename relativeToVRT="1">in.tif</SourceFilename><SourceBand>{band}'
        "</SourceBand></SimpleSource></VRTRasterBand>"
        for band in (1, 2, 3)
    )
    (tmp_path / "in.vrt").write_text(f'<VRTDataset rasterXSize="30" rasterYSize="20">{bands}</VRTDataset>')
    warned, lost = checked_copy(tmp_path / "in.vrt", tmp_path / "o.tif")
    assert len(warned) == 1 and "the colour table of 2 bands of" in warned[0] and len(lost) == 2
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.descriptions == tuple(f'odd "{band}" = <ü>' for band in (1, 2, 3))
        assert file.units == ("m1", "m2", "m3") and file.offsets == (1.5, 2.5, 3.5) and file.scales == (0.1, 0.2, 0.3)
        assert file.colormap(1)[1] == (9, 8, 7, 255)


def test_xml_and_json_domains_are_kept(tmp_path):
    parts = (
        f'<Metadata domain="xml:XMP" format="xml">{XMP}</Metadata>'
        '<Metadata domain="xml:ESRI" format="xml"><metadata><Esri a="ü"/></metadata></Metadata>'
        '<Metadata domain="json:ISIS3" format="json">{"IsisCube": {"a": [1, 2], "b=c": "d:e"}}</Metadata>'
        '<Metadata domain="GEOLOCATION"><MDI key="X_DATASET">/d/lon.tif</MDI><MDI key="PIXEL_STEP">2</MDI></Metadata>'
        '<Metadata><MDI key="plain">  two  words </MDI><MDI key="lines">1\n2</MDI></Metadata>'
    )
    path = source(tmp_path, parts)
    warned, lost = checked_copy(path, tmp_path / "o.tif")
    assert not warned and not lost
    with rasterio.open(path) as old, rasterio.open(tmp_path / "o.tif") as new:
        # GDAL breaks the lines of XML with mixed content anew.
        assert "".join(old.tags(ns="xml:XMP")["xml:XMP"].split()) == "".join(new.tags(ns="xml:XMP")["xml:XMP"].split())
        for domain in ("xml:ESRI", "json:ISIS3", "GEOLOCATION"):
            assert old.tags(ns=domain) == new.tags(ns=domain)
    assert checked_copy(tmp_path / "o.tif", tmp_path / "oo.tif") == ([], [])


def test_a_colour_profile_is_kept(tmp_path):
    path = source(tmp_path, bands=3, photometric="rgb", SOURCE_ICC_PROFILE="AAECAw==")
    assert checked_copy(path, tmp_path / "o.tif") == ([], [])
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.tags(ns="COLOR_PROFILE")["SOURCE_ICC_PROFILE"] == "AAECAw=="


def test_statistics_are_not_kept_and_not_missed(tmp_path):
    items = '<Metadata><MDI key="STATISTICS_MAXIMUM">9</MDI><MDI key="kept">1</MDI></Metadata>'
    path = source(tmp_path, f'<PAMRasterBand band="1">{items}</PAMRasterBand>')
    assert checked_copy(path, tmp_path / "o.tif") == ([], [])
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.tags(1) == {"kept": "1"}


def test_a_name_without_room_for_a_sidecar_loses_it_and_says_so(tmp_path):
    path = source(tmp_path, f'<PAMRasterBand band="1">{NAMES}</PAMRasterBand>', crs=CRS.from_wkt(ROTATED_POLE))
    name = "n" * 251 + ".tif"
    warned, _ = checked_copy(path, tmp_path / name)
    assert len(warned) == 1 and "the category names of band 1" in warned[0]
    assert set(os.listdir(tmp_path)) == {"in.tif", "in.tif.aux.xml", name}


def test_control_points_with_an_unusual_crs(tmp_path):
    points = [GroundControlPoint(row, column, column / 9, row / 7, 1) for row in (0, 19) for column in (0, 29)]
    path = tmp_path / "in.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 20, "width": 30, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, gcps=points, crs=CRS.from_wkt(ROTATED_POLE)) as file:
        file.write(landscape(1, 20, 30).astype(np.uint8))
    assert checked_copy(path, tmp_path / "o.tif") == ([], [])


DRIVERS = {
    "HFA": ("img", {"statistics": "yes"}),
    "ENVI": ("dat", {}),
    "PNG": ("png", {"worldfile": "yes"}),
    "AAIGrid": ("asc", {}),
    "ERS": ("ers", {}),
    "NITF": ("ntf", {}),
    "ISIS3": ("cub", {}),
    "PDS4": ("xml", {}),
    "VICAR": ("vic", {}),
    "JP2OpenJPEG": ("jp2", {"quality": 100, "reversible": "yes"}),
    "netCDF": ("nc", {}),
    "VRT": ("vrt", {}),
    "SAGA": ("sdat", {}),
}


@pytest.mark.parametrize("driver", DRIVERS)
def test_formats(tmp_path, driver):
    ending, options = DRIVERS[driver]
    first = source(tmp_path, f'<PAMRasterBand band="1">{NAMES}{TABLE}</PAMRasterBand>')
    try:
        with rasterio.Env() as env, rasterio.open(first) as file:
            if driver not in env.drivers():
                pytest.skip(f"GDAL without {driver}")
            rasterio.shutil.copy(file, tmp_path / f"in.{ending}", driver=driver, **options)
    except rasterio.errors.RasterioError as error:
        pytest.skip(str(error))
    path = tmp_path / f"in.{ending}"
    assert checked_copy(path, tmp_path / "o.tif") == ([], [])
    with Scene([str(path)]) as old, Scene([str(tmp_path / "o.tif")]) as new:
        assert np.array_equal(old.read(), new.read()) and np.array_equal(old.valid(), new.valid())
        assert old.nodata == new.nodata


def test_items_of_further_files_become_items_of_their_bands(tmp_path):
    paths = [write(tmp_path / f"{name}.tif", landscape(1, 20, 30).astype(np.uint8)) for name in "ab"]
    for path, day in zip(paths, ("1", "2")):
        with rasterio.open(path, "r+") as file:
            file.update_tags(DAY=day, SENSOR="x")
    out = copy(paths, tmp_path / "o.tif")
    with rasterio.open(out) as file:
        assert (file.tags()["DAY"], file.tags(2)) == ("1", {"DAY": "2"})


def test_a_geolocation_array_is_scaled_to_smaller_pixels(tmp_path):
    items = {"X_DATASET": "/d/lon.tif", "PIXEL_OFFSET": "1", "PIXEL_STEP": "5", "LINE_OFFSET": "0", "LINE_STEP": "1"}
    parts = "".join(f'<MDI key="{key}">{value}</MDI>' for key, value in items.items())
    path = source(tmp_path, f'<Metadata domain="GEOLOCATION">{parts}</Metadata>', crs=None, transform=None)
    with Scene([path]) as scene:
        found = UpsampledScene(scene, 3).tags()["GEOLOCATION"]
    assert found == {**items, "PIXEL_OFFSET": "3", "PIXEL_STEP": "15", "LINE_STEP": "3"}


def test_pixels_are_the_same_with_and_without_a_sidecar(tmp_path):
    path = source(tmp_path, f'<PAMRasterBand band="1">{NAMES}</PAMRasterBand>')
    checked_copy(path, tmp_path / "o.tif")
    assert np.array_equal(read(path), read(tmp_path / "o.tif"))
