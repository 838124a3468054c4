"""One worker process, from its start to its end: what it says, how it is stopped, why it failed.

A *run* is one process for one job. It has a folder of its own (job file, stderr, temporary files) that is
removed afterwards, and a *token* in the names of its half-written files, so that these can be removed even
when the worker was killed. No QGIS in here: `task` puts a QgsTask around it.
"""

from __future__ import annotations

import contextlib
import glob
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from ..dip_core import errors, events
from ..dip_core.job import Job, to_json
from . import environment

ASK_SECONDS = 2.0  # a cancelled worker may clean up for so long, before it is terminated
END_SECONDS = 1.0  # a terminated one for so long, before it is killed
POLL_SECONDS = 0.05
FOREIGN_LINES = 200  # lines of other programs' output that are kept for the log


def build_command(python: str, job_file: str) -> list[str]:
    """The worker's command: ``--supervised`` makes it end when its standard input closes."""
    return [python, "-m", "dip_core", "--supervised", job_file]


class WorkerRun:
    """Runs one job in one worker; `follow` returns the result or raises a DeepPriorError."""

    def __init__(self, job: Job, python: str) -> None:
        self.job = job
        self.python = python
        self.token = uuid.uuid4().hex[:12]
        self.foreign: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self._folder = ""
        self._lines: queue.Queue[str | None] = queue.Queue()

    def follow(
        self,
        on_progress: Callable[[events.Progress], None],
        on_message: Callable[[events.Message], None],
        is_cancelled: Callable[[], bool],
    ) -> events.Result:
        """Start the worker and stay with it to its end. Leaves no process and no half-written file behind."""
        self._folder = tempfile.mkdtemp(prefix="deep_prior_")
        last: events.Event | None = None
        cancelled = False
        try:
            if is_cancelled():
                raise errors.Cancelled()
            process = self.process = self._start()
            threading.Thread(target=self._read, args=(process,), daemon=True).start()
            while True:
                if is_cancelled():
                    cancelled = True
                    last = self._stop(process) or last
                    break
                line = self._next_line(process)
                if line is None:
                    break
                event = self._heard(line)
                if isinstance(event, events.Progress):
                    on_progress(event)
                elif isinstance(event, events.Message):
                    on_message(event)
                elif event is not None:
                    last = event
            process.wait()
            if cancelled:
                if isinstance(last, events.Result):
                    _remove(last.outputs.values())  # it finished while it was being asked to stop
                raise errors.Cancelled()
            return self._judge(last, process.returncode)
        finally:
            if self.process is not None:
                self._end(self.process)
            _remove(self.partial_files())
            shutil.rmtree(self._folder, ignore_errors=True)

    def partial_files(self) -> list[str]:
        """Half-written files of this run that lie beside the wanted outputs."""
        found: list[str] = []
        for target in self.job.outputs.wanted().values():
            folder, name = os.path.split(os.path.abspath(target))
            found += glob.glob(os.path.join(glob.escape(folder), glob.escape(f".{name}.{self.token}.part") + "*"))
        return found

    def _start(self) -> subprocess.Popen[str]:
        job_file = os.path.join(self._folder, "job.json")
        Path(job_file).write_text(to_json(self.job), encoding="utf-8")
        environ = environment.clean_environment()
        # What the worker's libraries leave in the temporary folder goes with the run's own.
        environ.update(DEEP_PRIOR_TOKEN=self.token, TMPDIR=self._folder, TEMP=self._folder, TMP=self._folder)
        try:
            with open(os.path.join(self._folder, "stderr.txt"), "wb") as stderr:
                return subprocess.Popen(  # nosec B603: a list, no shell; the program is the engine's Python
                    build_command(self.python, job_file),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    env=environ,
                    cwd=self._folder,
                    **environment.hidden_window(),
                )
        except OSError as error:
            raise errors.WorkerFailed(
                reason=f"its Python '{self.python}' cannot be started: {error.strerror}",
                advice="after 'Set up the restoration engine' in the Processing Toolbox",
            ) from error

    def _read(self, process: subprocess.Popen[str]) -> None:
        with contextlib.suppress(ValueError, OSError):  # closed under our hands at the end
            for line in process.stdout or ():
                self._lines.put(line)
        self._lines.put(None)

    def _next_line(self, process: subprocess.Popen[str]) -> str | None:
        """The next line; an empty one when there is none yet; None when the worker is gone and all is read."""
        with contextlib.suppress(queue.Empty):
            line = self._lines.get(timeout=POLL_SECONDS)
            if line is not None:
                return line
            # The pipe is at its end, yet a worker that hangs on its way out must stay cancellable.
            time.sleep(0 if process.poll() is not None else POLL_SECONDS)
        # A grandchild may hold the pipe open after the worker's end, so the pipe's end is not waited for.
        return None if process.poll() is not None and self._lines.empty() else ""

    def _heard(self, line: str) -> events.Event | None:
        event = events.from_line(line)
        if event is None and line.strip():
            self.foreign = [*self.foreign[-FOREIGN_LINES:], line.rstrip()]
        return event

    def _stop(self, process: subprocess.Popen[str]) -> events.Event | None:
        """Ask the worker to stop, then end it; the result, where it had just finished."""
        last = None
        with contextlib.suppress(OSError, ValueError):
            if process.stdin:
                process.stdin.write("cancel\n")
                process.stdin.close()
        deadline = time.monotonic() + ASK_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(POLL_SECONDS)
        self._end(process)
        with contextlib.suppress(queue.Empty):
            while (line := self._lines.get(timeout=POLL_SECONDS)) is not None:
                event = self._heard(line)
                last = event if isinstance(event, (events.Result, events.Error)) else last
        return last

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        """End the process and close its pipes, whatever state they are in."""
        if process.poll() is None:
            environment.end_group(process, END_SECONDS)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe:
                    pipe.close()

    def _judge(self, last: events.Event | None, code: int) -> events.Result:
        """The result, or the error that the worker told or that its end betrays."""
        if isinstance(last, events.Error):
            raise revive(last)
        if isinstance(last, events.Result) and code == 0:
            return last
        with contextlib.suppress(OSError):
            text = Path(self._folder, "stderr.txt").read_text(encoding="utf-8", errors="replace")
            raise diagnose(code, text if text.strip() else "\n".join(self.foreign))
        raise diagnose(code, "\n".join(self.foreign))


def revive(event: events.Error) -> errors.DeepPriorError:
    """The exception that the worker told of, with its very sentence."""
    kind = getattr(errors, event.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.DeepPriorError)):
        return errors.DeepPriorError(reason=event.text)
    error = kind.__new__(kind)
    Exception.__init__(error, event.text)
    error.facts = dict(event.facts)
    return error


_MISSING = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)")
_MEMORY = re.compile(r"MemoryError|out of memory|bad_alloc|can't allocate memory|Cannot allocate memory", re.IGNORECASE)
_DLL = re.compile(r"WinError (?:1114|126|127)|DLL load failed|c10\.dll", re.IGNORECASE)


def diagnose(code: int, complaint: str) -> errors.DeepPriorError:
    """The error of a worker that ended with ``code`` and without a word in the protocol."""
    if missing := _MISSING.search(complaint):
        return errors.MissingLibrary(reason=missing.group(1))
    if _DLL.search(complaint):
        return errors.MissingLibrary(
            reason="PyTorch's DLLs do not load; install Microsoft's Visual C++ Redistributable"
        )
    if _MEMORY.search(complaint):
        return errors.OutOfMemory(reason=environment.tail(complaint, 120))
    if code in (-9, 137):
        return errors.WorkerFailed(
            reason="the system ended it, most likely for lack of memory",
            advice="with a smaller TILE_SIZE or METHOD fast",
        )
    if code < 0:
        reason = f"signal {-code}"
    elif sys.platform == "win32" and code > 0xFFFF:
        reason = f"exit code {code:#x}"
    else:
        reason = f"exit code {code}"
    return errors.WorkerFailed(
        reason=f"{reason}; {environment.tail(complaint)}",
        advice="and if it happens again, report it with the log",
    )


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.remove(path)
