"""Temporary folders of runs: each has a lock while its run lives, and those of killed runs are removed later.

A folder contains the file ``owner.lock``, which the process that made it holds locked, and its worker too. The system
releases the lock of a process that dies. Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

from . import temporary_files

RUN_PREFIX = "deep_prior_"
STAGED_PREFIX = f"{RUN_PREFIX}staged_"
LOCK_FILE = "owner.lock"
MAX_AGE_WITHOUT_LOCK = 24 * 3600.0  # seconds: earlier versions made folders without a lock
_MIN_AGE_ON_WINDOWS = 60.0  # seconds between making a folder and locking it, at most


class RunFolder:
    """A new temporary folder, locked and removed at the end; a context manager. ``path``, ``lock``: its open file."""

    def __init__(self, prefix: str = RUN_PREFIX) -> None:
        remove_abandoned()
        self.path = tempfile.mkdtemp(prefix=prefix)
        self.lock: BinaryIO | None = None
        with contextlib.suppress(OSError):  # some network folders have no locks
            self.lock = _create_lock(self.path)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.lock is not None:
            self.lock.close()  # Windows removes no open file
        shutil.rmtree(self.path, ignore_errors=True)

    def inherited(self) -> tuple[int, ...]:
        """File descriptors that a child process must inherit, so that it keeps the folder as long as it runs."""
        return (self.lock.fileno(),) if self.lock is not None and sys.platform != "win32" else ()


def remove_abandoned(parent: str | None = None) -> list[str]:
    """Remove the folders of runs whose processes are gone from the temporary folder; returns their paths.

    Only folders of this user, no symbolic links, and nothing that a living process has locked.
    """
    removed = []
    for path in _candidates(parent or tempfile.gettempdir()):
        with contextlib.suppress(OSError), _unlocked(path) as is_abandoned:
            if is_abandoned:
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
    return removed


def clean_up_after_worker(job_file: str, token: str, parent_is_gone: bool) -> None:
    """Remove the partial outputs of an ended worker, and the temporary folders of its run if nobody else will."""
    record: dict = {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(_read_text(job_file))
        record = found if isinstance(found, dict) else {}
    outputs = record.get("outputs")
    for target in outputs.values() if isinstance(outputs, dict) else ():
        if isinstance(target, str) and target:
            with contextlib.suppress(OSError, ValueError):
                temporary_files.clean_up(target, token)
    folder = os.path.dirname(os.path.abspath(job_file))
    if not parent_is_gone or not _is_run_folder(folder):
        return
    inputs = record.get("inputs") or [record.get("input")]
    for path in inputs if isinstance(inputs, list) else ():
        staged = os.path.dirname(path) if isinstance(path, str) else ""
        is_staged = os.path.basename(staged).startswith(STAGED_PREFIX)
        if is_staged and os.path.dirname(staged) == os.path.dirname(folder) and _is_run_folder(staged):
            shutil.rmtree(staged, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8-sig") as file:
        return file.read()


def _candidates(parent: str) -> list[str]:
    try:
        with os.scandir(parent) as entries:
            return [entry.path for entry in entries if entry.name.startswith(RUN_PREFIX) and _is_run_folder(entry.path)]
    except OSError:
        return []


def _is_run_folder(path: str) -> bool:
    """True for a folder, not a link to one, that this user made for a run."""
    try:
        state = os.lstat(path)
    except OSError:
        return False
    own = sys.platform == "win32" or state.st_uid == os.getuid()
    return own and stat.S_ISDIR(state.st_mode) and os.path.basename(path).startswith(RUN_PREFIX)


@contextlib.contextmanager
def _unlocked(folder: str) -> Iterator[bool]:
    """Whether a folder is abandoned. Its lock is held inside the block, so that only one process removes it."""
    path = os.path.join(folder, LOCK_FILE)
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        yield _is_old_run(folder)
        return
    if not stat.S_ISREG(state.st_mode):
        yield False
        return
    if sys.platform == "win32":
        yield time.time() - state.st_mtime > _MIN_AGE_ON_WINDOWS and _can_remove(path)
        return
    with open(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b") as file:
        try:
            _lock(file)
        except BlockingIOError:
            yield False
            return
        yield True


def _can_remove(path: str) -> bool:
    """Remove the lock file of a folder; False if a process has it open (Windows)."""
    try:
        os.remove(path)
    except OSError:
        return False
    return True


def _is_old_run(folder: str) -> bool:
    """True for a folder without a lock that an earlier version made, long ago."""
    if time.time() - os.lstat(folder).st_mtime < MAX_AGE_WITHOUT_LOCK:
        return False
    names = os.listdir(folder)
    return not names or "job.json" in names or all(name.startswith("staged_") for name in names)


def _create_lock(folder: str) -> BinaryIO:
    """Make the lock file of a folder. It is locked before it has its name, so that it is never seen unlocked."""
    path = os.path.join(folder, LOCK_FILE)
    if sys.platform == "win32":
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT), "r+b")  # Windows removes no open file
    new = f"{path}.new"
    file = os.fdopen(os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    try:
        _lock(file)
        os.replace(new, path)
    except OSError:
        file.close()
        raise
    return file


def _lock(file: BinaryIO) -> None:
    """Lock an open file; raises BlockingIOError if another process has locked it."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
