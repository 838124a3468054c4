"""Builds and removes the managed environment: a venv with the libraries of ``dip_core/requirements.txt``.

A build counts as complete only after the worker's probe has succeeded in it. Standard library only and no QGIS, because
tools/build-engine imports this module in a plain Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .engine_installer import BuildMonitor, Installer
from .engine_locate import MIN_PYTHON, digest, read_marker, requirements_file, running_python, venv_python
from .engine_process import ROOT, EngineError, clean_environment, is_program, probe, run_captured
from .engine_wheels import select_wheels

REQUIRED_SPACE = {"cpu": 1.5e9, "cuda": 7e9}
"""Bytes on disk that an environment needs."""

_LOCK_POSITION = 1 << 20  # Windows locks this byte, so that other processes can read the text at the file's start


@dataclass(frozen=True)
class BuildOptions:
    """How to build: ``base_python`` makes the venv (default: the running Python); ``compute`` is auto, cpu or cuda.

    With a ``constraints`` file, torch comes from pip's default index. ``log`` is a file for the complete output of pip.
    ``root`` is the folder that contains ``dip_core``.
    """

    base_python: str | None = None
    compute: str = "auto"
    constraints: str | None = None
    proxy: str | None = None
    log: str | None = None
    root: Path = ROOT


def build(folder: str, options: BuildOptions | None = None, monitor: BuildMonitor | None = None) -> str:
    """Build the engine in ``folder`` and return the path of its Python; a complete engine is kept as it is.

    Raises EngineError, and BuildCancelled if the user cancels. After an error, no incomplete folder is left.
    """
    options, monitor = options or BuildOptions(), monitor or BuildMonitor()
    base_python = options.base_python or running_python() or ""
    wheels = select_wheels(options.compute, check_base_python(base_python), monitor.on_message)
    requirements = requirements_file(options.root)
    marker = {"requirements": digest(requirements), "torch": wheels, "constraints": digest(options.constraints)}
    folder = os.path.abspath(folder)
    python = venv_python(folder)
    _make_parent(folder)
    with _lock(folder) as lock:
        if read_marker(folder) == marker and is_program(python):
            with contextlib.suppress(EngineError):
                probe(python, root=options.root)
                monitor.on_message(f"The restoration engine in {folder} is complete.")
                monitor.on_progress(1.0)
                return python
        _check_space(folder, wheels)
        _delete(folder)
        os.makedirs(folder)
        Path(folder, "building").write_text(str(os.getpid()), encoding="utf-8")
        installer = Installer(
            folder, base_python, wheels, requirements, monitor, options.constraints, options.proxy, options.log, lock
        )
        try:
            installer.install(before_fallback=lambda: _check_space(folder, "cuda"))
            monitor.on_message("Testing the engine")
            monitor.on_progress(0.95)
            found = probe(python, root=options.root)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        Path(folder, "complete.json").write_text(json.dumps(marker), encoding="utf-8")
        os.remove(os.path.join(folder, "building"))
    versions = ", ".join(f"{library} {version}" for library, version in found["versions"].items())
    monitor.on_message(f"The restoration engine is complete: {versions}")
    monitor.on_progress(1.0)
    return python


def remove(folder: str) -> bool:
    """Remove a managed environment; False if there is none. Raises EngineError."""
    if not os.path.isdir(folder):
        return False
    with _lock(folder):
        _delete(folder)
    return True


def check_base_python(python: str) -> tuple[int, int]:
    """The version of an interpreter, which must be able to make the venv; raises EngineError."""
    if not is_program(python):
        raise EngineError(f"'{python}' is not a program. Set PYTHON to the path of Python 3.10 or later.")
    # A file that exists may still fail to run, for example in a broken venv.
    code = "import sys, struct; print(*sys.version_info[:2], struct.calcsize('P'))"
    try:
        done = run_captured([python, "-c", code], timeout=60, environ=clean_environment())
        done.check_returncode()
        major, minor, width = map(int, done.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"'{python}' does not run as Python. Set PYTHON to the path of Python 3.10 or later."
        ) from error
    if (major, minor) < MIN_PYTHON or width != 8:
        raise EngineError(
            f"'{python}' is Python {major}.{minor} with {8 * width} bits, but the engine needs Python "
            f"{MIN_PYTHON[0]}.{MIN_PYTHON[1]} or later with 64 bits. Set PYTHON to the path of another Python."
        )
    return major, minor


def _make_parent(folder: str) -> None:
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"The folder '{folder}' cannot be made ({error.strerror}): set DEEP_PRIOR_HOME to another folder."
        ) from error


def _check_space(folder: str, wheels: str) -> None:
    required = REQUIRED_SPACE["cuda" if wheels.startswith("cu") else "cpu"]
    free = shutil.disk_usage(os.path.dirname(folder)).free
    if free < required:
        raise EngineError(
            f"The engine needs {required / 1e9:.1f} GB in '{os.path.dirname(folder)}', but only {free / 1e9:.1f} GB "
            "are free: free some space, or set DEEP_PRIOR_HOME to another folder."
        )


def _delete(folder: str) -> None:
    """Delete a folder that this module made; raises EngineError for any other folder that is not empty."""
    if not os.path.isdir(folder) or not os.listdir(folder):
        return
    if not any(os.path.exists(os.path.join(folder, name)) for name in ("building", "complete.json")):
        raise EngineError(
            f"'{folder}' is not a restoration engine, so it is not deleted: set DEEP_PRIOR_HOME to another folder."
        )
    try:
        # The marker goes first, so that an interrupted removal leaves an incomplete engine, not a broken one.
        Path(folder, "building").touch()
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, "complete.json"))
        shutil.rmtree(folder)
    except OSError as error:
        raise EngineError(
            f"'{folder}' cannot be removed ({error.strerror}): close the programs that use it first."
        ) from error


@contextlib.contextmanager
def _lock(folder: str) -> Iterator[tuple[int, ...]]:
    """Allow one build at a time over all processes; the system releases the lock of a process that dies.

    Yields the file descriptors that a child must inherit to hold the lock too, while it outlives this process. (On
    Windows it does not outlive it.) The file beside the folder contains the process and the time. It is kept, because
    deleting it would be a race.
    """
    with open(folder + ".lock", "a+", encoding="utf-8") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(_LOCK_POSITION)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise EngineError(
                f"The engine is being set up or removed already ({file.read().strip()}): wait until that is done."
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        try:
            yield (file.fileno(),) if sys.platform != "win32" else ()
        finally:
            if sys.platform == "win32":
                file.seek(_LOCK_POSITION)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
