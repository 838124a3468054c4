"""Small synthetic scenes, and helpers to write, fill and read rasters in the tests of the engine."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from dip_core.events import Event, Message
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.raster.scene import Scene
from dip_core.raster.writer import RasterWriter
from dip_core.restoration_jobs import GapFillJob
from dip_core.runtime.context import Context

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DEEP_PRIOR_DATA") or ROOT.parent / "shared" / "data")
TRANSFORM = rasterio.Affine(30.0, 0.0, 500000.0, 0.0, -30.0, 6200000.0)


def data(name: str) -> str:
    """The path of a raster in the data folder, which is not part of the project; skips the test if it is missing."""
    if not (DATA / name).exists():
        pytest.skip(f"no {name} in {DATA}: set DEEP_PRIOR_DATA to the folder of the test rasters")
    return str(DATA / name)


def write(path, pixels, **profile) -> str:
    """Write pixels ``(band, row, column)`` to a GeoTIFF and return its path."""
    bands, rows, columns = pixels.shape
    options = {"crs": "EPSG:32633", "transform": TRANSFORM, "dtype": pixels.dtype.name, **profile}
    with rasterio.open(path, "w", driver="GTiff", count=bands, height=rows, width=columns, **options) as file:
        file.write(pixels)
    return str(path)


def landscape(bands: int = 3, rows: int = 96, columns: int = 120, seed: int = 0) -> np.ndarray:
    """A smooth, textured float64 scene in 20..230 with similar bands."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    common = np.sin(x / 9.0 + y / 23.0) + np.cos(y / 7.0 - x / 31.0)
    out = np.empty((bands, rows, columns))
    for band in range(bands):
        own = np.sin(x / (5.0 + band % 7) + band) * 0.4
        out[band] = 125 + 40 * common + 25 * own + rng.normal(0, 2, (rows, columns))
    return out.clip(20, 230)


def slanted_gaps(rows: int = 96, columns: int = 120, thick: int = 6, period: int = 20, shift: int = 0) -> np.ndarray:
    """Slanted gaps ``(row, column)``, True where missing; no border row or column is missing completely."""
    y, x = np.mgrid[:rows, :columns]
    return (y + shift + x // 8) % period < thick


def material_cube(bands: int = 30, rows: int = 64, columns: int = 72, seed: int = 0) -> np.ndarray:
    """A noise-free cube of three materials, piecewise smooth, in 0..1."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(3, rows, columns)), (0, 6, 6))
    shares = np.stack([np.where(field > 0, 1.0, 0.2) for field in fields]) + 4.0 * fields
    spectra = ndimage.gaussian_filter1d(rng.random((bands, 3)), 4 if bands > 8 else 1, axis=0)
    image = np.tensordot(spectra, shares, axes=1)
    return (image - image.min()) / (image.max() - image.min())


def add_noise(clean: np.ndarray, sigma, seed: int = 1) -> np.ndarray:
    """``clean`` with independent normal noise; ``sigma``: one level, or one per band."""
    level = np.broadcast_to(np.asarray(sigma, float), len(clean))[:, None, None]
    return clean + level * np.random.default_rng(seed).normal(size=clean.shape)


def fill(tmp_path: Path, inputs, method: str = "fast", *, report: bool = True, **options):
    """Run a gap-fill job with all outputs; returns the result, the output paths by name, and all events.

    ``report`` False: without the report, which takes longest on a small scene. ``options``: those of `GapFillJob` and
    of `Compute`. After an error, temporary files are removed.
    """
    from dip_core.tasks import gap_fill  # imported here because it loads torch

    tmp_path.mkdir(exist_ok=True)
    names = {"output": "o.tif", "uncertainty": "u.tif", "filled": "f.tif", "report": "r.html", "metrics": "m.csv"}
    if not report:
        del names["report"]
    compute = {name: options.pop(name) for name in list(options) if name in Compute.__dataclass_fields__}
    outputs = Outputs(**{name: str(tmp_path / file) for name, file in names.items()})
    inputs = (inputs,) if isinstance(inputs, (str, Path)) else inputs
    job = GapFillJob(tuple(str(path) for path in inputs), outputs, method=method, compute=Compute(**compute), **options)
    events: list[Event] = []
    try:
        result = gap_fill.run(job, Context(events.append, job.compute.time_budget))
    except BaseException:
        atomic.discard()
        raise
    atomic.commit()
    return result, {name: str(tmp_path / file) for name, file in names.items()}, events


def copy(inputs, out, changed=None, **options) -> str:
    """Copy a scene with `RasterWriter`, block by block as in a run, and commit it; returns ``out``.

    ``changed`` ``(band, row, column)``: pixels to mark as restored.
    """
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


def warnings_of(events) -> list[str]:
    """The warnings among events."""
    return [event.text for event in events if isinstance(event, Message) and event.level == "warning"]
