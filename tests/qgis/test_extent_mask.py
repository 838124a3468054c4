"""EXTENT_MASK and MAX_DISTANCE with the real qgis_process and engine.

QGIS 3.22 may crash when a Python process in which it has reprojected vectors ends, so these tests use qgis_process.
"""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from qgis_helpers import read_pixels, run_qgis_process

pytestmark = [pytest.mark.qgis, pytest.mark.usefixtures("real_engine")]

LEFT, TOP, PIXEL = 500000, 9000000, 30  # of the test scenes, in EPSG:32622


def write_polygons(folder, *polygons):
    """A GeoJSON file with polygons given by columns and rows, in longitude and latitude."""
    shapes = [[[[LEFT + PIXEL * x, TOP - PIXEL * y] for x, y in polygon]] for polygon in polygons]
    code = (
        "import json, sys; from rasterio.warp import transform_geom; "
        "print(json.dumps(transform_geom('EPSG:32622', 'EPSG:4326', json.load(sys.stdin))))"
    )
    geometries = json.dumps([{"type": "Polygon", "coordinates": shape} for shape in shapes])
    command = [os.environ["DEEP_PRIOR_PYTHON"], "-c", code]
    moved = json.loads(subprocess.run(command, input=geometries, capture_output=True, text=True, check=True).stdout)
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in moved]
    path = folder / "fields.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return str(path)


def run(folder, scene, **parameters):
    done = run_qgis_process(
        "deepprior:gapfillslcoff", folder, INPUT=scene, METHOD="fast", OUTPUT="o.tif", FILLED="f.tif", **parameters
    )
    return done, (read_pixels(folder / "f.tif")[0] > 0 if done.returncode == 0 else None)


def box(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def test_polygons_in_another_crs(tmp_path, scene):
    missing = read_pixels(scene)[0] == 0
    done, filled = run(tmp_path, scene, EXTENT_MASK=write_polygons(tmp_path, box(0, 0, 20, 1000)))
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(filled[:, :20], missing[:, :20])
    assert not filled[:, 20:].any()


def test_an_invalid_polygon_is_repaired(tmp_path, scene):
    rows, columns = read_pixels(scene)[0].shape
    bow_tie = [(0, 0), (columns, rows), (columns, 0), (0, rows), (0, 0)]
    done, filled = run(tmp_path, scene, EXTENT_MASK=write_polygons(tmp_path, bow_tie))
    assert done.returncode == 0, done.stderr
    middle = columns // 2
    assert filled[:, :3].any() and filled[:, -3:].any() and filled[: rows // 4, middle - 2 : middle + 2].sum() == 0


def test_a_layer_without_polygons(tmp_path, scene):
    done, _ = run(tmp_path, scene, EXTENT_MASK=write_polygons(tmp_path))
    assert done.returncode == 1 and not (tmp_path / "o.tif").exists()
    assert "EXTENT_MASK" in done.stderr and "Traceback" not in done.stderr


def test_polygons_elsewhere(tmp_path, scene):
    done, _ = run(tmp_path, scene, EXTENT_MASK=write_polygons(tmp_path, box(2000, 2000, 2100, 2100)))
    assert done.returncode == 1 and not (tmp_path / "o.tif").exists()
    assert "EXTENT_MASK: no pixel centre of the scene lies inside its polygons. Give polygons over" in done.stderr
    assert "GeoJSON" not in done.stderr  # the user gave a layer; the worker's file is temporary


def test_max_distance(tmp_path, scene):
    done, filled = run(tmp_path, scene, MAX_DISTANCE=1)
    missing = read_pixels(scene)[0] == 0
    assert done.returncode == 0 and 0 < filled.sum() < missing.sum()
