"""How the tests of super-resolution run a job; no tests here."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import rasterio
from core_scenes import TRANSFORM

from dip_core.events import Message
from dip_core.job import from_json, to_json
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import SuperResolveJob
from dip_core.runtime.context import Context
from dip_core.tasks import superresolve

FINER = TRANSFORM @ rasterio.Affine.scale(1 / 2)  # of the output at factor 2


class Run(NamedTuple):
    """Rasters, output numbers and messages of a run."""

    output: np.ndarray
    uncertainty: np.ndarray
    filled: np.ndarray
    numbers: dict
    messages: list


def run(folder, source, method="fast", iterations=None, tile_size=0, overlap=0, seed=0, report=False, **choices) -> Run:
    """Run a job with one thread, as the worker does; its files are ``output.tif`` and so on in ``folder``."""
    outputs = Outputs(
        *(str(folder / f"{name}.tif") for name in ("output", "uncertainty", "filled")),
        report=str(folder / "report.html") if report else None,
        metrics=str(folder / "metrics.csv"),
    )
    compute = Compute("cpu", seed, tile_size=tile_size, overlap=overlap, threads=1)
    job = SuperResolveJob(source, outputs, method=method, compute=compute, **choices)
    events = []
    try:
        result = superresolve.run(from_json(to_json(job)), Context(events.append), iterations)
        atomic.commit()
    finally:
        atomic.discard()
    layers = []
    for path in (outputs.output, outputs.uncertainty, outputs.filled):
        with rasterio.open(path) as file:
            layers.append(file.read())
    return Run(*layers, result.numbers, [event.text for event in events if isinstance(event, Message)])


def weight_of(name, folder):
    """The weight of an expert in the output in ``folder``."""
    with rasterio.open(folder / "output.tif") as file:
        return json.loads(file.tags()["DEEP_PRIOR"])["shares"].get(name, 0.0)
