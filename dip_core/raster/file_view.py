"""Virtual rasters (VRT) of an open file: views for GDAL's warper, which takes every band that is tagged as alpha for a
mask and knows no undeclared codes; the file's metadata as XML; and its nodata values, which rasterio gives as floats
that are not always exact.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from typing import Union
from xml.etree import ElementTree  # nosec B405: parses only what GDAL writes about an open raster

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError, RasterioIOError

_XML = "xml:VRT"
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LONG_TYPES = ("int64", "uint64")

Nodata = Union[int, float]


def open_without_alpha_tags(source: rasterio.DatasetReader) -> rasterio.DatasetReader:
    """Open a virtual raster (VRT) of an open file, in which no band is tagged as alpha; the caller closes it.

    Raises RasterioError.
    """
    root = virtual_raster(source)
    for band in root.iter("VRTRasterBand"):
        for tag in band.findall("ColorInterp"):
            if tag.text == "Alpha":
                band.remove(tag)
    return rasterio.open(ElementTree.tostring(root, encoding="unicode"))


def open_with_codes(source: rasterio.DatasetReader, codes: Mapping[int, Sequence[float]]) -> rasterio.DatasetReader:
    """Open a virtual raster of doubles, in which missing codes and nodata values are NaN; the caller closes it.

    ``codes``: by band index (from 1). Masks and alpha bands of the file are lost. Raises RasterioError.
    """
    root = virtual_raster(source)
    bands = list(root.iter("VRTRasterBand"))
    for tag in root.findall("MaskBand"):
        root.remove(tag)
    values: list[list[Nodata]] = []
    for index, band in enumerate(bands, start=1):
        declared = _number(band.findtext("NoDataValue"))
        values.append([*([] if declared is None else [declared]), *codes.get(index, ())])
        for name in ("NoDataValue", "ColorInterp", "MaskBand"):
            for tag in band.findall(name):
                band.remove(tag)
        band.set("dataType", "Float64")
        ElementTree.SubElement(band, "NoDataValue").text = "nan"
    # A source has one nodata value: further values need a virtual raster of the virtual raster.
    for level in range(max(map(len, values), default=0)):
        for band, own in zip(bands, values):
            part = next(tag for tag in band if tag.tag.endswith("Source"))
            part.tag = "ComplexSource"
            for tag in part.findall("NODATA"):
                part.remove(tag)
            if level < len(own):
                ElementTree.SubElement(part, "NODATA").text = repr(own[level])
        text = ElementTree.tostring(root, encoding="unicode")
        for index, band in enumerate(bands, start=1):
            for file in band.findall("*/SourceFilename"):
                file.text = text
                file.set("relativeToVRT", "0")
            for number in band.findall("*/SourceBand"):
                number.text = str(index)
    return rasterio.open(text)


def virtual_raster(source: rasterio.DatasetReader) -> ElementTree.Element:
    """The XML of a virtual raster with all bands, the georeference and most metadata of an open file.

    Raises RasterioError.
    """
    path = f"/vsimem/{uuid.uuid4().hex}.vrt"
    rasterio.shutil.copy(source, path, driver="VRT")
    try:
        with rasterio.open(path) as view:
            return ElementTree.fromstring(str(view.tags(ns=_XML)[_XML]))  # nosec B314: written by GDAL
    except UnicodeDecodeError:
        return _virtual_raster_on_disk(source)
    except ElementTree.ParseError as error:
        raise RasterioIOError(f"its metadata cannot be read ({error})") from error
    finally:
        rasterio.shutil.delete(path)


def _virtual_raster_on_disk(source: rasterio.DatasetReader) -> ElementTree.Element:
    """As `virtual_raster`, for metadata that are not UTF-8, which rasterio cannot return: such bytes are replaced."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "view.vrt")
        rasterio.shutil.copy(source, path, driver="VRT")
        with open(path, encoding="utf-8", errors="replace") as file:
            text = _NO_XML.sub("\ufffd", file.read())
        try:
            root = ElementTree.fromstring(text)  # nosec B314: written by GDAL
        except ElementTree.ParseError as error:
            raise RasterioIOError(f"its metadata cannot be read ({error})") from error
        for name in root.iter("SourceFilename"):
            if name.get("relativeToVRT") == "1":
                name.text = os.path.normpath(os.path.join(folder, name.text or ""))
                name.set("relativeToVRT", "0")
        return root


def exact_nodata(source: rasterio.DatasetReader) -> tuple[Nodata | None, ...]:
    """The nodata value of each band that its pixels can have; integers for bands of 64-bit integers."""
    found: tuple[Nodata | None, ...] = source.nodatavals
    if not set(_LONG_TYPES) & set(source.dtypes):
        return found
    try:
        declared = declared_nodata(source)
    except RasterioError:  # a format that GDAL cannot wrap
        return found
    return tuple(
        _within(dtype, exact) if dtype in _LONG_TYPES else value
        for dtype, exact, value in zip(source.dtypes, declared, found)
    )


def declared_nodata(source: rasterio.DatasetReader) -> list[Nodata | None]:
    """The nodata value of each band as the file declares it, also one that no pixel can have (-9999 in bytes)."""
    return [_number(band.findtext("NoDataValue")) for band in virtual_raster(source).findall("VRTRasterBand")]


def _within(dtype: str, value: Nodata | None) -> Nodata | None:
    """The value if it is an integer that this integer type can hold, else None."""
    limits = np.iinfo(dtype)
    if value is None or not math.isfinite(value) or int(value) != value or not limits.min <= value <= limits.max:
        return None
    return int(value)


def _number(text: str | None) -> Nodata | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)
