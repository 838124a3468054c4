"""Small synthetic scenes and how the core's tests write, fill and read rasters; no tests here."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

from dip_core.events import Event, Message
from dip_core.job import Compute, GapFillJob, Outputs
from dip_core.raster import atomic
from dip_core.raster.scene import Scene
from dip_core.raster.writer import RasterWriter
from dip_core.runtime.context import Context

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DEEP_PRIOR_DATA") or ROOT.parent / "shared" / "data")
TRANSFORM = rasterio.Affine(30.0, 0.0, 500000.0, 0.0, -30.0, 6200000.0)


def data(name: str) -> str:
    """A raster of the data folder, which is no part of the project; skips the test where it is absent."""
    if not (DATA / name).exists():
        pytest.skip(f"no {name} in {DATA}: set DEEP_PRIOR_DATA to the folder of the test rasters")
    return str(DATA / name)


def write(path, pixels, **profile) -> str:
    """A GeoTIFF of ``(band, row, column)`` pixels; returns its path."""
    bands, rows, columns = pixels.shape
    options = {"crs": "EPSG:32633", "transform": TRANSFORM, "dtype": pixels.dtype.name, **profile}
    with rasterio.open(path, "w", driver="GTiff", count=bands, height=rows, width=columns, **options) as file:
        file.write(pixels)
    return str(path)


def landscape(bands: int = 3, rows: int = 96, columns: int = 120, seed: int = 0) -> np.ndarray:
    """A smooth, textured float64 scene in 20..230 whose bands are alike but not equal."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    common = np.sin(x / 9.0 + y / 23.0) + np.cos(y / 7.0 - x / 31.0)
    out = np.empty((bands, rows, columns))
    for band in range(bands):
        own = np.sin(x / (5.0 + band % 7) + band) * 0.4
        out[band] = 125 + 40 * common + 25 * own + rng.normal(0, 2, (rows, columns))
    return out.clip(20, 230)


def stripes(rows: int = 96, columns: int = 120, thick: int = 6, period: int = 20, shift: int = 0) -> np.ndarray:
    """Slanting gaps ``(row, column)``, True where missing, that no border row or column lies in wholly."""
    y, x = np.mgrid[:rows, :columns]
    return (y + shift + x // 8) % period < thick


def fill(tmp_path: Path, inputs, method: str = "fast", **options):
    """Run a gap-fill job with all outputs; the result, a dictionary of their paths, and all events.

    ``options`` of `Compute` and of `GapFillJob` may be mixed. Partials are discarded on failure, as the worker does.
    """
    from dip_core.tasks import gap_fill

    tmp_path.mkdir(exist_ok=True)
    names = {"output": "o.tif", "uncertainty": "u.tif", "filled": "f.tif", "report": "r.html", "metrics": "m.csv"}
    compute = {name: options.pop(name) for name in list(options) if name in Compute.__dataclass_fields__}
    outputs = Outputs(**{name: str(tmp_path / file) for name, file in names.items()})
    inputs = (inputs,) if isinstance(inputs, (str, Path)) else inputs
    job = GapFillJob(tuple(str(path) for path in inputs), outputs, method=method, compute=Compute(**compute), **options)
    told: list[Event] = []
    try:
        result = gap_fill.run(job, Context(told.append, job.compute.time_budget))
    except BaseException:
        atomic.discard()
        raise
    atomic.commit()
    return result, {name: str(tmp_path / file) for name, file in names.items()}, told


def copy(inputs, out, changed=None, **options) -> str:
    """A scene written again by `RasterWriter`, block by block as a run does it, and committed."""
    paths = [inputs] if isinstance(inputs, (str, Path)) else inputs
    with Scene([str(path) for path in paths]) as scene, RasterWriter(str(out), scene, **options) as writer:
        for window in scene.blocks():
            cut = None if changed is None else changed[(slice(None), *window.toslices())]
            writer.write(scene.read(window), window, cut)
    atomic.commit()
    return str(out)


def read(path) -> np.ndarray:
    """All bands of a raster."""
    with rasterio.open(path) as file:
        return file.read()


def table(path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def warnings_of(told) -> list[str]:
    """The warnings among events."""
    return [event.text for event in told if isinstance(event, Message) and event.level == "warning"]
