"""Polygons of a GeoJSON file become the pixels whose centres they contain."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM
from rasterio.warp import transform_geom

from dip_core.errors import UnusableExtent
from dip_core.raster.grid import Grid
from dip_core.raster.polygons import read_extent
from dip_core.runtime.context import Context

GRID = Grid(40, 30, rasterio.CRS.from_epsg(32633), TRANSFORM)


def box(left, top, right, bottom):
    """A polygon around these columns and rows."""
    (x0, y0), (x1, y1) = TRANSFORM @ (left, top), TRANSFORM @ (right, bottom)
    return {"type": "Polygon", "coordinates": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]}


def pixels(left, top, right, bottom):
    expected = np.zeros(GRID.shape, bool)
    expected[top:bottom, left:right] = True
    return expected


def extent(tmp_path, document, grid=GRID, events=None):
    path = tmp_path / "extent.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return read_extent(str(path), grid, Context(events.append if events is not None else None))


def feature(geometry):
    return {"type": "Feature", "properties": None, "geometry": geometry}


@pytest.mark.parametrize("form", ["geometry", "feature", "collection", "multi", "geometry collection"])
def test_all_forms_of_geojson(tmp_path, form):
    shape = box(5, 3, 20, 14)
    document = {
        "geometry": shape,
        "feature": feature(shape),
        "collection": {"type": "FeatureCollection", "features": [feature(None), feature(shape)]},
        "multi": {"type": "MultiPolygon", "coordinates": [shape["coordinates"], box(22, 20, 30, 25)["coordinates"]]},
        "geometry collection": {
            "type": "GeometryCollection",
            "geometries": [{"type": "Point", "coordinates": [0, 0]}, shape],
        },
    }[form]
    expected = pixels(5, 3, 20, 14)
    if form == "multi":
        expected |= pixels(22, 20, 30, 25)
    np.testing.assert_array_equal(extent(tmp_path, document), expected)


def test_pixel_centres_decide(tmp_path):
    np.testing.assert_array_equal(extent(tmp_path, box(4.4, 2.6, 10.6, 7.4)), pixels(4, 3, 11, 7))


def test_a_crs_member_is_transformed(tmp_path):
    shape = transform_geom("EPSG:32633", "EPSG:3857", box(5, 3, 20, 14))
    document = {**feature(shape), "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}}
    np.testing.assert_array_equal(extent(tmp_path, document), pixels(5, 3, 20, 14))


def test_longitude_and_latitude_are_recognised(tmp_path):
    events = []
    inside = extent(tmp_path, transform_geom("EPSG:32633", "EPSG:4326", box(5, 3, 20, 14)), events=events)
    np.testing.assert_array_equal(inside, pixels(5, 3, 20, 14))
    assert "longitude and latitude" in events[0].text


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "is not a GeoJSON file"),
        ("[1, 2]", "is not a GeoJSON file"),
        ("[" * 100_000, "is not a GeoJSON file"),
        ({"type": "FeatureCollection", "features": []}, "holds no polygon"),
        ({"type": "Point", "coordinates": [1, 2]}, "holds no polygon"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "is not valid"),
        ({"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [1, 0], ["a", 0]]]}, "is not valid"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [NaN, 1], [1, 0], [0, 0]]]}', "is not valid"),
        ({"type": "Polygon", "coordinates": 5}, "is not valid"),
        (box(100, 100, 120, 110), "no pixel centre of the scene"),
        (box(4.6, 2.6, 5.4, 3.4), "no pixel centre of the scene"),
        ({**box(5, 3, 20, 14), "crs": {"type": "name", "properties": {"name": "EPSG:0"}}}, "names no known CRS"),
        ({**box(5, 3, 20, 14), "crs": "EPSG:4326"}, "names no known CRS"),
    ],
)
def test_unusable_files(tmp_path, document, reason):
    with pytest.raises(UnusableExtent, match=reason) as caught:
        extent(tmp_path, document)
    assert re.search("Give (a GeoJSON file|polygons over)", str(caught.value)) and "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UnusableExtent, match="No such file"):
        read_extent(str(tmp_path / "none.geojson"), GRID, Context())
    with pytest.raises(UnusableExtent):
        read_extent(str(tmp_path), GRID, Context())
