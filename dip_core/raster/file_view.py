"""Views of a raster file for GDAL's warper, which takes every band that is tagged as alpha for a mask."""

from __future__ import annotations

import uuid
from xml.etree import ElementTree

import rasterio
import rasterio.shutil

_XML = "xml:VRT"


def open_without_alpha_tags(source: rasterio.DatasetReader) -> rasterio.DatasetReader:
    """Open a virtual raster (VRT) of an open file, in which no band is tagged as alpha; the caller closes it.

    Raises RasterioError.
    """
    root = ElementTree.fromstring(_virtual_raster(source))
    for band in root.iter("VRTRasterBand"):
        for tag in band.findall("ColorInterp"):
            if tag.text == "Alpha":
                band.remove(tag)
    return rasterio.open(ElementTree.tostring(root, encoding="unicode"))


def _virtual_raster(source: rasterio.DatasetReader) -> str:
    """The text of a virtual raster with all bands and the georeference of a file."""
    path = f"/vsimem/{uuid.uuid4().hex}.vrt"
    rasterio.shutil.copy(source, path, driver="VRT")
    try:
        with rasterio.open(path) as view:
            return str(view.tags(ns=_XML)[_XML])
    finally:
        rasterio.shutil.delete(path)
