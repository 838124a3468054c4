"""The polygons of EXTENT_MASK reach the worker as GeoJSON in the CRS of the scene."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.qgis

# Keeps a copy of the polygons, which are removed with the run's temporary folder.
KEEP_EXTENT = """
    import shutil
    shutil.copy(job["extent_mask"], os.path.join(os.path.dirname(sys.argv[0]), "extent.json"))
    """


@pytest.fixture
def layer(scene, provider, tmp_path):
    """Makes a file of polygons whose corners are given as shares of the scene's width and height."""
    from osgeo import gdal, ogr, osr

    raster = gdal.Open(scene)
    left, width, _, top, _, height = raster.GetGeoTransform()
    reference = raster.GetSpatialRef()

    def make(*polygons, crs=None):
        target = osr.SpatialReference()
        target.ImportFromEPSG(crs) if crs else target.ImportFromWkt(reference.ExportToWkt())
        for each in (reference, target):
            each.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        path = str(tmp_path / "fields.gpkg")
        file = ogr.GetDriverByName("GPKG").CreateDataSource(path)
        table = file.CreateLayer("fields", target, ogr.wkbPolygon)
        for corners in polygons:
            places = [
                (left + x * width * raster.RasterXSize, top + y * height * raster.RasterYSize) for x, y in corners
            ]
            shape = ogr.CreateGeometryFromWkt(f"POLYGON(({', '.join(f'{x!r} {y!r}' for x, y in places)}))")
            shape.Transform(osr.CoordinateTransformation(reference, target))
            feature = ogr.Feature(table.GetLayerDefn())
            feature.SetGeometry(shape)
            table.CreateFeature(feature)
        file = table = None
        return path

    right, bottom = left + width * raster.RasterXSize, top + height * raster.RasterYSize
    make.extent = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    return make


@pytest.fixture
def run(run_fake, scene, output, tmp_path):
    def run(value, **options):
        done = run_fake(
            "gapfillslcoff", {"INPUT": scene, "EXTENT_MASK": value, "OUTPUT": output}, first=KEEP_EXTENT, **options
        )
        return done.job, json.loads((tmp_path / "extent.json").read_text(encoding="utf-8"))

    return run


def bounds(document):
    points = [p for f in document["features"] for ring in f["geometry"]["coordinates"] for p in ring]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


LEFT = ((0, 0), (0.4, 0), (0.4, 1), (0, 1), (0, 0))
RIGHT = ((0.6, 0), (1, 0), (1, 1), (0.6, 1), (0.6, 0))
BOW_TIE = ((0, 0), (1, 1), (1, 0), (0, 1), (0, 0))


@pytest.mark.parametrize("crs", [None, 4326, 3857])
def test_polygons_are_reprojected_to_the_scene(run, layer, crs):
    job, document = run(layer(LEFT, RIGHT, crs=crs))
    assert bounds(document) == pytest.approx(layer.extent, abs=0.01)
    assert len(document["features"]) == 2 and "crs" not in document
    assert job["extent_mask"].endswith("extent_mask.geojson") and job["max_distance"] is None


def test_only_selected_features(run, layer):
    from qgis.core import QgsProcessingFeatureSourceDefinition, QgsProject, QgsVectorLayer

    fields = QgsVectorLayer(layer(LEFT, RIGHT), "fields")
    QgsProject.instance().addMapLayer(fields)
    fields.selectByIds([2])
    try:
        _, document = run(QgsProcessingFeatureSourceDefinition(fields.id(), selectedFeaturesOnly=True))
    finally:
        QgsProject.instance().removeMapLayer(fields.id())
    assert len(document["features"]) == 1
    assert bounds(document)[0] > (layer.extent[0] + layer.extent[2]) / 2


def test_invalid_polygons_are_repaired(run, layer):
    _, document = run(layer(BOW_TIE))
    assert len(document["features"]) == 2  # two triangles


def test_a_layer_without_polygons_is_an_error(run, layer, tmp_path):
    from qgis.core import QgsProcessingException

    with pytest.raises(QgsProcessingException):
        run(layer())
    assert not (tmp_path / "extent.json").exists()


def test_max_distance_is_passed_on(run_fake, scene, output):
    job = run_fake("gapfillslcoff", {"INPUT": scene, "MAX_DISTANCE": 12.5, "OUTPUT": output}).job
    assert job["max_distance"] == 12.5 and job["extent_mask"] is None


def test_the_engine_fills_only_inside(provider, real_engine, scene, layer, output, tmp_path):
    """From a layer in another CRS to the filled raster."""
    from osgeo import gdal
    from qgis import processing

    filled = str(tmp_path / "filled.tif")
    fields = layer(LEFT, crs=4326)
    processing.run(
        "deepprior:gapfillslcoff",
        {"INPUT": scene, "EXTENT_MASK": fields, "METHOD": "fast", "OUTPUT": output, "FILLED": filled},
    )
    changed = gdal.Open(filled).ReadAsArray()[0] > 0
    edge = int(0.4 * changed.shape[1])
    assert changed[:, : edge - 1].any() and not changed[:, edge + 2 :].any()
