"""Polygons of a GeoJSON file (RFC 7946, and its older form with a ``crs`` member) as a mask of pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.features import is_valid_geom, rasterize
from rasterio.warp import transform_geom

from ..arrays import Mask
from ..errors import ExtentElsewhere, UnusableExtent
from ..runtime.context import Context
from .grid import Grid

_POLYGONS = ("Polygon", "MultiPolygon")
_GEOGRAPHIC = "EPSG:4326"


def read_extent(path: str, grid: Grid, context: Context) -> Mask:
    """The pixels ``(row, column)`` of a grid whose centres lie inside the polygons of a GeoJSON file.

    The coordinates are those of the ``crs`` member, else of the grid's CRS. If these lie outside the grid, they are
    taken as longitude and latitude where they can be. Raises UnusableExtent.
    """
    document = _load(path)
    geometries = list(_geometries(document, path))
    if not geometries:
        raise UnusableExtent(path=path, reason="it holds no polygon")
    crs = _crs_member(document, path)
    inside = _pixels_inside(geometries, crs, grid, path)
    if not inside.any() and crs is None and grid.crs and _may_be_degrees(geometries):
        inside = _pixels_inside(geometries, CRS.from_user_input(_GEOGRAPHIC), grid, path)
        if inside.any():
            context.info(f"The coordinates of EXTENT_MASK '{path}' are taken as longitude and latitude.")
    if not inside.any():
        reason = "no pixel centre of the scene lies inside its polygons"
        if grid.gcps and grid.transform.is_identity:
            reason += ", because the scene has control points only"
        raise ExtentElsewhere(reason=reason)
    return inside


def _load(path: str) -> dict:
    try:
        with open(path, encoding="utf-8-sig") as file:
            document = json.load(file)
    except OSError as error:
        raise UnusableExtent(path=path, reason=error.strerror or "it cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise UnusableExtent(path=path, reason="it is not a GeoJSON file") from error
    if not isinstance(document, dict):
        raise UnusableExtent(path=path, reason="it is not a GeoJSON file")
    return document


def _geometries(item: object, path: str) -> Iterator[dict]:
    """The polygons of a feature collection, a feature, a geometry collection or a geometry."""
    if not isinstance(item, dict):
        return
    for name in ("features", "geometries"):
        members = item.get(name)
        for member in members if isinstance(members, list) else []:
            yield from _geometries(member, path)
    if isinstance(item.get("geometry"), dict):
        yield from _geometries(item["geometry"], path)
    if item.get("type") in _POLYGONS and item.get("coordinates"):
        if not _is_usable(item):
            raise UnusableExtent(path=path, reason="a polygon in it is not valid")
        yield item


def _is_usable(geometry: dict) -> bool:
    try:
        return bool(is_valid_geom(geometry)) and all(map(math.isfinite, _numbers(geometry["coordinates"])))
    except (TypeError, ValueError, OverflowError, RecursionError, IndexError, KeyError, AttributeError):
        return False


def _numbers(coordinates: object) -> Iterator[float]:
    if isinstance(coordinates, (list, tuple)):
        for part in coordinates:
            yield from _numbers(part)
    else:
        yield float(coordinates)  # type: ignore[arg-type]  # anything else raises, which `_is_usable` reports


def _may_be_degrees(geometries: list[dict]) -> bool:
    return all(abs(value) <= 360.0 for geometry in geometries for value in _numbers(geometry["coordinates"]))


def _crs_member(document: dict, path: str) -> CRS | None:
    member = document.get("crs")
    if not member:
        return None
    try:
        return CRS.from_user_input(member["properties"]["name"])
    except (CRSError, TypeError, KeyError, ValueError) as error:
        raise UnusableExtent(path=path, reason="its 'crs' member names no known CRS") from error


def _pixels_inside(geometries: list[dict], crs: CRS | None, grid: Grid, path: str) -> Mask:
    try:
        if crs and grid.crs and crs != grid.crs:
            geometries = transform_geom(crs, grid.crs, geometries)
            geometries = [shape for shape in geometries if _is_usable(shape)]
        if not geometries:
            return np.zeros(grid.shape, bool)
        return rasterize(geometries, out_shape=grid.shape, transform=grid.transform, dtype="uint8") > 0
    except (RasterioError, CRSError, ValueError) as error:
        raise UnusableExtent(path=path, reason="its polygons cannot be transformed to the scene's CRS") from error
