"""Concurrent pieces of work in one process, each on its share of the cores.

Threads are enough, because NumPy, SciPy and torch release Python's interpreter lock while they compute. Most classical
estimators use a single core, so one piece per core is faster than all cores on one piece after another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from .progress import ProgressReporter

Task = TypeVar("Task")
Result = TypeVar("Result")


def map_in_order(work: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    """Results of ``work`` in the order of the tasks, with up to ``workers`` tasks at a time.

    Tasks are made in the calling thread, only as many as are needed soon. With one worker, the calling thread does the
    work. The error of a task is raised in its place; tasks that have not started are then dropped.
    """
    if workers <= 1:
        yield from map(work, tasks)
        return
    waiting: deque[Future[Result]] = deque()
    source = iter(tasks)
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                # One task more than workers, so that no worker waits for the next task to be made.
                while len(waiting) <= workers:
                    try:
                        waiting.append(pool.submit(work, next(source)))
                    except StopIteration:
                        break
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def run_all(jobs: Sequence[Callable[[], object]], workers: int) -> None:
    """Run all jobs, up to ``workers`` at a time, started in order; one worker is the calling thread itself.

    After an error, jobs that have not started are dropped; the first error in the order of the jobs is raised.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            job()
        return
    with ThreadPoolExecutor(min(workers, len(jobs))) as pool:
        running = [pool.submit(job) for job in jobs]
        wait(running, return_when=FIRST_EXCEPTION)
        for future in running:
            future.cancel()
    for future in running:
        if not future.cancelled():
            future.result()


class SharedProgress:
    """Adds up the progress of ``count`` equal pieces of work that may run in different threads.

    ``on_progress`` receives the completed fraction of all pieces and the number of the next piece to complete. It is
    called by one thread at a time, with fractions that never fall; it stops all pieces by returning False.
    """

    def __init__(self, count: int, on_progress: Callable[[float, int], bool | None]) -> None:
        self._done = [0.0] * count
        self._on_progress = on_progress
        self._failed = False
        self._lock = threading.Lock()

    @contextmanager
    def piece(self, index: int) -> Iterator[ProgressReporter]:
        """The reporter of the piece ``index``, which counts as complete at the end of the block.

        The reporter returns False when the piece should stop: on request, or because another piece has failed.
        """
        with self.watch():
            yield ProgressReporter(lambda fraction: self.update(index, fraction))
            self.update(index, 1.0)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Stop all pieces when the block fails."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    def finish(self, index: int) -> None:
        """Count the piece ``index`` as complete; the next update reports it."""
        with self._lock:
            self._done[index] = 1.0

    def update(self, index: int, fraction: float) -> bool:
        """Set the completed fraction of the piece ``index``; returns whether it should continue."""
        with self._lock:
            self._done[index] = max(self._done[index], fraction)
            done, count = sum(self._done), len(self._done)
            answer = self._on_progress(done / count, min(int(done) + 1, count))
        return answer is not False and not self._failed
