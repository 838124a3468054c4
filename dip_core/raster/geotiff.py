"""Creating GeoTIFFs, also with nodata values that rasterio cannot write: 64-bit integers and values outside the type.

GDAL creates such a file as a copy of an empty virtual raster (VRT), in which the value is a text.
"""

from __future__ import annotations

import math

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from .file_view import Nodata, declared_nodata
from .missing_values import can_hold
from .nodata import rasterio_can_write, same
from .scene import Scene
from .xml_text import Element, SubElement, tostring

_GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
}


def create_geotiff(path: str, profile: dict, nodata: Nodata | None) -> rasterio.io.DatasetWriter:
    """Create a GeoTIFF and open it for writing; ``profile``: rasterio's, without nodata. Raises RasterioError."""
    dtype = np.dtype(profile["dtype"])
    if dtype.kind != "f" and nodata is not None and math.isfinite(nodata) and int(nodata) == nodata:
        nodata = int(nodata)  # GDAL would read only the first digits of -9.223372036854776e+18
    if rasterio_can_write(dtype, nodata):
        return rasterio.open(path, "w", nodata=nodata, **profile)
    options = dict(profile)
    size = {name: options.pop(name) for name in ("width", "height", "count", "dtype")}
    placed = {name: options.pop(name) for name in ("crs", "transform", "gcps") if name in options}
    root = Element("VRTDataset", rasterXSize=str(size["width"]), rasterYSize=str(size["height"]))
    for number in range(1, size["count"] + 1):
        band = SubElement(root, "VRTRasterBand", dataType=_GDAL_TYPES[dtype.name], band=str(number))
        SubElement(band, "NoDataValue").text = repr(nodata)
    rasterio.shutil.copy(tostring(root, encoding="unicode"), path, sparse_ok=True, **options)
    file = rasterio.open(path, "r+")
    if "gcps" in placed:
        file.gcps = (placed["gcps"], placed["crs"])
    else:
        if placed.get("crs"):
            file.crs = placed["crs"]
        if placed["transform"] != rasterio.Affine.identity():
            file.transform = placed["transform"]
    return file


def output_nodata(scene: Scene) -> Nodata | None:
    """The nodata value for an output like the scene: the scene's, or the one that all its bands declare in vain."""
    if scene.nodata is not None:
        return scene.nodata
    try:
        declared = [declared_nodata(source) for source in scene.sources]
    except RasterioError:  # a format that GDAL cannot wrap
        return None
    values = [declared[band.source][band.index - 1] for band in scene.bands]
    first = values[0]
    fits = rasterio_can_write if scene.dtype.kind == "f" else can_hold
    if first is None or fits(
        scene.dtype, first
    ):  # of no use to the bands' own types, but pixels of this one can have it
        return None
    return first if all(same(value, first) for value in values) else None
