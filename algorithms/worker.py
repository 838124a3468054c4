"""Runs one job in one worker process: starts it, reads its events, cancels it, and cleans up after it.

Each worker has a folder of its own for the job file, stderr and temporary files, and a *token* in the names of its
temporary outputs, so that these can be removed even after the worker was killed. No QGIS here; `task` adds a QgsTask.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from ..dip_core import errors, events, temporary_files
from ..dip_core.job import Job, to_json
from ..dip_core.run_folders import RunFolder
from .engine_process import clean_environment, end_process_group, process_options
from .windows_job import end_with_this_process
from .worker_errors import error_from_event, error_from_exit

CANCEL_GRACE_SECONDS = 2.0  # time for a cancelled worker to clean up, before it is terminated
TERMINATE_GRACE_SECONDS = 1.0  # time for a terminated worker to end, before it is killed
POLL_SECONDS = 0.05
MAX_OTHER_LINES = 200  # lines of output that are not events and are kept for the log


class WorkerProcess:
    """One worker process for one job.

    ``other_output`` has the lines of stdout that are not events, such as a library's own messages.
    """

    def __init__(self, job: Job, python: str) -> None:
        self.job = job
        self.python = python
        self.token = uuid.uuid4().hex[:12]
        self.other_output: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self._folder: RunFolder
        self._lines: queue.Queue[str | None] = queue.Queue()

    def run(
        self,
        on_progress: Callable[[events.Progress], None],
        on_message: Callable[[events.Message], None],
        is_cancelled: Callable[[], bool],
    ) -> events.Result:
        """Run the job and return its result; raises DeepPriorError. Leaves no process and no temporary file.

        The calling thread must live as long as the run: on Linux the worker ends with the thread that started it.
        """
        with RunFolder() as folder:
            self._folder = folder
            return self._run(on_progress, on_message, is_cancelled)

    def _run(
        self,
        on_progress: Callable[[events.Progress], None],
        on_message: Callable[[events.Message], None],
        is_cancelled: Callable[[], bool],
    ) -> events.Result:
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
                    last = self._cancel(process) or last
                    break
                line = self._next_line(process)
                if line is None:
                    break
                event = self._parse(line)
                if isinstance(event, events.Progress):
                    on_progress(event)
                elif isinstance(event, events.Message):
                    on_message(event)
                elif event is not None:
                    last = event
            process.wait()
            if cancelled:
                if isinstance(last, events.Result):
                    # The job finished while it was being cancelled.
                    endings = ("", *temporary_files.SIDECARS)
                    _remove(path + ending for path in last.outputs.values() for ending in endings)
                raise errors.Cancelled()
            return self._result_or_raise(last, process.returncode)
        finally:
            if self.process is not None:
                self._end(self.process)
            for target in self.job.outputs.requested().values():
                temporary_files.clean_up(target, self.token, isinstance(last, events.Result))

    def _start(self) -> subprocess.Popen[str]:
        folder = self._folder.path
        job_file = os.path.join(folder, "job.json")
        Path(job_file).write_text(to_json(self.job), encoding="utf-8")
        environ = clean_environment()
        # Temporary files of the worker's libraries are removed with the folder.
        environ.update(DEEP_PRIOR_TOKEN=self.token, TMPDIR=folder, TEMP=folder, TMP=folder)
        try:
            with open(os.path.join(folder, "stderr.txt"), "wb") as stderr:
                process = subprocess.Popen(  # nosec B603: a list, no shell; the program is the engine's Python
                    # With --supervised, the worker ends when its standard input is closed.
                    [self.python, "-m", "dip_core", "--supervised", job_file],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    env=environ,
                    cwd=folder,
                    pass_fds=self._folder.inherited(),
                    **process_options(),
                )
        except OSError as error:
            raise errors.WorkerFailed(
                reason=f"its Python '{self.python}' cannot be started: {error.strerror}",
                advice="after 'Set up the restoration engine' in the Processing Toolbox",
            ) from error
        end_with_this_process(process)
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        with contextlib.suppress(ValueError, OSError):  # the main thread may close the pipe at any time
            for line in process.stdout or ():
                self._lines.put(line)
        self._lines.put(None)

    def _next_line(self, process: subprocess.Popen[str]) -> str | None:
        """The next line; empty if there is none yet; None if the worker has ended and all lines are read."""
        with contextlib.suppress(queue.Empty):
            line = self._lines.get(timeout=POLL_SECONDS)
            if line is not None:
                return line
            # The worker has closed its stdout, but a worker that hangs while it ends must still react to a cancel.
            time.sleep(0 if process.poll() is not None else POLL_SECONDS)
        # The end of the pipe is not waited for, because a child of the worker may keep it open.
        return None if process.poll() is not None and self._lines.empty() else ""

    def _parse(self, line: str) -> events.Event | None:
        event = events.from_line(line)
        if event is None and line.strip():
            self.other_output = [*self.other_output[-MAX_OTHER_LINES:], line.rstrip()]
        return event

    def _cancel(self, process: subprocess.Popen[str]) -> events.Event | None:
        """Request a cancel, then end the worker; returns the result or error that it sent in the meantime."""
        last = None
        with contextlib.suppress(OSError, ValueError):
            if process.stdin:
                process.stdin.write("cancel\n")
                process.stdin.close()
        deadline = time.monotonic() + CANCEL_GRACE_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(POLL_SECONDS)
        self._end(process)
        with contextlib.suppress(queue.Empty):
            while (line := self._lines.get(timeout=POLL_SECONDS)) is not None:
                event = self._parse(line)
                last = event if isinstance(event, (events.Result, events.Error)) else last
        return last

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        """End the process if it is still running, and close its pipes."""
        if process.poll() is None:
            end_process_group(process, TERMINATE_GRACE_SECONDS)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe:
                    pipe.close()

    def _result_or_raise(self, last: events.Event | None, code: int) -> events.Result:
        if isinstance(last, events.Error):
            if last.kind == errors.UnexpectedError.__name__:
                self.other_output += self._read_stderr().splitlines()[-MAX_OTHER_LINES:]
            raise error_from_event(last)
        if isinstance(last, events.Result) and code == 0:
            return last
        output = self._read_stderr()
        raise error_from_exit(code, output if output.strip() else "\n".join(self.other_output))

    def _read_stderr(self) -> str:
        with contextlib.suppress(OSError):
            return Path(self._folder.path, "stderr.txt").read_text(encoding="utf-8", errors="replace")
        return ""


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.remove(path)
