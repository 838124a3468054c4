"""What the benchmarks share: test scenes, worker runs, the machine's description, Markdown tables.

*Foreign load* is the mean number of cores that other processes kept busy while a benchmark ran; timings of a
machine that was not quiet are pessimistic.
"""

from __future__ import annotations

import contextlib
import datetime
import gc
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from dip_core import job
from dip_core.arrays import Cube, Mask
from dip_core.imaging.observation import Standardization
from dip_core.raster.writer import to_stored_pixels

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"
QUIET = 0.2  # cores

# The worker is started by a small process of its own: the peak memory that Linux tells of a child includes
# what its parent held at the moment of the fork.
_LAUNCHER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
code = os.waitstatus_to_exitcode(status)
json.dump({"code": code, "peak": usage.ru_maxrss, "cpu": usage.ru_utime + usage.ru_stime}, open(sys.argv[1], "w"))
"""


def data_file(name: str) -> Path:
    """A test raster, below the folder DEEP_PRIOR_DATA or ``../shared/data`` beside the checkout.

    Ends the program with one sentence where it is missing.
    """
    folder = Path(os.environ.get("DEEP_PRIOR_DATA") or ROOT.parent / "shared" / "data")
    path = folder / name
    if not path.is_file():
        raise SystemExit(
            f"The test raster {name} is missing: it is no part of the repository. Set the variable DEEP_PRIOR_DATA "
            "to the folder that holds it; benchmarks/README.md says where it comes from."
        )
    return path


@dataclass
class Machine:
    """The machine and what else it was doing, from the making of this object to `describe`."""

    device: str
    threads: int
    _start: float = field(default_factory=time.monotonic)
    _busy: float | None = field(default_factory=lambda: _busy_seconds())
    _own: float = field(default_factory=lambda: _own_seconds())

    def foreign_load(self) -> float | None:
        """Mean number of cores that other processes kept busy; None where the system does not tell."""
        busy = _busy_seconds()
        if busy is None or self._busy is None:
            return None
        wall = max(time.monotonic() - self._start, 1e-3)
        return max(0.0, (busy - self._busy - (_own_seconds() - self._own)) / wall)

    def describe(self) -> str:
        """One sentence for a table's caption."""
        load = self.foreign_load()
        if load is None:
            state = "load by other processes unknown"
        elif load < QUIET:
            state = "quiet machine"
        else:
            state = f"machine not quiet: other processes kept {load:.1f} cores busy on average"
        used = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"{_processor()}, {os.cpu_count()} cores, device {self.device}, {used}, "
            f"torch {torch.__version__}, Python {platform.python_version()}; {state}; "
            f"{datetime.date.today().isoformat()}, core at commit {_commit()}"
        )


def measured_on(rows: Sequence[dict]) -> str:
    """The sentences of a caption from rows that hold ``machine`` (as described) and ``foreign_load``."""
    parts = [row["machine"].split("; ") for row in rows]
    machines, when = (sorted({part[place] for part in parts}) for place in (0, -1))
    loads = [row["foreign_load"] for row in rows if row["foreign_load"] is not None]
    if not loads:
        state = "Whether the machine was quiet is not known."
    elif max(loads) < QUIET:
        state = "The machine was quiet."
    else:
        state = (
            f"The machine was not quiet, so times are too long: other processes kept {np.mean(loads):.1f} cores busy "
            f"on average and {max(loads):.1f} at most."
        )
    return f"Measured on {'; '.join(machines)} ({'; '.join(when)}). {state}"


class PeakMemory:
    """The peak resident memory of this process from here on, which Linux counts anew when told to."""

    def __init__(self) -> None:
        gc.collect()
        self._counted = False
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            self._counted = True

    def mib(self) -> float | None:
        """In MiB, with the libraries and the data that the process holds; None where the system does not tell."""
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
                if self._counted and line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        return None


@dataclass(frozen=True)
class WorkerRun:
    """A run of ``python -m dip_core``: output numbers, report record, messages, wall seconds, peak memory in MiB."""

    numbers: dict[str, float | None]
    record: dict
    messages: list[str]
    seconds: float
    peak_mib: float


def run_worker(wanted: job.Job) -> WorkerRun:
    """Run a job as QGIS does, in a process of its own; ends the program where it fails.

    Where the job wants a report, its record is returned.
    """
    with tempfile.TemporaryDirectory() as folder:
        job_file, usage_file = Path(folder, "job.json"), Path(folder, "usage.json")
        job_file.write_text(job.to_json(wanted), encoding="utf-8")
        command = [sys.executable, "-m", "dip_core", str(job_file)]
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-S", "-c", _LAUNCHER, str(usage_file), *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
        usage = json.loads(usage_file.read_text(encoding="utf-8"))
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if usage["code"] or not events or events[-1]["event"] != "result":
        raise SystemExit(f"The worker failed (exit code {usage['code']}): {events[-1:]} {done.stderr[-800:]}")
    unit = 1024 if sys.platform != "darwin" else 1024**2  # Linux counts in KiB, macOS in bytes
    return WorkerRun(
        events[-1]["numbers"],
        _record(wanted.outputs.report),
        [event["text"] for event in events if event["event"] == "message"],
        seconds,
        usage["peak"] / unit,
    )


def standard_of(pixels: NDArray, observed: Mask) -> Standardization:
    """Mean and deviation of each band's observed pixels."""
    bands = [band[seen].astype(np.float64) for band, seen in zip(pixels, observed)]
    return Standardization(np.array([band.mean() for band in bands]), np.array([band.std() or 1.0 for band in bands]))


def as_written(estimate: Cube, standard: Standardization, pixels: NDArray, observed: Mask) -> NDArray:
    """A standardised estimate as the product writes it: in the scene's type, within the range that was observed."""
    bands = [band[seen] for band, seen in zip(pixels, observed)]
    low, high = (np.array([end(band) for band in bands], np.float64) for end in (np.min, np.max))
    return to_stored_pixels(standard.undo(estimate), pixels.dtype, low, high, None)


def write_raster(path: Path, pixels: NDArray, like: Path | None, nodata: float | None = None) -> str:
    """Write ``(band, row, column)`` as a GeoTIFF with CRS and transform of ``like``; returns the path.

    ``like`` None: no CRS, pixels of 30 x 30.
    """
    bands, height, width = pixels.shape
    # Four bands of bytes would else be taken for colours with transparency.
    profile: dict = {"driver": "GTiff", "count": bands, "height": height, "width": width, "photometric": "MINISBLACK"}
    profile["transform"] = rasterio.Affine(30, 0, 0, 0, -30, 0)
    if like is not None:
        with rasterio.open(like) as source:
            profile.update(crs=source.crs, transform=source.transform)
    with rasterio.open(path, "w", dtype=pixels.dtype, nodata=nodata, **profile) as target:
        target.write(pixels)
    return str(path)


def read_raster(path: str | Path, bands: Sequence[int] | None = None) -> NDArray:
    """All pixels, or those of the ``bands`` (from 1), as ``(band, row, column)``."""
    with rasterio.open(path) as source:
        return source.read(None if bands is None else list(bands))


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """A Markdown table; columns of numbers to the right, None as a dash."""
    cells = [["–" if value is None else value for value in row] for row in rows]
    lines = [columns, ["---:" if any(map(_is_number, column)) else "---" for column in zip(*cells)], *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def save(folder: Path, name: str, record: dict, text: str) -> None:
    """Write ``name.json`` and ``name.md`` into a folder; JSON numbers keep five significant digits."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(_short(record), indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")


def threads() -> int:
    """Let torch use as many threads as OMP_NUM_THREADS says, else as a worker would; returns the number."""
    return threads.set_torch_threads(int(os.environ.get("OMP_NUM_THREADS") or 0))


def _record(path: str | None) -> dict:
    """What a report page holds for machines."""
    if path is None:
        return {}
    page = Path(path).read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="deep-prior-report">(.*?)</script>', page, re.DOTALL)
    return json.loads(found.group(1)) if found else {}


def _busy_seconds() -> float | None:
    """Processor time that all processes have used since the machine started."""
    with contextlib.suppress(OSError):
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        user, nice, system = (int(word) for word in words[1:4])
        return (user + nice + system) / os.sysconf("SC_CLK_TCK")
    return None


def _own_seconds() -> float:
    """Processor time of this process and of its finished children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "-c", "safe.directory=*", "log", "-1", "--format=%h", "--", "dip_core"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).isdigit()


def _short(value: object) -> object:
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
