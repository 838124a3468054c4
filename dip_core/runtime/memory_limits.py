"""Limits of memory below that of the machine: control groups (containers, services) and the process's own.

Sources: the Linux kernel's documentation of control groups, versions 1 and 2; getrlimit(2).
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

_ROOT = Path("/")


@dataclass(frozen=True)
class MemoryLimit:
    """A limit in bytes and what is free of it; infinite without a limit."""

    limit: float = math.inf
    free: float = math.inf


def memory_group(root: Path = _ROOT) -> MemoryLimit:
    """The strictest memory limits of the control groups that this process is in; ``root``: of the file system."""
    if not sys.platform.startswith("linux"):
        return MemoryLimit()
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return MemoryLimit()
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += [_read_v2(folder) for folder in _folders(root / "sys/fs/cgroup", path)]
        elif "memory" in controllers.split(","):
            found += [_read_v1(folder) for folder in _folders(root / "sys/fs/cgroup/memory", path)]
    return MemoryLimit(
        min((item.limit for item in found), default=math.inf), min((item.free for item in found), default=math.inf)
    )


def address_space() -> MemoryLimit:
    """The limit of the process's address space (``ulimit -v``)."""
    try:
        import resource
    except ImportError:  # Windows
        return MemoryLimit()
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return MemoryLimit()
    return MemoryLimit(float(limit), max(0.0, float(limit - psutil.Process().memory_info().vms)))


def _folders(mount: Path, path: str) -> list[Path]:
    """The folders of a group and of the groups around it; inside a container the outer ones do not exist."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    folders = [mount.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]
    return [folder for folder in folders if folder.is_dir()]


def _read_v2(folder: Path) -> MemoryLimit:
    return _limit(folder, "memory.max", "memory.current", "inactive_file")


def _read_v1(folder: Path) -> MemoryLimit:
    return _limit(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _limit(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> MemoryLimit:
    """The limit of a group; file pages that are not in use can be freed, so they do not count as used."""
    try:
        limit = float((folder / limit_name).read_text())
        usage = float((folder / usage_name).read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return MemoryLimit(limit, max(0.0, limit - usage + float(statistics.get(cache_name, 0))))
    except (OSError, ValueError):  # no limit ("max"), or a file that this kernel does not have
        return MemoryLimit()
