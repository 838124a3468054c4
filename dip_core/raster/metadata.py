"""What is known of a scene beside its pixels, carried into a result.

*Wavelengths* are written in the three places where readers look for them: band items ``wavelength`` and
``wavelength_units``, the ``ENVI`` domain, and ``IMAGERY:CENTRAL_WAVELENGTH_UM`` (GDAL 3.10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rasterio

from .scene import Scene

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
    """A band's centre and width in micrometres, and whether it is good; None where unknown."""

    wavelength: float | None = None
    fwhm: float | None = None
    good: bool | None = None


def read_spectral_info(scene: Scene) -> list[SpectralInfo]:
    """Wavelength, FWHM and bad-band flag of every band, from band items, IMAGERY or the ENVI domain."""
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
        factor = _factor(unit, wavelength)
        found.append(
            SpectralInfo(
                _number(imagery.get("CENTRAL_WAVELENGTH_UM"), _times(wavelength, factor)),
                _number(imagery.get("FWHM_UM"), _times(fwhm, factor)),
                None if good is None else good != 0,
            )
        )
    return found


def copy_metadata(
    target: rasterio.io.DatasetWriter,
    scene: Scene,
    descriptions: Sequence[str] | None,
    tags: dict[str, str],
    kind: str = "values",
) -> None:
    """Copy the scene's metadata to ``target`` and add ``tags`` (how the file was made).

    ``kind`` tells which of scale, offset, units and colours still hold; see `writer.RasterWriter`.
    """
    for namespace, items in scene.tags().items():
        if namespace:
            target.update_tags(ns=namespace, **items)
        else:
            target.update_tags(**{key: value for key, value in items.items() if key != "AREA_OR_POINT" or value})
    if tags:
        target.update_tags(**tags)
    bands = scene.bands[: target.count] if len(scene.bands) >= target.count else scene.bands
    for number, (band, known) in enumerate(zip(bands, read_spectral_info(scene)), start=1):
        text = descriptions[number - 1] if descriptions else band.description
        if text:
            target.set_band_description(number, text)
        for namespace, items in band.tags.items():
            kept = {key: value for key, value in items.items() if not key.startswith("STATISTICS_")}
            if kept:
                target.update_tags(number, ns=namespace or None, **kept)
        _write_spectral(target, number, {key.lower(): value for key, value in band.tags.get("", {}).items()}, known)
    if any(known.wavelength is not None for known in read_spectral_info(scene)):
        _write_envi_lists(target, read_spectral_info(scene))
    if kind == "mask":
        return
    scales = [band.scale for band in bands]
    offsets = [band.offset if kind == "values" else 0.0 for band in bands]
    units = [band.units or "" for band in bands]
    spare = target.count - len(bands)  # an alpha band behind the scene's own
    if any(scale != 1.0 for scale in scales) or any(offset != 0.0 for offset in offsets):
        target.scales = (*scales, *[1.0] * spare)
        target.offsets = (*offsets, *[0.0] * spare)
    if any(units):
        target.units = (*units, *[""] * spare)
    if kind != "values":
        return
    target.colorinterp = (*[band.colorinterp for band in bands], *list(target.colorinterp)[len(bands) :])
    if target.count == 1 and scene.colormap(0):
        target.write_colormap(1, scene.colormap(0))


def _write_spectral(target: rasterio.io.DatasetWriter, number: int, items: dict[str, str], known: SpectralInfo) -> None:
    """IMAGERY, and those of the band items that are missing, in the unit of those that are there."""
    added: dict[str, str] = {}
    factor = 1.0
    if known.wavelength is not None:
        target.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{known.wavelength:.6g}")
        listed = _number(items.get("wavelength"))
        if listed is None:
            added["wavelength"] = f"{known.wavelength:.6g}"
        elif known.wavelength > 0 and listed > 30 * known.wavelength:
            factor = 1000.0
        if listed is None or _unit_factor(items.get("wavelength_units", "")) is None:
            added["wavelength_units"] = "Micrometers" if factor == 1.0 else "Nanometers"
    if known.fwhm is not None:
        target.update_tags(number, ns="IMAGERY", FWHM_UM=f"{known.fwhm:.6g}")
        if "fwhm" not in items:
            added["fwhm"] = f"{known.fwhm * factor:.6g}"
    if known.good is not None and "bbl" not in items:
        added["bbl"] = str(int(known.good))
    if added:
        target.update_tags(number, **added)


def _write_envi_lists(target: rasterio.io.DatasetWriter, known: Sequence[SpectralInfo]) -> None:
    lists = {"wavelength": [item.wavelength for item in known], "fwhm": [item.fwhm for item in known]}
    items = {
        name: "{" + ", ".join(f"{value:.6g}" for value in values if value is not None) + "}"
        for name, values in lists.items()
        if all(value is not None for value in values)
    }
    if items:
        target.update_tags(ns="ENVI", wavelength_units="Micrometers", **items)
    flags = [item.good for item in known]
    if any(flag is not None for flag in flags):
        target.update_tags(ns="ENVI", bbl="{" + ", ".join("0" if flag is False else "1" for flag in flags) + "}")


def _envi_list(text: str | None) -> list[str]:
    return [item.strip() for item in text.strip().strip("{}").split(",")] if text else []


def _number(text: str | None, otherwise: float | None = None) -> float | None:
    try:
        return float(text) if text is not None else otherwise
    except ValueError:
        return otherwise


def _times(value: float | None, factor: float | None) -> float | None:
    # To a femtometre: 423.874 nm are 0.423874 micrometres, not 0.42387400000000003.
    return None if value is None or factor is None else round(value * factor, 9)


def _unit_factor(unit: str) -> float | None:
    return _TO_MICROMETRES.get(unit.strip().lower())


def _factor(unit: str, wavelength: float | None) -> float | None:
    """What makes micrometres of a band's wavelength and FWHM, which share a unit; None for GHz, years and such."""
    if unit.strip().lower() in ("", "unknown"):  # no optical band has a centre of 100 micrometres or more
        return 1e-3 if wavelength is not None and wavelength >= 100 else 1.0
    return _unit_factor(unit)
