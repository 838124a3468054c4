"""The files that GDAL reads for the inputs of a job, such as headers, masks and the sources of a VRT."""

from __future__ import annotations

import contextlib
import os
from dataclasses import fields

import rasterio
from rasterio.errors import RasterioError

from ..job import Job
from ..output_paths import files_in_name, require_kept

_MAX_FILES = 10000  # of a VRT, whose sources can be VRTs again


def check_inputs_are_kept(job: Job) -> None:
    """Raise InvalidJob if an output would replace a file that GDAL reads for an input.

    Inputs that cannot be opened are left for the task to report.
    """
    outputs = job.outputs.requested()
    for path in _input_paths(job):
        for file in files_of(path):
            for name, target in outputs.items():
                require_kept(name, target, path, file)


def files_of(path: str) -> list[str]:
    """The existing files of a raster, those of a VRT's sources included."""
    found: list[str] = []
    waiting = [path]
    while waiting and len(found) < _MAX_FILES:
        name = waiting.pop()
        with contextlib.suppress(RasterioError, OSError, IndexError, ValueError), rasterio.open(name) as source:
            files = [file for listed in source.files for file in files_in_name(listed) if os.path.exists(file)]
            new = [file for file in files if file not in found]
            found += new
            waiting += [file for file in new if file.lower().endswith(".vrt") and file != name]
    return found


def _input_paths(job: Job) -> list[str]:
    found: list[str] = []
    for field in fields(job):
        value = getattr(job, field.name)
        items = value if isinstance(value, tuple) else (value,)
        found += [item for item in items if isinstance(item, str) and os.path.exists(item)]
    return found
