"""Comparison of an output's metadata with those of its scene: finds everything that the file does not hold.

What GeoTIFF itself cannot hold is written beside it (see `sidecar`); what is still missing is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from .crs import same_crs
from .file_view import virtual_raster
from .scene import Scene
from .source import Band
from .text_domains import canonical, same_text, text_domains
from .xml_text import Element, ParseError, SubElement

_BAND_PARTS = {
    "CategoryNames": "category names",
    "GDALRasterAttributeTable": "attribute table",
    "ColorTable": "colour table",
    "UnitType": "unit",
    "Offset": "offset",
    "Scale": "scale",
}
_CHANGED_ITEMS = {"wavelength", "fwhm", "bbl", "wavelength_units", "deep_prior"}
NOT_WRITABLE = "NotWritable"  # the tag of a part that no sidecar can hold
_STATISTICS = "STATISTICS_"
_COLOUR_PROFILE = "COLOR_PROFILE"


@dataclass(frozen=True)
class Loss:
    """Something that an output lacks: its ``name``, its ``band`` (from 1; 0 for the whole file), and its XML."""

    name: str
    band: int
    part: Element


def lost_metadata(scene: Scene, path: str, only_position: bool = False) -> list[Loss]:
    """What the raster at ``path`` lacks of the scene's metadata; ``only_position``: of its CRS and position.

    Raises RasterioError.
    """
    with rasterio.open(path) as file:
        found = list(_lost_position(scene, file))
        if not only_position:
            found += _lost_texts(scene, file)
            found += _lost_items(scene.tags(), file, 0)
            found += _lost_items(colour_profile(scene), file, 0)
            found += _lost_band_parts(scene, file)
    return found


def colour_profile(scene: Scene) -> dict[str, dict[str, str]]:
    """The first raster's colour profile (ICC or primaries) as metadata items of its domain."""
    items = scene.sources[0].tags(ns=_COLOUR_PROFILE)
    return {_COLOUR_PROFILE: {key: value for key, value in items.items() if key.startswith(("SOURCE_", "TIFFTAG_"))}}


def describe(losses: Sequence[Loss]) -> str:
    """The names of losses in one list, such as "the CRS and the colour tables of 2 bands"."""
    names = []
    for name, count in Counter(loss.name for loss in losses).items():
        bands = [loss.band for loss in losses if loss.name == name and loss.band]
        if not bands:
            names.append(f"the {name}")
        elif count == 1:
            names.append(f"the {name} of band {bands[0]}")
        else:
            names.append(f"the {name} of {len(set(bands))} bands")
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _lost_position(scene: Scene, file: rasterio.DatasetReader) -> Iterator[Loss]:
    grid = scene.grid
    gcps, gcp_crs = file.gcps
    if grid.crs and not same_crs(grid.crs, file.crs):
        part = Element("SRS")
        part.text = grid.crs.to_wkt(version="WKT2_2019")
        yield Loss("CRS", 0, part)
    if not grid.transform.is_identity and not grid.transform.almost_equals(file.transform, precision=1e-12):
        t = grid.transform
        if not _nearly_equal(tuple(t)[:6], tuple(file.transform)[:6]):
            part = Element("GeoTransform")
            part.text = ", ".join(repr(float(value)) for value in (t.c, t.a, t.b, t.f, t.d, t.e))
            yield Loss("geotransform", 0, part)
    if len(grid.gcps) != len(gcps) or (grid.gcps and not same_crs(grid.gcp_crs, gcp_crs)):
        yield Loss("ground control points", 0, Element(NOT_WRITABLE))
    if bool(grid.rpcs) and not file.rpcs:
        yield Loss("RPCs", 0, Element(NOT_WRITABLE))


def _nearly_equal(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= 1e-12 * max(abs(a), abs(b)) for a, b in zip(one, other))


def _lost_texts(scene: Scene, file: rasterio.DatasetReader) -> Iterator[Loss]:
    """Domains that hold one text: XML (such as XMP) and JSON."""
    kept = dict(text_domains(file))
    for number, source in enumerate(scene.sources):
        for name, part in text_domains(source):
            if name in kept and same_text(part, kept[name]):
                continue
            if number:  # a domain has one text; that of the first raster is kept
                yield Loss(f"metadata '{name}' of the further rasters", 0, Element(NOT_WRITABLE))
            else:
                yield Loss(f"metadata '{name}'", 0, part)


def _lost_items(wanted: dict[str, dict[str, str]], file: rasterio.DatasetReader, band: int) -> Iterator[Loss]:
    for namespace, items in wanted.items():
        kept = file.tags(band, ns=namespace) if namespace else file.tags(band)
        lost = {
            key: value
            for key, value in items.items()
            if kept.get(key, "").strip() != value.strip() and not _is_changed(key, value)
        }
        if lost:
            part = Element("Metadata", {"domain": namespace} if namespace else {})
            for key, value in lost.items():
                SubElement(part, "MDI", key=key).text = value
            shown = ", ".join(f"'{key}'" for key in list(lost)[:3]) + (", ..." if len(lost) > 3 else "")
            yield Loss(f"metadata {shown}" + (f" ({namespace})" if namespace else ""), band, part)


def _is_changed(key: str, value: str) -> bool:
    """True for items that an output has in another form, or that describe the old file."""
    is_default = (key, value) == ("AREA_OR_POINT", "Area")
    return is_default or key.startswith(_STATISTICS) or key.lower() in _CHANGED_ITEMS


def _lost_band_parts(scene: Scene, file: rasterio.DatasetReader) -> Iterator[Loss]:
    kept = virtual_raster(file).findall("VRTRasterBand")
    interps = file.colorinterp
    for number, (band, wanted) in enumerate(zip(scene.bands, _band_elements(scene)), start=1):
        yield from _lost_items(band.tags, file, number)
        for name, label in _BAND_PARTS.items():
            part, other = wanted.find(name), kept[number - 1].find(name)
            if part is not None and not _is_kept(part, other):
                yield Loss(label, number, part)
        if not _keeps_interpretation(band, interps[number - 1]):
            part = Element("ColorInterp")
            part.text = band.colorinterp.name.capitalize()
            yield Loss("colour interpretation", number, part)


def _band_elements(scene: Scene) -> list[Element]:
    """GDAL's XML description of each band."""
    files = []
    for source in scene.sources:
        try:
            files.append(virtual_raster(source).findall("VRTRasterBand"))
        except (RasterioError, ParseError):  # a format that GDAL cannot wrap
            files.append([Element("VRTRasterBand")] * source.count)
    return [files[band.source][band.index - 1] for band in scene.bands]


def _keeps_interpretation(band: Band, kept: ColorInterp) -> bool:
    free = (ColorInterp.undefined, ColorInterp.gray, ColorInterp.alpha)  # the default, and data tagged as alpha
    return band.colorinterp in (kept, *free)


def _is_kept(part: Element, other: Element | None) -> bool:
    if other is None:
        return False
    if part.tag == "ColorTable":  # the file has entries for all values
        entries = [list(element.iter("Entry")) for element in (part, other)]
        return [canonical(entry) for entry in entries[0]] == [
            canonical(entry) for entry in entries[1][: len(entries[0])]
        ]
    if part.tag in ("Offset", "Scale"):
        return float(part.text or 0) == float(other.text or 0)
    return canonical(part) == canonical(other)
