"""Metadata of a scene besides its pixels: reading wavelengths and bad-band flags, copying everything to an output.

Wavelengths are written in the three places where readers look for them: the band items ``wavelength`` and
``wavelength_units``, the ``ENVI`` domain, and ``IMAGERY:CENTRAL_WAVELENGTH_UM`` (GDAL 3.10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import rasterio

from .scene import Scene
from .source import Band, read_tags

Content = Literal["values", "deviation", "mask"]  # what an output's pixels are; see `writer.RasterWriter`

_TO_MICROMETRES = {
    "um": 1.0,
    "µm": 1.0,
    "micrometers": 1.0,
    "micrometres": 1.0,
    "microns": 1.0,
    "nm": 1e-3,
    "nanometers": 1e-3,
    "nanometres": 1e-3,
}


@dataclass(frozen=True)
class SpectralInfo:
    """A band's central wavelength and width (FWHM) in micrometres, and its bad-band flag; None if unknown."""

    wavelength: float | None = None
    fwhm: float | None = None
    good: bool | None = None

    @property
    def is_bad(self) -> bool:
        """True if the metadata flag the band as bad."""
        return self.good is False


def read_spectral_info(scene: Scene) -> list[SpectralInfo]:
    """Wavelength, FWHM and bad-band flag of each band, from the IMAGERY domain, band items or the ENVI domain."""
    envi = scene.tags().get("ENVI", {})
    lists = {name: _envi_list(envi.get(name)) for name in ("wavelength", "fwhm", "bbl")}
    envi_unit = envi.get("wavelength_units", "")
    found = []
    for place, band in enumerate(scene.bands):
        items = {key.lower(): value for key, value in band.tags.get("", {}).items()}
        imagery = band.tags.get("IMAGERY", {})
        unit = items.get("wavelength_units", envi_unit)
        own = {name: values[place] for name, values in lists.items() if band.source == 0 and place < len(values)}
        wavelength, fwhm, good = (_number(items.get(name, own.get(name))) for name in lists)
        factor = _micrometres_per_unit(unit, wavelength)
        found.append(
            SpectralInfo(
                _number(imagery.get("CENTRAL_WAVELENGTH_UM"), _scaled(wavelength, factor)),
                _number(imagery.get("FWHM_UM"), _scaled(fwhm, factor)),
                None if good is None else good != 0,
            )
        )
    return found


def copy_metadata(
    target: rasterio.io.DatasetWriter,
    scene: Scene,
    descriptions: Sequence[str] | None,
    tags: dict[str, str],
    content: Content = "values",
) -> None:
    """Copy the scene's metadata to ``target`` and add ``tags`` to the default namespace.

    ``descriptions``: new band descriptions. ``content`` decides whether scale, offset, units and colours are copied:
    all for ``values``; scale and units for ``deviation``; none for ``mask``.
    """
    spectral = read_spectral_info(scene)
    for namespace, items in scene.tags().items():
        if namespace:
            target.update_tags(ns=namespace, **items)
        else:
            target.update_tags(**{key: value for key, value in items.items() if key != "AREA_OR_POINT" or value})
    if tags:
        target.update_tags(**tags)
    bands = scene.bands[: target.count] if len(scene.bands) >= target.count else scene.bands
    for number, (band, info) in enumerate(zip(bands, spectral), start=1):
        text = descriptions[number - 1] if descriptions else band.description
        if text:
            target.set_band_description(number, text)
        for namespace, items in _with_file_items(scene, band).items():
            kept = {key: value for key, value in items.items() if not key.startswith("STATISTICS_")}
            if kept:
                target.update_tags(number, ns=namespace or None, **kept)
        _write_spectral(target, number, {key.lower(): value for key, value in band.tags.get("", {}).items()}, info)
    if any(info.wavelength is not None for info in spectral):
        _write_envi_lists(target, spectral)
    if content == "mask":
        return
    scales = [band.scale for band in bands]
    offsets = [band.offset if content == "values" else 0.0 for band in bands]
    units = [band.units or "" for band in bands]
    extra = target.count - len(bands)  # 1 for an alpha band at the end
    if any(scale != 1.0 for scale in scales) or any(offset != 0.0 for offset in offsets):
        target.scales = (*scales, *[1.0] * extra)
        target.offsets = (*offsets, *[0.0] * extra)
    if any(units):
        target.units = (*units, *[""] * extra)
    if content != "values":
        return
    target.colorinterp = (*[band.colorinterp for band in bands], *list(target.colorinterp)[len(bands) :])
    if target.count == 1 and scene.colormap(0):
        target.write_colormap(1, scene.colormap(0))


def copy_alpha_metadata(target: rasterio.io.DatasetWriter, scene: Scene) -> None:
    """Copy description and items of the first raster's alpha band to the last band of ``target``."""
    source, index = scene.sources[0], scene.alpha_index
    if index is None:
        return
    if source.descriptions[index - 1]:
        target.set_band_description(target.count, source.descriptions[index - 1])
    for namespace, items in read_tags(source, index).items():
        kept = {key: value for key, value in items.items() if not key.startswith("STATISTICS_")}
        target.update_tags(target.count, ns=namespace or None, **kept)


def _with_file_items(scene: Scene, band: Band) -> dict[str, dict[str, str]]:
    """The items of a band; for a further raster also those of the file that differ from the first raster's."""
    if band.source == 0:
        return band.tags
    first = scene.sources[0].tags()
    own = {
        key: value
        for key, value in scene.sources[band.source].tags().items()
        if first.get(key) != value and key not in ("AREA_OR_POINT", "DEEP_PRIOR")
    }
    return {**band.tags, "": {**own, **band.tags.get("", {})}}


def _write_spectral(target: rasterio.io.DatasetWriter, number: int, items: dict[str, str], info: SpectralInfo) -> None:
    """Write the IMAGERY items, and the band items that are missing, in the unit of the existing ones."""
    added: dict[str, str] = {}
    factor = 1.0
    if info.wavelength is not None:
        target.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{info.wavelength:.6g}")
        listed = _number(items.get("wavelength"))
        if listed is None:
            added["wavelength"] = f"{info.wavelength:.6g}"
        elif info.wavelength > 0 and listed > 30 * info.wavelength:
            factor = 1000.0
        if listed is None or _unit_factor(items.get("wavelength_units", "")) is None:
            added["wavelength_units"] = "Micrometers" if factor == 1.0 else "Nanometers"
    if info.fwhm is not None:
        target.update_tags(number, ns="IMAGERY", FWHM_UM=f"{info.fwhm:.6g}")
        if "fwhm" not in items:
            added["fwhm"] = f"{info.fwhm * factor:.6g}"
    if info.good is not None and "bbl" not in items:
        added["bbl"] = str(int(info.good))
    if added:
        target.update_tags(number, **added)


def _write_envi_lists(target: rasterio.io.DatasetWriter, spectral: Sequence[SpectralInfo]) -> None:
    lists = {"wavelength": [item.wavelength for item in spectral], "fwhm": [item.fwhm for item in spectral]}
    items = {
        name: "{" + ", ".join(f"{value:.6g}" for value in values if value is not None) + "}"
        for name, values in lists.items()
        if all(value is not None for value in values)
    }
    if items:
        target.update_tags(ns="ENVI", wavelength_units="Micrometers", **items)
    flags = [item.good for item in spectral]
    if any(flag is not None for flag in flags):
        target.update_tags(ns="ENVI", bbl="{" + ", ".join("0" if flag is False else "1" for flag in flags) + "}")


def _envi_list(text: str | None) -> list[str]:
    return [item.strip() for item in text.strip().strip("{}").split(",")] if text else []


def _number(text: str | None, default: float | None = None) -> float | None:
    try:
        return float(text) if text is not None else default
    except ValueError:
        return default


def _scaled(value: float | None, factor: float | None) -> float | None:
    # Rounded to a femtometre: 423.874 nm are 0.423874 micrometres, not 0.42387400000000003.
    return None if value is None or factor is None else round(value * factor, 9)


def _unit_factor(unit: str) -> float | None:
    return _TO_MICROMETRES.get(unit.strip().lower())


def _micrometres_per_unit(unit: str, wavelength: float | None) -> float | None:
    """The factor from a band's unit to micrometres; None if the unit is no length (GHz, years)."""
    if unit.strip().lower() in ("", "unknown"):  # no optical band is centred at 100 micrometres or more
        return 1e-3 if wavelength is not None and wavelength >= 100 else 1.0
    return _unit_factor(unit)
