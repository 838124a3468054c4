"""Runs tiles on the workers of a Dask cluster."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import zipfile
from collections import deque
from collections.abc import Iterable
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import SchedulerUnavailable
from .context import Context
from .tiling import TileResults, TileWork

_TIMEOUT = 15.0  # seconds to wait for a scheduler
_TILES_PER_WORKER = 2  # submitted at a time


class DaskExecutor:
    """Runs tiles on the workers of a Dask cluster; the code of `dip_core` is sent to them as a zip file.

    ``timeout``: seconds to wait for the scheduler. Raises SchedulerUnavailable if it does not answer or has no workers.
    """

    def __init__(self, address: str, context: Context, work: TileWork, verb: str, timeout: float = _TIMEOUT) -> None:
        self._context = context
        self._work = work
        self._verb = verb
        self._address = address
        try:
            self._client = _connect(address, timeout)
            workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except ImportError as error:
            raise SchedulerUnavailable(address=address, reason="the library 'distributed' is not installed") from error
        except Exception as error:  # for example AssertionError if another program listens, TypeError for TLS
            raise SchedulerUnavailable(address=address, reason=str(error).split("\n")[0] or "no answer") from error
        if not workers:
            raise SchedulerUnavailable(address=address, reason="it has no worker")
        self._workers = workers
        context.info(f"Tiles run on {workers} Dask workers at {address}.")
        self._send_code()

    def results(self, recipe: Any, tasks: Iterable[Any], count: int, workers: int = 1) -> TileResults:
        """Results of ``count`` tasks in order; each worker of the cluster has two tiles at a time.

        ``workers`` applies to this machine only and is ignored.
        """
        try:
            yield from self._gather(recipe, tasks, count)
        finally:
            self._client.close()

    def _gather(self, recipe: Any, tasks: Iterable[Any], count: int) -> TileResults:
        shared = self._client.scatter(recipe, broadcast=True)
        waiting: deque[Any] = deque()
        source = iter(tasks)
        done = 0
        while True:
            while len(waiting) < _TILES_PER_WORKER * self._workers and (task := next(source, None)) is not None:
                waiting.append(self._client.submit(self._work, shared, self._client.scatter(task), pure=False))
            if not waiting:
                return
            try:
                result = waiting.popleft().result()
            except Exception as error:  # the error of a worker can have any type
                raise SchedulerUnavailable(
                    address=self._address, reason=f"a tile failed on a worker with '{type(error).__name__}: {error}'"
                ) from error
            done += 1
            self._context.progress(done / count, f"{self._verb} tile {done} of {count}")
            yield result

    def _send_code(self) -> None:
        """Make this version of `dip_core` importable on the workers."""
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


def _connect(address: str, timeout: float) -> Any:
    """A client of the scheduler at ``address``; raises an error, at the latest after the timeout."""
    from distributed import Client
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme in ("tcp", "tls"):  # without this check the client retries for long if nothing listens
        with socket.create_connection(parse_host_port(place), timeout=timeout):
            pass
    answer: SimpleQueue[Any] = SimpleQueue()

    def connect() -> None:
        try:
            answer.put(Client(address, timeout=timeout * 2 / 3, set_as_default=False))
        except Exception as error:  # raised below
            answer.put(error)

    # In a separate thread, because a client waits for ever on a port that accepts but does not answer.
    threading.Thread(target=connect, daemon=True).start()
    try:
        found = answer.get(timeout=timeout)
    except Empty:
        raise TimeoutError(f"no answer within {timeout:.0f} s") from None
    if isinstance(found, Exception):
        raise found
    return found
