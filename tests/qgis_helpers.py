"""Helpers of the QGIS tests: running qgis_process, reading rasters, and watching worker processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
QGIS_PROCESS = str(ROOT / "tools" / "qgis-process")


def run_qgis_process(
    algorithm: str, folder: Path, *options: str, **parameters: Any
) -> subprocess.CompletedProcess[str]:
    """Run an algorithm or a model file with the real qgis_process in ``folder``; lists become repeated parameters."""
    words = []
    for name, value in parameters.items():
        words += [f"{name}={item}" for item in (value if isinstance(value, list) else [value])]
    command = [QGIS_PROCESS, *options, "run", algorithm, "--", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def read_pixels(path: str | Path):
    """All pixels of a raster: (band, row, column), or (row, column) for a single band."""
    from osgeo import gdal

    return gdal.Open(str(path)).ReadAsArray()


def file_names(folder: Path) -> list[str]:
    """The names in a folder, without the statistics that QGIS writes beside a raster that it opens."""
    return sorted(path.name for path in folder.iterdir() if ".aux.xml" not in path.name)


def worker_processes(parent: int) -> list[int]:
    """The process ids of the workers that process ``parent`` has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            its_parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if its_parent == parent and b"--supervised" in words:
            found.append(int(folder.name))
    return found


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(condition: Callable[[], Any], seconds: float) -> bool:
    """Wait for a condition; returns whether it was met in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def error_sentence(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The text of the QgsProcessingException that the call raises."""
    from qgis.core import QgsProcessingException

    with pytest.raises(QgsProcessingException) as caught:
        call(*arguments, **options)
    return str(caught.value)
