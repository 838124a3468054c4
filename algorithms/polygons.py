"""Polygons of a vector layer as GeoJSON in the CRS of a raster, for the worker."""

from __future__ import annotations

import json

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsRasterLayer,
    QgsWkbTypes,
)

_ALSO_INVALID = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
_PRECISION = 15  # decimals of the coordinates


def crs_of(layer: QgsRasterLayer | None, path: str) -> QgsCoordinateReferenceSystem:
    """The CRS of a raster layer; without a layer, that of the file; invalid if it has none."""
    if layer is not None and layer.crs().isValid():
        return layer.crs()
    try:  # GDAL raises or returns None, depending on what else runs in QGIS
        raster = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY)
        return (
            QgsCoordinateReferenceSystem.fromWkt(raster.GetProjection()) if raster else QgsCoordinateReferenceSystem()
        )
    except RuntimeError:
        return QgsCoordinateReferenceSystem()


def read_polygons(
    name: str, source: QgsProcessingFeatureSource, crs: QgsCoordinateReferenceSystem, context: QgsProcessingContext
) -> str:
    """GeoJSON with the polygons of a source (only selected features if the user chose so), reprojected to ``crs``.

    Invalid polygons are repaired. Raises QgsProcessingException with one sentence that starts with ``name``, the
    parameter's name.
    """
    transform = QgsCoordinateTransform()
    if crs.isValid() and source.sourceCrs().isValid():
        transform = QgsCoordinateTransform(source.sourceCrs(), crs, context.transformContext())
    shapes = []
    for feature in source.getFeatures(QgsFeatureRequest(), _ALSO_INVALID):
        for polygon in _polygons(feature.geometry()):
            try:
                polygon.transform(transform)
            except QgsCsException as error:
                raise QgsProcessingException(
                    f"{name} '{source.sourceName()}' cannot be reprojected to the CRS of the scene: check the CRS of "
                    "both layers."
                ) from error
            shapes += [json.loads(part.asJson(_PRECISION)) for part in _polygons(polygon)]
    if not shapes:
        raise QgsProcessingException(
            f"{name} '{source.sourceName()}' has no polygon: choose a polygon layer, or select features in it."
        )
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    return json.dumps({"type": "FeatureCollection", "features": features})


def _polygons(geometry: QgsGeometry) -> list[QgsGeometry]:
    """The valid polygons of a geometry, without curves, heights and measures."""
    if geometry.isEmpty() or geometry.type() != QgsWkbTypes.GeometryType.PolygonGeometry:
        return []
    shape = geometry.constGet().segmentize()
    shape.dropZValue()
    shape.dropMValue()
    flat = QgsGeometry(shape)
    if not flat.isGeosValid():
        flat = flat.makeValid()
    parts = flat.asGeometryCollection()
    return [part for part in parts if part.type() == QgsWkbTypes.GeometryType.PolygonGeometry and not part.isEmpty()]
