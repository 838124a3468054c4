"""Input rasters as plain data: what the worker is to open, found on the main thread from any parameter value.

A *source* is a path that the worker can try to open. A raster that only QGIS can read (a memory file, a WCS
layer, a file whose driver the worker lacks) is *staged*: copied into a temporary GeoTIFF by QGIS's own GDAL.
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

_ARCHIVE = re.compile(r"^((?:/vsi(?:gzip|zip|tar|7z|rar)/)+)(.+)$")
_OPEN_OPTION = "|option:"
_MEMORY = "/vsimem/"


@dataclass
class Source:
    """One input raster. ``path`` may change when it is staged; ``renderer`` is the user's style of it."""

    path: str
    name: str
    must_be_staged: bool = False
    provider: QgsRasterDataProvider | None = field(default=None, repr=False)
    renderer: Any = field(default=None, repr=False)


def sources_of(parameter: str, value: Any, context: QgsProcessingContext) -> list[Source]:
    """The sources in the value of a raster or multiple-layers parameter; call it on the main thread.

    Takes layers, layer ids and names, paths (``.gz`` too), lists of them, and paths joined by ``;``.
    """
    if isinstance(value, QgsProperty):
        value, _ = value.value(context.expressionContext())
    if value is None or value == "":
        return []
    if isinstance(value, (list, tuple)):
        return [source for item in value for source in sources_of(parameter, item, context)]
    if isinstance(value, str) and ";" in value and not os.path.exists(value):
        return sources_of(parameter, [part for part in value.split(";") if part], context)
    layer = value if isinstance(value, QgsMapLayer) else _find_layer(str(value), context)
    if isinstance(layer, QgsRasterLayer) and layer.isValid():
        return [_from_layer(layer)]
    text = value.source() if isinstance(value, QgsMapLayer) else str(value)
    if not os.path.exists(text) and _gdal_opens(text):
        return [Source(_absolute(text), os.path.splitext(os.path.basename(text))[0], text.startswith(_MEMORY))]
    if os.path.isfile(text):
        reason = "is not a raster that can be read: it may be damaged, or of another kind. Choose another file."
    elif os.path.isdir(text):
        reason = "is a folder: choose a raster file in it."
    else:
        reason = "is neither a raster file nor a raster layer: check the path or choose another layer."
    raise QgsProcessingException(f"{parameter} '{text}' {reason}")


def _gdal_opens(text: str) -> bool:
    """Whether it is one of GDAL's own names, such as /vsigzip/..., which QGIS takes for missing files."""
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
    """The path from the root: the worker runs in another folder."""
    if os.path.exists(path):
        return os.path.abspath(path)
    archive = _ARCHIVE.match(path)
    if archive and not os.path.isabs(archive.group(2)):
        return archive.group(1) + os.path.abspath(archive.group(2))
    return path


def stage(source: Source, folder: str, context: QgsProcessingContext) -> bool:
    """Copy the raster into a GeoTIFF in ``folder`` and point the source there; False if QGIS cannot read it either."""
    target = os.path.join(folder, f"staged_{len(os.listdir(folder))}.tif")
    done = _stage_provider(source, target, context) if source.provider else _stage_file(source.path, target)
    if done:
        source.path, source.must_be_staged = target, False
    return done


def _stage_provider(source: Source, target: str, context: QgsProcessingContext) -> bool:
    provider = source.provider
    if provider is None or provider.xSize() < 1 or provider.ySize() < 1:
        return False  # a picture service without pixels of its own
    # The pipe owns it from here on. Not a clone of our clone: of virtual rasters, those give zeros.
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
    # Depending on what else runs in QGIS, GDAL raises or returns None; both are a refusal here.
    try:
        raster = gdal.OpenEx(name, gdal.OF_RASTER | gdal.OF_READONLY, open_options=options)
        copy = raster and gdal.Translate(target, raster, format="GTiff", creationOptions=["BIGTIFF=IF_SAFER"])
        if not copy:
            return False
        _copy_metadata(raster, copy)
        copy.FlushCache()
        complete = gdal.GetLastErrorType() < gdal.CE_Failure
        copy = raster = None
    except RuntimeError:
        return False
    return complete


def _copy_metadata(raster: gdal.Dataset, copy: gdal.Dataset) -> None:
    """Carry over what gdal.Translate drops: the ENVI domain with wavelengths, FWHM and bad bands."""
    for domain in raster.GetMetadataDomainList() or ():
        if domain in ("ENVI", "IMAGERY", "RPC") and not copy.GetMetadata(domain):
            copy.SetMetadata(raster.GetMetadata(domain), domain)
    for number in range(1, raster.RasterCount + 1):
        old, new = raster.GetRasterBand(number), copy.GetRasterBand(number)
        for domain in ("", "IMAGERY"):
            missing = {k: v for k, v in old.GetMetadata(domain).items() if k not in new.GetMetadata(domain)}
            for key, value in missing.items():
                new.SetMetadataItem(key, value, domain)
