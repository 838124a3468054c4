"""Random jobs of the restorers, with all their outputs."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from dip_core.job import Job
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import DenoiseJob, GapFillJob, InpaintStripesJob, SuperResolveJob

from .rasters import DAMAGES, DTYPES, GEOREFERENCES, MARKERS, NODATA, RandomRaster

METHODS = ("fast", "fast", "fast", "best", "deep_prior")
OUTPUT_FILES = {
    "output": "output.tif",
    "uncertainty": "uncertainty.tif",
    "filled": "filled.tif",
    "report": "report.html",
    "metrics": "metrics.csv",
}


def outputs_in(folder: Path) -> Outputs:
    """All outputs of a restorer, in one folder."""
    return Outputs(**{name: str(folder / file) for name, file in OUTPUT_FILES.items()})


def random_raster(rng: random.Random) -> RandomRaster:
    """A random raster of 8 to 90 pixels a side and 1 to 8 bands."""
    dtype = rng.choice(DTYPES)
    return RandomRaster(
        seed=rng.randrange(2**31),
        bands=rng.choice((1, 1, 2, 3, 4, 6, 8)),
        rows=rng.randint(8, 90),
        columns=rng.randint(8, 90),
        dtype=dtype,
        damage=rng.choice(DAMAGES),
        marker=rng.choice(MARKERS),
        nodata=rng.choice(NODATA[dtype]),
        level=rng.choice((1e-5, 1.0, 1000.0, 1e9)) if dtype.startswith("float") else rng.choice((300.0, 9000.0)),
        georeference=rng.choice(GEOREFERENCES),
        scaled=rng.random() < 0.4,
        named=rng.random() < 0.4,
        wavelengths=rng.random() < 0.3,
        tiled=rng.random() < 0.5,
        striped=rng.random() < 0.3,
    )


def random_job(rng: random.Random, raster: Path, outputs: Outputs) -> Job:
    """A random restorer's job on a raster."""
    compute = Compute(seed=rng.randrange(100), tile_size=rng.choice((0, 0, 64)), device="cpu", threads=1)
    method = rng.choice(METHODS)
    if method == "deep_prior":
        compute = replace(compute, time_budget=rng.choice((1.0, 3.0)))
    task = rng.choice(("gap_fill", "gap_fill", "denoise", "inpaint_stripes", "superresolve"))
    if task == "gap_fill":
        fill_exterior = rng.random() < 0.2
        return GapFillJob((str(raster),), outputs, method=method, compute=compute, fill_exterior=fill_exterior)
    if task == "denoise":
        noise = rng.choice(("auto", "gaussian", "mixed"))
        return DenoiseJob(str(raster), outputs, method=method, noise=noise, compute=compute)
    if task == "inpaint_stripes":
        return InpaintStripesJob(str(raster), outputs, method=method, compute=compute)
    return SuperResolveJob(str(raster), outputs, factor=rng.choice((2, 3)), method=method, compute=compute)
