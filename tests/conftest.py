"""Makes the checkout importable as the plugin package ``deep_prior``, as QGIS does, and offers fake workers."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

_alias = tempfile.TemporaryDirectory(prefix="deep_prior_package_")
os.symlink(ROOT, Path(_alias.name) / "deep_prior")
sys.path.insert(0, _alias.name)


@pytest.fixture
def fake_engine(tmp_path):
    """Makes programs that stand in for the engine's Python: the body runs with the job in ``job``.

    They speak the worker's protocol through ``tell(event, **facts)``, and are called exactly as a real
    engine's Python is, so that starting, reading and stopping are the plugin's own.
    """

    def make(body: str, name: str = "engine") -> str:
        path = tmp_path / name
        head = f"""\
            #!{sys.executable}
            import json, os, signal, sys, threading, time

            def tell(event, **facts):
                print(json.dumps({{"event": event, **facts}}), flush=True)

            def partial(target):
                folder, name = os.path.split(target)
                return os.path.join(folder, "." + name + "." + os.environ["DEEP_PRIOR_TOKEN"] + ".part")

            job = json.load(open(sys.argv[-1])) if sys.argv[-1].endswith(".json") else None
            """
        path.write_text(textwrap.dedent(head) + textwrap.dedent(body), encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


@pytest.fixture
def provider(qgis_app, qgis_processing):
    """The plugin's provider, registered as qgis_process does it."""
    from deep_prior import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    yield plugin.provider
    plugin.unload()


@pytest.fixture
def make_raster():
    """Writes small GeoTIFFs with QGIS's own GDAL: ``bands`` is (band, row, column)."""
    from osgeo import gdal, gdal_array, osr

    def make(path, bands, nodata=0, **items: str) -> str:
        kind = gdal_array.NumericTypeCodeToGDALTypeCode(bands.dtype)
        raster = gdal.GetDriverByName("GTiff").Create(str(path), bands.shape[2], bands.shape[1], bands.shape[0], kind)
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
    """The same with two slanting gaps of 5 rows, marked by 0."""
    import numpy as np

    y, x = np.mgrid[: whole_scene.shape[1], : whole_scene.shape[2]]
    gap = (y + x // 12) % 40 < 5
    return np.where(gap, 0, whole_scene).astype("u1")
