"""Where tiles run: on this machine, or on a Dask cluster.

Both executors offer ``results(recipe, tasks, count, workers)``: the tiles' results in the order of the tasks. Tasks are
made one by one, and only as many as the workers need are alive at a time. The *work* is a function of the
recipe, a task and, on this machine, of whom to tell the share that is done.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube
from ..errors import SchedulerUnavailable
from .concurrency import SharedProgress, in_order
from .context import Context
from .progress import SILENT, ProgressReporter
from .tiling import Tile, blend, tile_seed

Results = Iterator[tuple[Cube, Cube]]
Work = Callable[..., tuple[Cube, Cube]]
_PATIENCE = 15.0  # seconds to wait for a scheduler


def executor(scheduler: str | None, context: Context, work: Work, verb: str) -> LocalExecutor | DaskExecutor:
    """The executor for a scheduler address, or for this machine when there is none.

    ``work`` does one tile; ``verb`` tells of it in the progress.
    """
    return DaskExecutor(scheduler, context, work, verb) if scheduler else LocalExecutor(context, work, verb)


def restore_tiles(
    runner: LocalExecutor | DaskExecutor,
    recipe: Any,
    rows: list[list[Tile]],
    make_task: Callable[[Tile, int], Any],
    seed: int,
    bands: int,
    columns: int,
    *,
    workers: int = 1,
    output_rows: list[list[Tile]] | None = None,
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Run all tiles and blend their results; yields full-width windows and ``(layer, band, row, column)`` arrays.

    ``make_task``: makes the task of a tile from the tile and its seed; called when the tile is due. ``bands``,
    ``columns``: of the output. ``output_rows``: the tiles on the output's grid, where it differs from the input's.
    """
    numbered = [(row, column, tile) for row, tiles in enumerate(rows) for column, tile in enumerate(tiles)]
    tasks = (make_task(tile, tile_seed(seed, row, column)) for row, column, tile in numbered)
    return blend(output_rows or rows, runner.results(recipe, tasks, len(numbered), workers), bands, columns)


def budgeted_progress(
    context: Context, index: int, count: int, workers: int = 1, progress: ProgressReporter = SILENT
) -> ProgressReporter:
    """The reporter of tile ``index`` of ``count``: stops the tile at the end of its share of the time budget.

    The remaining time is divided equally among the remaining tiles, of which ``workers`` run at a time.
    """
    left = max(context.seconds_left, 0.0) * min(workers, count - index) / (count - index)
    end = context.seconds_spent + left

    def update(fraction: float) -> bool:
        going = progress.update(fraction)
        if fraction < 1 and context.seconds_spent >= end:
            context.warn(
                "The time budget cut an iterative method (a network's fit, plug and play) short, or left it no "
                "time to begin: expect less than it can do."
            )
            return False
        return going

    return ProgressReporter(update)


class LocalExecutor:
    """Runs tiles in this process: one after the other with torch on all cores, or some side by side."""

    def __init__(self, context: Context, work: Work, verb: str) -> None:
        self._context = context
        self._work = work
        self._verb = verb

    def results(self, recipe: Any, tasks: Iterable[Any], count: int, workers: int = 1) -> Results:
        """Results of ``count`` tasks, with progress within each tile; ``workers`` tiles are under way at a time."""
        shared = SharedProgress(
            count, lambda done, tile: self._context.progress(done, f"{self._verb} tile {tile} of {count}")
        )

        def run(numbered: tuple[int, Any]) -> tuple[Cube, Cube]:
            index, task = numbered
            with shared.piece(index) as progress:
                return self._work(recipe, task, budgeted_progress(self._context, index, count, workers, progress))

        return in_order(run, enumerate(tasks), workers)


class DaskExecutor:
    """Sends tiles to the workers of a Dask cluster. The core's code travels along as a zip file.

    Raises SchedulerUnavailable where the scheduler does not answer or has no worker.
    """

    def __init__(self, address: str, context: Context, work: Work, verb: str) -> None:
        self._context = context
        self._work = work
        self._verb = verb
        self._address = address
        try:
            self._client = _connect(address)
            workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except ImportError as error:
            raise SchedulerUnavailable(address=address, reason="the library 'distributed' is not installed") from error
        except Exception as error:  # an AssertionError where another program listens, a TypeError for TLS...
            raise SchedulerUnavailable(address=address, reason=str(error).split("\n")[0] or "no answer") from error
        if not workers:
            raise SchedulerUnavailable(address=address, reason="it has no worker")
        self._workers = workers
        context.info(f"Tiles run on {workers} Dask workers at {address}.")
        self._send_code()

    def results(self, recipe: Any, tasks: Iterable[Any], count: int, workers: int = 1) -> Results:
        """Results of ``count`` tasks in order; two tiles a worker of the cluster are under way at a time.

        ``workers`` is this machine's affair and changes nothing here.
        """
        try:
            yield from self._gather(recipe, tasks, count)
        finally:
            self._client.close()

    def _gather(self, recipe: Any, tasks: Iterable[Any], count: int) -> Results:
        shared = self._client.scatter(recipe, broadcast=True)
        waiting: deque[Any] = deque()
        source = iter(tasks)
        done = 0
        while True:
            while len(waiting) < 2 * self._workers and (task := next(source, None)) is not None:
                waiting.append(self._client.submit(self._work, shared, self._client.scatter(task), pure=False))
            if not waiting:
                return
            try:
                result = waiting.popleft().result()
            except Exception as error:  # a worker's error can be of any type, and arrives as it was raised there
                raise SchedulerUnavailable(
                    address=self._address, reason=f"a tile failed on a worker with '{type(error).__name__}: {error}'"
                ) from error
            done += 1
            self._context.progress(done / count, f"{self._verb} tile {done} of {count}")
            yield result

    def _send_code(self) -> None:
        """Make `dip_core` importable on the workers, in this very version."""
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        with tempfile.TemporaryDirectory() as folder:
            archive = os.path.join(folder, "dip_core.zip")
            with zipfile.ZipFile(archive, "w") as file:
                for place, _, names in os.walk(package):
                    for name in names:
                        if name.endswith(".py"):
                            path = os.path.join(place, name)
                            file.write(path, os.path.join("dip_core", os.path.relpath(path, package)))
            self._client.upload_file(archive)


def _connect(address: str) -> Any:
    """A client of the scheduler at ``address``; raises what goes wrong, in time."""
    from distributed import Client
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme in ("tcp", "tls"):  # where nothing listens, the client would try again and again
        with socket.create_connection(parse_host_port(place), timeout=_PATIENCE):
            pass
    answer: SimpleQueue[Any] = SimpleQueue()

    def connect() -> None:
        try:
            answer.put(Client(address, timeout=_PATIENCE * 2 / 3, set_as_default=False))
        except Exception as error:  # raised again where it is waited for
            answer.put(error)

    # In a thread of its own: a client waits for ever on a port that accepts and says nothing.
    threading.Thread(target=connect, daemon=True).start()
    try:
        found = answer.get(timeout=_PATIENCE)
    except Empty:
        raise TimeoutError(f"no answer within {_PATIENCE:.0f} s") from None
    if isinstance(found, Exception):
        raise found
    return found
