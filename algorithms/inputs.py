"""Input rasters as plain data: converts the value of a raster parameter to paths that the worker can open.

A raster that only QGIS can read (a memory file, a WCS layer, a file whose driver the worker lacks) is *staged*: QGIS
copies it to a temporary GeoTIFF.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingUtils,
    QgsProperty,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
)

from ..dip_core import raster_names

_ARCHIVE = re.compile(r"^((?:/vsi(?:gzip|zip|tar|7z|rar)/)+)(.+)$")
_OPEN_OPTION = "|option:"
_MEMORY = "/vsimem/"


@dataclass
class Source:
    """One input raster; ``renderer`` is the layer's style. Staging changes ``path``."""

    path: str
    name: str
    must_be_staged: bool = False
    provider: QgsRasterDataProvider | None = field(default=None, repr=False)
    renderer: Any = field(default=None, repr=False)


def read_sources(parameter: str, value: Any, context: QgsProcessingContext) -> list[Source]:
    """The sources in the value of a raster or multiple-layers parameter; to be called on the main thread.

    Accepts layers, layer ids and names, paths (also of ENVI headers, ``.gz`` files and archives with one raster), lists
    of these, and paths joined by ``;``. Raises
    QgsProcessingException with one sentence that starts with the name of the ``parameter``.
    """
    if isinstance(value, QgsProperty):
        value, _ = value.value(context.expressionContext())
    if value is None or value == "":
        return []
    if isinstance(value, (list, tuple)):
        return [source for item in value for source in read_sources(parameter, item, context)]
    if isinstance(value, str) and ";" in value and not os.path.exists(value):
        return read_sources(parameter, [part for part in value.split(";") if part], context)
    layer = value if isinstance(value, QgsMapLayer) else _find_layer(str(value), context)
    if isinstance(layer, QgsRasterLayer) and layer.isValid():
        return [_from_layer(layer)]
    text = value.source() if isinstance(value, QgsMapLayer) else str(value)
    name = _name_to_open(parameter, text)
    if name != text:
        return read_sources(parameter, name, context)
    if not os.path.exists(text) and _is_gdal_name(text):
        return [Source(_absolute(text), os.path.splitext(os.path.basename(text))[0], text.startswith(_MEMORY))]
    if os.path.isfile(text):
        reason = "is not a raster that can be read: it may be damaged or have another format. Choose another file."
    elif os.path.isdir(text):
        reason = "is a folder: choose a raster file in it."
    else:
        reason = "is neither a raster file nor a raster layer: check the path or choose another layer."
    raise QgsProcessingException(f"{parameter} '{text}' {reason}")


def _name_to_open(parameter: str, text: str) -> str:
    """The data file of a header, the raster in an archive, GDAL's name of a compressed file; else the same text."""
    try:
        return raster_names.name_in_archive(text) or raster_names.name_to_open(text)
    except raster_names.NoSingleRaster as error:
        raise QgsProcessingException(f"{parameter} '{text}' cannot be read: {error}") from error


def _is_gdal_name(text: str) -> bool:
    """Whether GDAL can open it; QGIS treats GDAL's own names, such as /vsigzip/..., as missing files."""
    try:
        return gdal.OpenEx(text, gdal.OF_RASTER | gdal.OF_READONLY) is not None
    except RuntimeError:
        return False


def _find_layer(text: str, context: QgsProcessingContext) -> QgsMapLayer | None:
    return QgsProcessingUtils.mapLayerFromString(text, context, True, QgsProcessingUtils.LayerHint.Raster)


def _from_layer(layer: QgsRasterLayer) -> Source:
    renderer = layer.renderer().clone() if layer.renderer() else None
    if layer.providerType() != "gdal":
        return Source(layer.source(), layer.name(), True, layer.dataProvider().clone(), renderer)
    path, _, options = layer.source().partition(_OPEN_OPTION)
    return Source(_absolute(path), layer.name(), bool(options) or path.startswith(_MEMORY), None, renderer)


def _absolute(path: str) -> str:
    """The absolute path, because the worker runs in another folder."""
    if os.path.exists(path):
        return os.path.abspath(path)
    archive = _ARCHIVE.match(path)
    if archive and not archive.group(2).startswith("{") and not os.path.isabs(archive.group(2)):
        return archive.group(1) + os.path.abspath(archive.group(2))
    return path


def stage(source: Source, folder: str, context: QgsProcessingContext) -> bool:
    """Copy the raster to a GeoTIFF in ``folder`` and change the source's path; False if QGIS cannot read it either."""
    target = os.path.join(folder, f"staged_{len(os.listdir(folder))}.tif")
    is_staged = _stage_provider(source, target, context) if source.provider else _stage_file(source.path, target)
    if is_staged:
        source.path, source.must_be_staged = target, False
    return is_staged


def _stage_provider(source: Source, target: str, context: QgsProcessingContext) -> bool:
    provider = source.provider
    if provider is None or provider.xSize() < 1 or provider.ySize() < 1:
        return False  # a web service for images, such as WMS, has no pixels of its own
    # The pipe takes ownership. A clone of the clone would return zeros for virtual rasters.
    source.provider = None
    pipe = QgsRasterPipe()
    if not pipe.set(provider):
        return False
    writer = QgsRasterFileWriter(target)
    writer.setOutputFormat("GTiff")
    code = writer.writeRaster(
        pipe, provider.xSize(), provider.ySize(), provider.extent(), provider.crs(), context.transformContext()
    )
    return code == QgsRasterFileWriter.WriterError.NoError


def _stage_file(path: str, target: str) -> bool:
    name, *options = path.split(_OPEN_OPTION)
    gdal.ErrorReset()
    # GDAL raises or returns None, depending on what else runs in QGIS.
    try:
        raster = gdal.OpenEx(name, gdal.OF_RASTER | gdal.OF_READONLY, open_options=options)
        copy = raster and gdal.Translate(target, raster, format="GTiff", creationOptions=["BIGTIFF=IF_SAFER"])
        if not copy:
            return False
        _copy_metadata(raster, copy)
        copy.FlushCache()
        is_complete = gdal.GetLastErrorType() < gdal.CE_Failure
        copy = raster = None
    except RuntimeError:
        return False
    return bool(is_complete)


def _copy_metadata(raster: gdal.Dataset, copy: gdal.Dataset) -> None:
    """Copy what gdal.Translate drops, such as the ENVI domain with wavelengths, FWHM and bad bands."""
    for domain in raster.GetMetadataDomainList() or ():
        if domain in ("ENVI", "IMAGERY", "RPC") and not copy.GetMetadata(domain):
            copy.SetMetadata(raster.GetMetadata(domain), domain)
    for number in range(1, raster.RasterCount + 1):
        old, new = raster.GetRasterBand(number), copy.GetRasterBand(number)
        for domain in ("", "IMAGERY"):
            missing = {k: v for k, v in old.GetMetadata(domain).items() if k not in new.GetMetadata(domain)}
            for key, value in missing.items():
                new.SetMetadataItem(key, value, domain)
