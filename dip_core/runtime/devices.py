"""The compute device and the threads: what the machine has, and what a run takes of it.

Torch is loaded by what needs it only: it takes longer to load than a small scene to fill.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from ..errors import DeviceUnavailable
from .concurrency import in_order

if TYPE_CHECKING:
    import torch

Task = TypeVar("Task")
Found = TypeVar("Found")


def resolve(name: str) -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda:N`` or ``mps``; auto takes the first accelerator.

    Raises DeviceUnavailable with what is there instead.
    """
    import torch

    present = [entry["id"] for entry in available()]
    if name == "auto":
        return torch.device(present[-1] if present[-1] == "mps" else ("cuda:0" if "cuda:0" in present else "cpu"))
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in present:
        raise DeviceUnavailable(device=name, reason=f"this machine has {', '.join(present)}")
    return torch.device(wanted)


def check(name: str) -> None:
    """Raise DeviceUnavailable where there is no device of this name; `resolve` says what a name may be."""
    if name not in ("auto", "cpu"):
        resolve(name)


def available() -> list[dict[str, str]]:
    """The devices of this machine, the CPU first, each with ``id`` and ``name``."""
    import torch

    found = [{"id": "cpu", "name": f"CPU, {os.cpu_count()} cores"}]
    if torch.cuda.is_available():
        found += [{"id": f"cuda:{n}", "name": torch.cuda.get_device_name(n)} for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append({"id": "mps", "name": "Apple GPU"})
    return found


def describe(device: torch.device) -> str:
    """The device's name for the report."""
    return next((entry["name"] for entry in available() if entry["id"] == str(device)), str(device))


def usable_threads(wanted: int = 0) -> int:
    """How many threads ``wanted`` comes to here; 0 leaves one core to QGIS where there are more than two."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return min(wanted, cores) if wanted else max(1, cores - 1 if cores > 2 else cores)


def set_threads(wanted: int = 0) -> int:
    """Let torch use ``wanted`` threads in this thread, as `usable_threads` has it. Returns the number."""
    number = usable_threads(wanted)
    _set_here(number)
    return number


def _set_here(number: int) -> None:
    """Let torch use so many threads in this thread.

    A thread that has not asked yet would take the number that any thread set last at its first parallel work.
    """
    import torch

    torch.get_num_threads()
    torch.set_num_threads(number)


def on_cores(work: Callable[[Task], Found], tasks: Iterable[Task], device: torch.device, most: int) -> Iterator[Found]:
    """What ``work`` makes of each task, in order; on a CPU as many at a time as torch has threads, ``most`` at most.

    Torch's threads are shared out among them. For work that is too small to keep several threads busy by itself.
    """
    import torch

    threads = torch.get_num_threads()
    workers = min(threads, most) if device.type == "cpu" else 1
    if workers == 1:
        yield from map(work, tasks)
        return

    def alone(task: Task) -> Found:
        _set_here(threads // workers)
        return work(task)

    try:
        yield from in_order(alone, tasks, workers)
    finally:
        _set_here(threads)


def physical_memory() -> float:
    """Bytes of memory that the machine has; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def has_fast_bfloat16(device: torch.device) -> bool:
    """True where bfloat16 convolutions are faster than float32 ones."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None) or getattr(
            torch.cpu, "_is_amx_tile_supported", None
        )
        return bool(supported and supported())
    return False
