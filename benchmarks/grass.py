"""GRASS GIS's r.fillnulls as a peer, where a command `grass` is found; it works in a project of its own.

Each command is a plain list of arguments, so that file names need no quoting.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from dip_core.arrays import Mask

NAME = "r.fillnulls (GRASS)"
TIME_LIMIT = 100.0  # seconds for all bands of a scene
# Regularised splines with tension, the default, left an error 7 % lower on one band, but take a minute or more a band.
METHOD = "bicubic"


class GrassError(Exception):
    """GRASS is missing, failed, or took too long; the message says which, in words for a table's note."""


def find() -> str | None:
    """The command `grass`, None where there is none."""
    return shutil.which("grass")


def commands(grass: str, scene: Path, folder: Path, bands: int) -> list[list[str]]:
    """What fills each band of ``scene`` and writes it to ``folder`` as `filled_BAND.tif`."""
    project = folder / "project"
    session = [grass, str(project / "PERMANENT"), "--exec"]
    # -e: leave after making the project, whose coordinate system is the scene's.
    steps = [[grass, "-c", str(scene), "-e", str(project)]]
    for band in range(1, bands + 1):
        raw, filled, written = f"band_{band}", f"filled_{band}", folder / f"filled_{band}.tif"
        steps += [
            # -o: the coordinate system is that of the project, even where the file has none.
            [*session, "r.in.gdal", "-o", f"input={scene}", f"band={band}", f"output={raw}"],
            [*session, "g.region", f"raster={raw}"],
            [*session, "r.fillnulls", f"input={raw}", f"output={filled}", f"method={METHOD}"],
            [*session, "r.out.gdal", "-c", f"input={filled}", f"output={written}", "format=GTiff", "type=Float64"],
        ]
    return steps


def fill(given: NDArray, observed: Mask, folder: Path, like: Path) -> NDArray[np.float64]:
    """Every band filled by r.fillnulls; raises GrassError."""
    grass = find()
    if grass is None:
        raise GrassError("GRASS is not installed")
    values = np.where(observed, given, np.nan).astype(np.float32)
    scene = Path(common.write_raster(folder / "with_nulls.tif", values, like, nodata=np.nan))
    end = time.monotonic() + TIME_LIMIT
    for step in commands(grass, scene, folder, len(given)):
        run(step, max(1.0, end - time.monotonic()))
    filled = [common.read_raster(folder / f"filled_{band}.tif")[0] for band in range(1, len(given) + 1)]
    return np.stack(filled).astype(np.float64)


def run(command: list[str], seconds: float) -> None:
    """Run one command, and stop it with all that it has started where it takes longer; raises GrassError."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # r.fillnulls is a child of the command
            raise GrassError(f"stopped after {TIME_LIMIT:.0f} s") from None
    if process.returncode:
        raise GrassError(f"GRASS failed: {complaint(errors)}")


def complaint(errors: str) -> str:
    """What went wrong, from the messages of a command: GRASS tells of its cleaning up after that."""
    lines = errors.strip().splitlines() or ["no message"]
    return next((line for line in lines if "error" in line.lower()), lines[-1])
