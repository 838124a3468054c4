"""Installs the engine's libraries: runs venv and pip, passes their output on, and explains their failures.

Standard library only and no QGIS. Certificates are always checked, and only pip uses the network.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from .engine_locate import venv_python
from .engine_process import EngineError, clean_environment, end_process_group, is_program, last_words, process_options
from .engine_wheels import pip_commands, torch_requirement, without_torch_index
from .windows_job import end_with_this_process

POLL_SECONDS = 0.1  # how often a cancel is looked for
MAX_SILENT_SECONDS = 20  # after this time without output, a message says that the command is still running
MAX_RECENT_LINES = 40  # lines of output that are searched for the reason of a failure
_SHOWN_LINES = ("Collecting", "Downloading", "Installing", "Successfully", "ERROR")

# Standard input is a pipe from QGIS: when QGIS ends in any way, `read` returns, and the process group is ended. N is a
# file descriptor that is not in use.
_SUPERVISE = """\
exec N<&0 </dev/null
(trap '' TERM; read -r end <&N; kill -TERM 0; sleep 2; kill -KILL 0) >/dev/null 2>&1 &
watcher=$!
"$@" N<&-
code=$?
kill -KILL $watcher
wait $watcher 2>/dev/null
exit $code
"""

_VENV_MISSING = "Python cannot make environments: install the system's package python3-venv."
_INDEX_UNREACHABLE = "The package index cannot be reached: check the network and the proxy."
_REASONS = {
    "ensurepip is not available": _VENV_MISSING,
    "No module named venv": _VENV_MISSING,
    "No space left": "The disk is full: free some space and run the set-up again.",
    "CERTIFICATE_VERIFY_FAILED": (
        "The package index has no trusted certificate: set PIP_CERT to your organisation's certificate file."
    ),
    "ProxyError": "The proxy refused the connection: check the proxy in QGIS's network settings.",
    "NewConnectionError": _INDEX_UNREACHABLE,
    "NameResolutionError": _INDEX_UNREACHABLE,
    "ConnectTimeout": _INDEX_UNREACHABLE,
    "No matching distribution": (
        "The package index has no suitable version of a library for this Python: set PYTHON to another Python."
    ),
    "Permission denied": "The engine's folder is not writable: set DEEP_PRIOR_HOME to another folder.",
}
"""What to tell the user, by a part of the installer's output."""


class BuildCancelled(EngineError):
    """The user cancelled the build; the incomplete environment was removed."""


@dataclass(frozen=True)
class BuildMonitor:
    """Callbacks of a build: messages for the log, progress from 0 to 1, and whether the user has cancelled."""

    on_message: Callable[[str], None] = lambda line: None
    on_progress: Callable[[float], None] = lambda fraction: None
    is_cancelled: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Installer:
    """Makes a venv in ``folder`` with ``base_python``, and installs ``requirements`` with torch ``wheels``.

    ``inherited``: file descriptors that the commands keep open, such as that of the lock of the build.
    """

    folder: str
    base_python: str
    wheels: str
    requirements: Path
    monitor: BuildMonitor
    constraints: str | None = None
    proxy: str | None = None
    log: str | None = None
    inherited: tuple[int, ...] = ()

    def install(self, before_fallback: Callable[[], None] = lambda: None) -> None:
        """Run all commands; raises EngineError or BuildCancelled.

        ``before_fallback`` is called before torch is installed from pip's default index, where it may be larger.
        """
        torch, libraries = pip_commands(venv_python(self.folder), self.wheels, self.requirements, self.constraints)
        self.monitor.on_message(f"Making a Python environment in {self.folder}")
        self.monitor.on_progress(0.01)
        self.run([self.base_python, "-m", "venv", self.folder])
        self.monitor.on_message(
            f"Installing {torch_requirement(self.requirements)} ({self.wheels}); this is the largest download"
        )
        self.monitor.on_progress(0.05)
        try:
            self.run(torch)
        except BuildCancelled:
            raise
        except EngineError:
            fallback = without_torch_index(torch)
            if fallback == torch:
                raise
            self.monitor.on_message(
                "WARNING: PyTorch's package index failed; installing torch from the default index instead, where it "
                "may be larger."
            )
            before_fallback()
            self.run(fallback)
        self.monitor.on_message("Installing the other libraries")
        self.monitor.on_progress(0.65)
        self.run(libraries)

    def run(self, command: list[str]) -> None:
        """Run one command to its end; raises EngineError or BuildCancelled."""
        recent: list[str] = []
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(open(self.log, "a", encoding="utf-8")) if self.log else None
            process = self._start(command)
            try:
                for line in self._lines(process):
                    recent = [*recent[-MAX_RECENT_LINES:], line]
                    self._record(line, log)
                code = process.wait()
            finally:
                if process.poll() is None:
                    end_process_group(process)
                if process.stdin:
                    process.stdin.close()
        if code != 0:
            hint = f" The log is {self.log}." if self.log else ""
            raise EngineError(explain_failure("\n".join(recent), command) + hint)

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        environ = clean_environment()
        del environ["PYTHONPATH"]  # pip must not take the plugin's folder for installed packages
        if self.proxy:
            environ["PIP_PROXY"] = self.proxy  # not on the command line, which other users of the machine can read
        try:
            if not is_program(command[0]):  # the shell below would report it on standard error
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            process = subprocess.Popen(  # nosec B603: a list; the programs are the base and the engine's Python
                supervised(command, self.inherited),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=environ,
                cwd=tempfile.gettempdir(),
                pass_fds=self.inherited,
                **process_options(),
            )
        except OSError as error:
            raise EngineError(f"'{command[0]}' cannot be started ({error.strerror}): check that file.") from error
        end_with_this_process(process)
        return process

    def _lines(self, process: subprocess.Popen[str]) -> Iterator[str]:
        """The lines of output without passwords, until the output ends; raises BuildCancelled."""
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            for line in process.stdout or ():
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        started = last_output = time.monotonic()
        while True:
            if self.monitor.is_cancelled():
                raise BuildCancelled("The set-up was cancelled; nothing was installed.")
            try:
                line = lines.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() - last_output > MAX_SILENT_SECONDS:
                    last_output = time.monotonic()
                    self.monitor.on_message(f"... still running ({last_output - started:.0f} s)")
                continue
            if line is None:
                return
            last_output = time.monotonic()
            yield remove_passwords(line.rstrip())

    def _record(self, line: str, log: TextIO | None) -> None:
        if log:
            log.write(line + "\n")
            log.flush()
        if line.startswith(_SHOWN_LINES):
            self.monitor.on_message(line)


def supervised(command: list[str], inherited: tuple[int, ...]) -> list[str]:
    """The command, ended when standard input ends; on Windows unchanged, where a job object ends it."""
    if sys.platform == "win32":
        return command
    free = next(str(number) for number in range(3, 10) if number not in inherited)  # sh takes one digit
    return ["/bin/sh", "-c", re.sub(r"\bN\b", free, _SUPERVISE), "sh", *command]


def remove_passwords(line: str) -> str:
    """The line with user names and passwords in URLs replaced by asterisks."""
    return re.sub(r"://[^/@\s]+@", "://***@", line)


def explain_failure(output: str, command: list[str]) -> str:
    """One sentence about a failed command, from the end of its output."""
    for part, sentence in _REASONS.items():
        if part in output:
            return sentence
    return f"'{' '.join(command[1:4])}' failed ({last_words(output)})."
