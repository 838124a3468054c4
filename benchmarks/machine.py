"""Describes the machine of a benchmark and its load by other processes, and measures peak memory.

The load is the mean number of cores that other processes kept busy; times measured under such load are too long.
"""

from __future__ import annotations

import contextlib
import datetime
import gc
import os
import platform
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks import ROOT
from dip_core.runtime.threads import set_torch_threads

MAX_QUIET_LOAD = 0.2  # cores


def limit_threads() -> int:
    """Limit torch to OMP_NUM_THREADS threads (default: as many as the worker uses); returns the number."""
    return set_torch_threads(int(os.environ.get("OMP_NUM_THREADS") or 0))


@dataclass
class Machine:
    """The machine, and its load by other processes since this object was created."""

    device: str
    threads: int
    _start: float = field(default_factory=time.monotonic)
    _busy: float | None = field(default_factory=lambda: _busy_seconds())
    _own: float = field(default_factory=lambda: _own_seconds())

    def facts(self) -> dict[str, str | float | None]:
        """What a record stores of the machine: ``machine``, its description, and ``foreign_load``."""
        return {"machine": self._describe(), "foreign_load": self._foreign_load()}

    def _foreign_load(self) -> float | None:
        """Mean number of cores kept busy by other processes; None if the system does not report it."""
        busy = _busy_seconds()
        if busy is None or self._busy is None:
            return None
        wall = max(time.monotonic() - self._start, 1e-3)
        return max(0.0, (busy - self._busy - (_own_seconds() - self._own)) / wall)

    def _describe(self) -> str:
        """Hardware and software; load; date and commit: separated by semicolons, as `measured_on` expects."""
        load = self._foreign_load()
        if load is None:
            state = "load by other processes unknown"
        elif load < MAX_QUIET_LOAD:
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
    """Sentences for a caption, from rows that hold the facts of a `Machine`."""
    parts = [row["machine"].split("; ") for row in rows]
    machines, dates = (sorted({part[index] for part in parts}) for index in (0, -1))
    loads = [row["foreign_load"] for row in rows if row["foreign_load"] is not None]
    if not loads:
        state = "The load by other processes is not known."
    elif max(loads) < MAX_QUIET_LOAD:
        state = "The machine was quiet."
    else:
        state = (
            f"The machine was not quiet, so times are too long: other processes kept {np.mean(loads):.1f} cores busy "
            f"on average and {max(loads):.1f} at most."
        )
    return f"Measured on {'; '.join(machines)} ({'; '.join(dates)}). {state}"


class PeakMemory:
    """Peak resident memory of this process since this object was created (Linux only)."""

    def __init__(self) -> None:
        gc.collect()
        self._reset = False
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
            self._reset = True

    def mib(self) -> float | None:
        """In MiB, including libraries and data; None if the system does not report it."""
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
                if self._reset and line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        return None


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
