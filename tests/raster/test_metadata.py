"""Wavelengths, FWHM and bad bands: read from all common places, and written to all of them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import copy, data, write

from dip_core.raster.metadata import SpectralInfo, read_spectral_info
from dip_core.raster.scene import Scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

WAVELENGTHS = (0.45, 0.55, 1.65)  # micrometres


def scene_file(tmp_path, name="a.tif"):
    return write(tmp_path / name, np.ones((3, 4, 5), np.int16))


def known(path):
    with Scene([str(path)]) as scene:
        return read_spectral_info(scene)


def places(path):
    """Band items, the ENVI domain, and the IMAGERY domain of GDAL."""
    with rasterio.open(path) as file:
        items = [file.tags(band) for band in file.indexes]
        imagery = [file.tags(band, ns="IMAGERY") for band in file.indexes]
        return items, file.tags(ns="ENVI"), imagery


SOURCES = {
    "band items in nm": {"items": {"wavelength": (450, 550, 1650), "fwhm": (10, 20, 30)}, "unit": "Nanometers"},
    "band items in um": {"items": {"wavelength": WAVELENGTHS, "fwhm": (0.01, 0.02, 0.03)}, "unit": "um"},
    "band items without a unit": {"items": {"wavelength": (450, 550, 1650), "fwhm": (10, 20, 30)}},
    "ENVI in nm": {
        "envi": {"wavelength": "{450, 550, 1650}", "fwhm": "{10, 20, 30}", "wavelength_units": "Nanometers"}
    },
    "ENVI in um": {
        "envi": {"wavelength": "{0.45, 0.55, 1.65}", "fwhm": "{ 0.01,0.02, 0.03}", "wavelength_units": "Micrometers"}
    },
    "ENVI of unknown unit": {
        "envi": {"wavelength": "{450, 550, 1650}", "fwhm": "{10, 20, 30}", "wavelength_units": "Unknown"}
    },
    "GDAL's IMAGERY": {"imagery": {"CENTRAL_WAVELENGTH_UM": WAVELENGTHS, "FWHM_UM": (0.01, 0.02, 0.03)}},
}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    """A file with wavelengths in one of the common places and units."""
    path, facts = scene_file(tmp_path), SOURCES[request.param]
    with rasterio.open(path, "r+") as file:
        for place, band in enumerate(file.indexes):
            for name, values in facts.get("items", {}).items():
                file.update_tags(band, **{name: values[place]})
            if "unit" in facts:
                file.update_tags(band, wavelength_units=facts["unit"])
            for name, values in facts.get("imagery", {}).items():
                file.update_tags(band, ns="IMAGERY", **{name: values[place]})
        if "envi" in facts:
            file.update_tags(ns="ENVI", **facts["envi"], bbl="{1, 0, 1}")
        elif "items" in facts:
            for band, flag in zip(file.indexes, (1, 0, 1)):
                file.update_tags(band, bbl=flag)
    return path


def test_reading_from_all_places(source):
    found = known(source)
    assert [item.wavelength for item in found] == pytest.approx(WAVELENGTHS)
    assert [item.fwhm for item in found] == pytest.approx((0.01, 0.02, 0.03))
    with rasterio.open(source) as file:
        has_flags = bool(file.tags(1).get("bbl") or file.tags(ns="ENVI").get("bbl"))
    assert [item.good for item in found] == ([True, False, True] if has_flags else [None] * 3)


def test_writing_to_all_places(tmp_path, source):
    out = copy(source, tmp_path / "o.tif")
    items, header, imagery = places(out)
    for place, wavelength in enumerate(WAVELENGTHS):
        fwhm = (place + 1) / 100
        assert float(imagery[place]["CENTRAL_WAVELENGTH_UM"]) == pytest.approx(wavelength)
        assert float(imagery[place]["FWHM_UM"]) == pytest.approx(fwhm)
        # All items of a band have the same, stated unit.
        factor = {"nm": 1e-3, "Nanometers": 1e-3, "um": 1, "Micrometers": 1}[items[place]["wavelength_units"]]
        assert float(items[place]["wavelength"]) * factor == pytest.approx(wavelength)
        assert float(items[place]["fwhm"]) * factor == pytest.approx(fwhm)
    assert header["wavelength_units"] == "Micrometers"
    for name, values in (("wavelength", WAVELENGTHS), ("fwhm", (0.01, 0.02, 0.03))):
        assert [float(value) for value in header[name].strip("{}").split(",")] == pytest.approx(values)
    if known(source)[0].good is not None:
        assert header["bbl"] == "{1, 0, 1}"
        assert [item["bbl"] for item in items] == ["1", "0", "1"]
    # A second copy changes nothing.
    assert places(copy(out, tmp_path / "oo.tif")) == (items, header, imagery)


def test_bands_without_metadata(tmp_path):
    path = scene_file(tmp_path)
    assert known(path) == [SpectralInfo()] * 3
    items, header, imagery = places(copy(path, tmp_path / "o.tif"))
    assert items == imagery == [{}] * 3 and header == {}


def test_wavelengths_of_some_bands(tmp_path):
    """The ENVI list needs the values of all bands; band items do not."""
    path = scene_file(tmp_path)
    with rasterio.open(path, "r+") as file:
        file.update_tags(2, wavelength="800", wavelength_units="nm")
    items, header, imagery = places(copy(path, tmp_path / "o.tif"))
    assert [item.get("CENTRAL_WAVELENGTH_UM") for item in imagery] == [None, "0.8", None]
    assert "wavelength" not in header and "wavelength" not in items[0]


@pytest.mark.parametrize("unit", ["GHz", "decimal year", "Index"])
def test_units_that_are_not_lengths(tmp_path, unit):
    path = scene_file(tmp_path)
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, wavelength="1984.162", wavelength_units=unit, fwhm="3")
    assert known(path)[0] == SpectralInfo()
    items, _, imagery = places(copy(path, tmp_path / "o.tif"))
    assert items[0] == {"wavelength": "1984.162", "wavelength_units": unit, "fwhm": "3"} and imagery[0] == {}


def test_values_that_are_not_numbers(tmp_path):
    path = scene_file(tmp_path)
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, wavelength="green", fwhm="", bbl="yes")
        file.update_tags(ns="ENVI", wavelength="{450, 550}", bbl="{}")
    assert known(path) == [SpectralInfo(), SpectralInfo(0.55), SpectralInfo()]
    copy(path, tmp_path / "o.tif")


def test_the_envi_header_applies_to_its_own_file(tmp_path):
    paths = [write(tmp_path / f"{name}.tif", np.ones((1, 4, 5), np.int16)) for name in ("a", "b")]
    with rasterio.open(paths[0], "r+") as file:
        file.update_tags(ns="ENVI", wavelength="{450}", wavelength_units="Nanometers")
    with Scene(paths) as scene:
        assert [item.wavelength for item in read_spectral_info(scene)] == [pytest.approx(0.45), None]


def test_masks_and_deviations_have_wavelengths(tmp_path, source):
    for content in ("mask", "deviation"):
        out = copy(source, tmp_path / f"{content}.tif", dtype="float32", content=content)
        assert [item.wavelength for item in known(out)] == pytest.approx(WAVELENGTHS)


def test_enmap_scene(tmp_path):
    """EnMAP: 224 bands in nm with FWHM and bad-band flags."""
    path = data("hsi/enmap_potsdam_224b.tif")
    found = known(path)
    assert found[0] == SpectralInfo(pytest.approx(0.41824), pytest.approx(0.00699561), True)
    assert any(item.good is False for item in found) and len(found) == 224


def test_envi_scene_with_an_unknown_unit():
    """A wavelength of 426.8 must be in nanometres, and so is the FWHM of 11.4."""
    first = known(data("odd/enmapbox/cubus_gamsberg_subset"))[0]
    assert first.wavelength == pytest.approx(0.42682) and first.fwhm == pytest.approx(0.0113871)
