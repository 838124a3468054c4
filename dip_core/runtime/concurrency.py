"""*Side by side*: several pieces of work at a time in one process, each on its share of the cores.

NumPy, SciPy and torch let go of the interpreter while they compute, so threads are enough; and one core a piece is used
better than all cores by one piece after the other, since most of the classical experts use a single one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

Task = TypeVar("Task")
Found = TypeVar("Found")


def in_order(work: Callable[[Task], Found], tasks: Iterable[Task], workers: int) -> Iterator[Found]:
    """What ``work`` makes of each task, in the order of the tasks, by so many workers at a time.

    Tasks are made in the calling thread, and only as many as are soon needed. One worker is the calling thread itself.
    An error of a task is raised in its place; tasks that have not begun are then dropped.
    """
    if workers <= 1:
        yield from map(work, tasks)
        return
    waiting: deque[Future[Found]] = deque()
    source = iter(tasks)
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                # One more than the workers, so that none waits for the next task to be made.
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


def all_done(jobs: Sequence[Callable[[], object]], workers: int) -> None:
    """Do all of these, by so many workers at a time, who take the next in order; one worker is the calling thread.

    After an error, jobs that have not begun are dropped; the first error in that order is raised.
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


class Shares:
    """How much of ``count`` pieces of work is done, noted piece by piece from any thread.

    ``told`` hears the fraction of all that is done and the number of the piece that is next to be done, one thread at a
    time, so the fraction never falls; by returning False it asks the pieces to stop.
    """

    def __init__(self, count: int, told: Callable[[float, int], bool | None]) -> None:
        self._done = [0.0] * count
        self._told = told
        self._failed = False
        self._lock = threading.Lock()

    @contextmanager
    def piece(self, place: int) -> Iterator[Callable[[float], bool]]:
        """The piece at ``place``: gives whom to tell of its fraction, and counts it as whole at the end.

        That answers False where the piece is to stop: because it was asked to, or because another has failed.
        """
        with self.watched():
            yield lambda fraction: self.note(place, fraction)
            self.note(place, 1.0)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Work beside the pieces: where it fails, they are asked to stop."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    def settle(self, place: int) -> None:
        """Count the piece at ``place`` as whole; whoever is told next hears of it."""
        with self._lock:
            self._done[place] = 1.0

    def note(self, place: int, fraction: float) -> bool:
        """Note that a fraction of the piece at ``place`` is done; returns whether it is to go on."""
        with self._lock:
            self._done[place] = max(self._done[place], fraction)
            done, count = sum(self._done), len(self._done)
            answer = self._told(done / count, min(int(done) + 1, count))
        return answer is not False and not self._failed
