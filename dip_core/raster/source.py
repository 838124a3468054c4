"""Opening one raster file: its bands and its metadata, as rasterio reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from .. import raster_names
from ..errors import UnreadableRaster
from .alpha import AlphaBands, marks_missing
from .file_view import Nodata, exact_nodata

# Namespaces that describe the file itself, or hold a single text (see `text_domains`).
_SKIPPED_NAMESPACES = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "COLOR_PROFILE", "xml:", "json:")
_MAX_MESSAGE = 160
_RAW_DRIVERS = ("ENVI", "EHdr")
# What rasterio raises if a file cannot be opened, read or written; some of its functions pass GDAL's own errors on.
RASTER_ERRORS = (RasterioError, CPLE_BaseError, OSError)


@dataclass(frozen=True)
class Band:
    """A data band: the number of its file (``source``, from 0), its index in that file (from 1), and its metadata.

    ``has_mask``: the file marks missing pixels of this band by a nodata value, a mask or an alpha band.
    """

    source: int
    index: int
    dtype: str
    nodata: Nodata | None
    scale: float
    offset: float
    units: str | None
    description: str | None
    colorinterp: ColorInterp
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    has_mask: bool = False

    def name(self, number: int) -> str:
        """The band's description, else ``Band n`` (counted from 1)."""
        return self.description or f"Band {number}"


def open_raster(path: str) -> rasterio.DatasetReader:
    """Open a raster for reading; headers, ``.gz`` files and archives with one raster are opened as `raster_names` says.

    Raises UnreadableRaster if the file is missing, is no raster, or needs a subdataset or a member to be chosen.
    """
    try:
        name = raster_names.name_to_open(str(path))
        if not name.startswith("/vsi") and ":" not in name and not os.path.exists(name):
            raise UnreadableRaster(path=path, reason="there is no such file")
        try:
            source = _open(name)
        except (*RASTER_ERRORS, IndexError):
            member = raster_names.name_in_archive(str(path))
            if member is None:
                raise
            name = member
            source = _open(name)
    except raster_names.NoSingleRaster as error:
        raise UnreadableRaster(path=path, reason=error.reason, advice=error.advice) from error
    except RASTER_ERRORS as error:
        raise UnreadableRaster(path=path, reason=short_message(error)) from error
    except IndexError as error:  # raised by rasterio for a container without a raster band of its own
        raise UnreadableRaster(path=path, reason="it holds no raster, or several: choose one subdataset") from error
    if source.count == 0:
        reason = "it holds several rasters: choose one subdataset" if source.subdatasets else "it has no band"
        source.close()
        raise UnreadableRaster(path=path, reason=reason)
    _require_complete(path, source)
    return source


def _require_complete(path: str, source: rasterio.DatasetReader) -> None:
    """Raise UnreadableRaster for a file without compression that is too short; GDAL reads 0 beyond its end."""
    tags = source.tags(ns="ENVI")
    if source.driver not in _RAW_DRIVERS or "NBITS" in source.tags(1, ns="IMAGE_STRUCTURE"):
        return
    if tags.get("file_compression", "0") != "0" or not source.files or not os.path.isfile(source.files[0]):
        return
    offset = tags.get("header_offset", "0")
    values = source.count * source.height * source.width
    needed = (int(offset) if offset.isdecimal() else 0) + values * np.dtype(source.dtypes[0]).itemsize
    size = os.path.getsize(source.files[0])
    if size < needed:
        source.close()
        raise UnreadableRaster(path=path, reason=f"its data file has {size} bytes instead of {needed}")


def _open(name: str) -> rasterio.DatasetReader:
    # By default GDAL writes a file with the decompressed size next to a .gz file.
    with rasterio.Env(CPL_VSIL_GZIP_WRITE_PROPERTIES="NO"):
        return rasterio.open(name)


def read_bands(source: rasterio.DatasetReader, number: int, stacked: bool, alpha: AlphaBands) -> Iterator[Band]:
    """The data bands of the open file ``number``, without a band that is its validity mask.

    ``stacked``: the scene has several files, so a single band without a description is named after its file.
    """
    # rasterio builds each of these lists for all bands on every access.
    interps, has_mask = source.colorinterp, marks_missing(source, alpha)
    dtypes, nodata, units = source.dtypes, exact_nodata(source), source.units
    scales, offsets, descriptions = source.scales, source.offsets, source.descriptions
    for place, index in enumerate(source.indexes):
        if index == alpha.mask:
            continue
        yield Band(
            source=number,
            index=index,
            dtype=dtypes[place],
            nodata=nodata[place],
            scale=scales[place],
            offset=offsets[place],
            units=units[place],
            description=descriptions[place] or (_stem(source.name) if stacked and source.count == 1 else None),
            colorinterp=interps[place],
            tags=read_tags(source, index),
            has_mask=has_mask[place],
        )


def read_tags(source: rasterio.DatasetReader, index: int = 0) -> dict[str, dict[str, str]]:
    """Metadata items by namespace ('' is the default one), of band ``index`` (from 1) or of the file (0)."""
    names = ["", *(name for name in source.tag_namespaces(index) if name and not name.startswith(_SKIPPED_NAMESPACES))]
    found = {name: source.tags(index, ns=name) if name else source.tags(index) for name in names}
    return {name: tags for name, tags in found.items() if tags}


def short_message(error: BaseException) -> str:
    """The message of a library's error on one line of at most 160 characters."""
    text = " ".join(str(error.__cause__ or error).split())
    if "Cannot find coordinate operations" in text:  # followed by pages of PROJ's JSON
        return "no transformation leads from the one CRS to the other"
    if len(text) > _MAX_MESSAGE:
        return text[: _MAX_MESSAGE - 3] + "..."
    return text.rstrip(".") or type(error).__name__


def _stem(name: str) -> str:
    return os.path.basename(name).split(".")[0]
