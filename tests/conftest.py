"""Makes the checkout importable as the package ``deep_prior``, as QGIS does; fake engines and small rasters."""

from __future__ import annotations

import os
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

_alias = tempfile.TemporaryDirectory(prefix="deep_prior_package_")
os.symlink(ROOT, Path(_alias.name) / "deep_prior")
sys.path.insert(0, _alias.name)


def write_program(path: Path, text: str) -> str:
    """Write an executable file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def fake_engine(tmp_path):
    """Makes programs that replace the engine's Python: the body runs with the job in ``job``.

    They send events with ``emit(event, **fields)``, and are started, read and stopped like a real engine.
    """

    def make(body: str, name: str = "engine") -> str:
        head = f"""\
            #!{sys.executable}
            import json, os, signal, sys, threading, time

            def emit(event, **fields):
                print(json.dumps({{"event": event, **fields}}), flush=True)

            def temporary(target):
                folder, name = os.path.split(target)
                return os.path.join(folder, "." + name + "." + os.environ["DEEP_PRIOR_TOKEN"] + ".part")

            job = json.load(open(sys.argv[-1])) if sys.argv[-1].endswith(".json") else None
            """
        return write_program(tmp_path / name, textwrap.dedent(head) + textwrap.dedent(body))

    return make


@pytest.fixture
def fake_base_python(tmp_path):
    """Makes programs that replace the Python from which an engine is built: they copy themselves into the venv.

    ``pip`` and ``probe`` are shell commands that run instead of these modules. All arguments are appended to the file
    ``base-python.log`` in the test's folder.
    """

    answer = """echo '{"python": "3.11", "versions": {"torch": "2.9.0"}, "devices": []}'"""

    def make(pip: str = ":", probe: str = answer, version: str = "3 11 8") -> str:
        script = f"""\
            #!/bin/sh
            echo "$*" >> "{tmp_path}/base-python.log"
            case "$1 $2" in
            -c*) echo {version} ;;
            "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
            "-m pip") {pip} ;;
            "-m dip_core") {probe} ;;
            esac
            """
        return write_program(tmp_path / "base-python", textwrap.dedent(script))

    return make


@pytest.fixture
def provider(qgis_app, qgis_processing):
    """The plugin's provider, registered as in qgis_process."""
    from deep_prior import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    yield plugin.provider
    plugin.unload()


@pytest.fixture
def make_raster():
    """Writes small GeoTIFFs with QGIS's GDAL; ``bands`` is (band, row, column), ``items`` are band metadata."""
    from osgeo import gdal, gdal_array, osr

    def make(path, bands, nodata=0, **items: str) -> str:
        count, rows, columns = bands.shape
        data_type = gdal_array.NumericTypeCodeToGDALTypeCode(bands.dtype)
        raster = gdal.GetDriverByName("GTiff").Create(str(path), columns, rows, count, data_type)
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(32622)
        raster.SetProjection(crs.ExportToWkt())
        raster.SetGeoTransform((500000, 30, 0, 9000000, 0, -30))
        for number, pixels in enumerate(bands, 1):
            band = raster.GetRasterBand(number)
            band.WriteArray(pixels)
            if nodata is not None:
                band.SetNoDataValue(nodata)
            for key, value in items.items():
                band.SetMetadataItem(key, value)
        raster = None
        return str(path)

    return make


@pytest.fixture
def whole_scene():
    """A smooth scene of 3 bands, 96 x 120 pixels, without gaps."""
    import numpy as np

    y, x = np.mgrid[:96, :120]
    return np.stack([110 + 50 * np.sin(x / 15 + k) + 30 * np.cos(y / 11) for k in range(3)]).clip(1, 255).astype("u1")


@pytest.fixture
def scene_with_gaps(whole_scene):
    """The same scene with two tilted gaps of 5 rows, set to 0."""
    import numpy as np

    y, x = np.mgrid[: whole_scene.shape[1], : whole_scene.shape[2]]
    gap = (y + x // 12) % 40 < 5
    return np.where(gap, 0, whole_scene).astype("u1")
