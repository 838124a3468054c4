"""Fills gaps with GRASS GIS's r.fillnulls, in a temporary GRASS project, if a command `grass` is found."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import rasters
from dip_core.arrays import Mask

NAME = "r.fillnulls (GRASS)"
MAX_SECONDS = 100.0  # for all bands of a scene
# The default, regularised splines with tension, takes a minute or more per band (error 7 % lower on one band).
METHOD = "bicubic"


class GrassError(Exception):
    """GRASS is missing, failed, or took too long; the message is suitable for a note below a table."""


def find() -> str | None:
    """The path of the command `grass`; None if there is none."""
    return shutil.which("grass")


def commands(grass: str, scene: Path, folder: Path, bands: int) -> list[list[str]]:
    """Commands that fill each band of ``scene`` and write it to ``folder`` as `filled_BAND.tif`."""
    project = folder / "project"
    session = [grass, str(project / "PERMANENT"), "--exec"]
    # -c with a file: create a project with the file's coordinate system; -e: exit afterwards.
    steps = [[grass, "-c", str(scene), "-e", str(project)]]
    for band in range(1, bands + 1):
        raw, filled, output = f"band_{band}", f"filled_{band}", folder / f"filled_{band}.tif"
        steps += [
            # -o: use the project's coordinate system, even if the file has none.
            [*session, "r.in.gdal", "-o", f"input={scene}", f"band={band}", f"output={raw}"],
            [*session, "g.region", f"raster={raw}"],
            [*session, "r.fillnulls", f"input={raw}", f"output={filled}", f"method={METHOD}"],
            [*session, "r.out.gdal", "-c", f"input={filled}", f"output={output}", "format=GTiff", "type=Float64"],
        ]
    return steps


def fill(values: NDArray, observed: Mask, folder: Path, like: Path) -> NDArray[np.float64]:
    """Fill every band with r.fillnulls; ``(band, row, column)``. Raises GrassError.

    ``folder``: for temporary files. ``like``: a raster with the CRS and transform of the values.
    """
    grass = find()
    if grass is None:
        raise GrassError("GRASS is not installed")
    with_nulls = np.where(observed, values, np.nan).astype(np.float32)
    scene = Path(rasters.write_raster(folder / "with_nulls.tif", with_nulls, like, nodata=np.nan))
    end = time.monotonic() + MAX_SECONDS
    for command in commands(grass, scene, folder, len(values)):
        run(command, max(1.0, end - time.monotonic()))
    filled = [rasters.read_raster(folder / f"filled_{band}.tif")[0] for band in range(1, len(values) + 1)]
    return np.stack(filled).astype(np.float64)


def run(command: list[str], seconds: float) -> None:
    """Run one command; stop it and its child processes after ``seconds``. Raises GrassError."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # r.fillnulls is a child of the command
            raise GrassError(f"stopped after {MAX_SECONDS:.0f} s") from None
    if process.returncode:
        raise GrassError(f"GRASS failed: {error_line(errors)}")


def error_line(errors: str) -> str:
    """The line of a command's messages that names the error; GRASS prints others after it."""
    lines = errors.strip().splitlines() or ["no message"]
    return next((line for line in lines if "error" in line.lower()), lines[-1])
