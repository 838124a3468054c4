"""Ends the worker when it must end but cannot do so itself, by a second small process that watches it.

Python runs signal handlers and threads between its own instructions, so neither a SIGTERM nor the end of standard input
ends a process while a C function runs that holds the interpreter's lock. The watchdog needs nothing of the worker's
interpreter: it sees each signal in a pipe (`signal.set_wakeup_fd` writes to it from C), the end of the worker as the
end of that pipe, and the end of the parent process as the hang-up of standard input. On Linux the kernel reports the
parent's end as well (`prctl`), which also works if another process keeps the pipe open.

POSIX only: on Windows the parent puts the worker into a job object (`algorithms/windows_job.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

GRACE_SECONDS = 1.0  # for the worker to end by itself
POLL_SECONDS = 2.0  # how often the watchdog looks for the worker if nothing happens
PARENT_SIGNAL = getattr(signal, "SIGUSR1", None)
"""The signal that Linux sends when the thread that started the worker ends; it may be ignored while the parent runs."""

_PR_SET_PDEATHSIG = 1
_MAX_INHERITED = 4096  # file descriptors that are closed; the worker has opened few when it starts the watchdog

CleanUp = Callable[[bool], None]


def start(clean_up: CleanUp, supervised: bool) -> None:
    """Start the watchdog of this process; to be called in the main thread before other threads start.

    ``clean_up(parent_is_gone)`` runs in the watchdog after this process has ended in any way. ``supervised``: end with
    the parent process. Without POSIX, or if no process can be started, the function only does what is possible.
    """
    parent = os.getppid()
    has_watchdog = False
    if hasattr(os, "fork"):
        with contextlib.suppress(OSError):  # too many processes, or no memory
            _fork_watchdog(clean_up, supervised, parent)
            has_watchdog = True
    if supervised and sys.platform.startswith("linux"):
        _end_with_parent_thread(PARENT_SIGNAL if has_watchdog else signal.SIGKILL)


def has_parent_changed(parent: int) -> bool:
    """True if the process ``parent``, which started this one, has ended."""
    return os.getppid() != parent


def _fork_watchdog(clean_up: CleanUp, supervised: bool, parent: int) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    worker = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() == 0:
        try:
            os.close(writer)
            _detach(reader, supervised)
            clean_up(_watch(worker, parent, reader, supervised))
        except BaseException:  # nothing may return into the worker's program
            os._exit(1)
        os._exit(0)
    os.close(reader)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # closed by the end of the process


def _detach(reader: int, supervised: bool) -> None:
    """Close what this process has inherited, except the pipe, and ignore signals that the group receives."""
    for number in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, PARENT_SIGNAL}:
        if number is not None:
            signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2) if supervised else (0, 1, 2):
        os.dup2(nowhere, number)
    os.dup2(reader, 3)
    os.closerange(4, _MAX_INHERITED)


def _watch(worker: int, parent: int, reader: int, supervised: bool) -> bool:
    """Wait for the end of the worker, and kill it after a grace time; returns whether its parent is gone."""
    poll = select.poll()
    poll.register(3, select.POLLIN)
    if supervised:
        poll.register(0, 0)  # reports a hang-up only
    deadline: float | None = None
    is_orphan = False
    while os.getppid() == worker:
        wait = POLL_SECONDS if deadline is None else max(0.0, min(POLL_SECONDS, deadline - time.monotonic()))
        ready = dict(poll.poll(1000 * wait))
        must_end = False
        if 3 in ready:
            received = os.read(3, 64) if ready[3] & select.POLLIN else b""
            if not received:
                break  # the worker has ended
            must_end = any(number != PARENT_SIGNAL for number in received) or _parent_of(worker) != parent
        if 0 in ready:
            poll.unregister(0)
            must_end = is_orphan = True
        if must_end and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
        if deadline is not None and time.monotonic() >= deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            deadline = time.monotonic() + GRACE_SECONDS  # again, until it has ended
    if supervised and not is_orphan:
        is_orphan = bool(poll_hang_up(0))
    return is_orphan


def poll_hang_up(number: int) -> bool:
    """True if the other end of a pipe is closed."""
    poll = select.poll()
    poll.register(number, 0)
    return bool(poll.poll(0))


def _parent_of(process: int) -> int | None:
    """The parent of another process (Linux), None if it is unknown."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _end_with_parent_thread(number: int | None) -> None:
    """Let the kernel send a signal when the thread that started this process ends; QGIS's waits for the run."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number or signal.SIGKILL), 0, 0, 0)
