"""Threads of a run: how many it may use, and how torch and BLAS libraries are limited to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import psutil

from .concurrency import map_in_order

if TYPE_CHECKING:
    import torch

Task = TypeVar("Task")
Result = TypeVar("Result")

_BLAS_VARIABLE = "OPENBLAS_NUM_THREADS"


def usable_threads(requested: int = 0) -> int:
    """The number of threads for a request, at most the number of usable cores.

    0 requests all cores but one, so that QGIS stays responsive; machines with two cores or fewer use all.
    """
    cores = _usable_cores()
    return min(requested, cores) if requested else max(1, cores - 1 if cores > 2 else cores)


def set_torch_threads(requested: int = 0) -> int:
    """Limit torch to `usable_threads` threads in the calling thread; returns the number."""
    number = usable_threads(requested)
    _limit_torch_here(number)
    return number


def limit_blas_threads(count: int = 1) -> None:
    """Limit the BLAS libraries of NumPy and SciPy to ``count`` threads each.

    Tiles and estimators run side by side, one per core, on matrices so small that threads within BLAS slow them down.
    The user's own setting in OPENBLAS_NUM_THREADS has priority.
    """
    if os.environ.get(_BLAS_VARIABLE):
        return
    import numpy  # noqa: F401  # threadpoolctl limits only the libraries that are loaded
    import scipy.linalg  # noqa: F401  # has a BLAS of its own
    from threadpoolctl import threadpool_limits

    threadpool_limits(count, user_api="blas")
    os.environ[_BLAS_VARIABLE] = str(count)  # for a library that is loaded later


def map_on_cores(
    work: Callable[[Task], Result], tasks: Iterable[Task], device: torch.device, max_workers: int
) -> Iterator[Result]:
    """Results of ``work`` in the order of the tasks; on a CPU, up to ``max_workers`` tasks run at a time.

    The workers share torch's threads. For work that is too small to keep several threads busy by itself.
    """
    import torch

    threads = torch.get_num_threads()
    workers = min(threads, max_workers) if device.type == "cpu" else 1
    if workers == 1:
        yield from map(work, tasks)
        return

    def run(task: Task) -> Result:
        _limit_torch_here(threads // workers)
        return work(task)

    try:
        yield from map_in_order(run, tasks, workers)
    finally:
        _limit_torch_here(threads)


def _usable_cores() -> int:
    try:
        return len(psutil.Process().cpu_affinity())
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _limit_torch_here(number: int) -> None:
    """Limit torch to ``number`` threads in the calling thread."""
    import torch

    # A thread that has not read its number yet would take the number that any thread set last.
    torch.get_num_threads()
    torch.set_num_threads(number)
