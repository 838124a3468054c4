"""Class names of a band: GDAL's category names, and the names in a raster attribute table.

rasterio reads neither of them. GDAL copies both into the XML of a virtual raster, where they are read.
"""

from __future__ import annotations

import rasterio
from rasterio.errors import RasterioError

from .file_view import virtual_raster
from .xml_text import Element, ParseError

_NAME_USAGE = "2"  # GFU_Name
_MIN_NAMES = 2


def read_class_names(source: rasterio.DatasetReader) -> dict[int, list[str]]:
    """The class names of each band of an open file that has at least two, by the band's index (from 1)."""
    found = {}
    for band in _band_elements(source):
        names = [item.text or "" for item in band.iterfind("CategoryNames/Category")]
        table = band.find("GDALRasterAttributeTable")
        if table is not None:
            names += _names_in_table(table)
        named = [name for name in names if name.strip()]
        if len(set(named)) >= _MIN_NAMES:
            found[int(band.get("band", "0"))] = named
    return found


def _band_elements(source: rasterio.DatasetReader) -> list[Element]:
    """The bands of a virtual raster of the file."""
    try:
        return virtual_raster(source).findall("VRTRasterBand")
    except (RasterioError, OSError, ParseError):
        return []  # a format that GDAL cannot wrap has no names that could be read in another way


def _names_in_table(table: Element) -> list[str]:
    """The text of the column of names; tables without one hold histograms or statistics."""
    columns = [
        number
        for number, column in enumerate(table.iterfind("FieldDefn"))
        if column.findtext("Usage") == _NAME_USAGE and column.findtext("Type") == "2"
    ]
    if not columns:
        return []
    cells = (row.findall("F") for row in table.iterfind("Row"))
    return [row[columns[0]].text or "" for row in cells if len(row) > columns[0]]
