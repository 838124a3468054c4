"""How the engine is built: a venv, torch alone from PyTorch's own index, then the other libraries.

A build is marked as complete only after the worker's own probe succeeded in it; one that was interrupted
counts as absent. Certificates are always checked, and only pip speaks to the network.

Standard library only and no QGIS, as `environment`, through which it is called.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

from .environment import (
    OLDEST_PYTHON,
    REQUIREMENTS,
    EngineProblem,
    clean_environment,
    digest,
    end_group,
    hidden_window,
    is_program,
    probe,
    python_of,
    read_marker,
    real_python,
    tail,
)

TORCH_INDEX = "https://download.pytorch.org/whl/"
"""PyTorch's own wheels; ``cpu``, ``cu126`` or ``cu128`` follows. Only torch itself comes from there."""

OLDEST_CUDA_DRIVER = 525  # the first driver that runs CUDA 12 programs
ROOM = {"cpu": 1.5e9, "cuda": 7e9}  # bytes on disk that an environment takes

Say = Callable[[str], None]


class BuildCancelled(EngineProblem):
    """The user stopped the build; what had been built is removed."""


def build(
    folder: str,
    base_python: str | None = None,
    compute: str = "auto",
    proxy: str | None = None,
    say: Say = lambda line: None,
    progress: Callable[[float], None] = lambda fraction: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    constraints: str | None = None,
    log: str | None = None,
) -> str:
    """Build the engine in ``folder`` and return its Python; does nothing where it stands already.

    ``base_python`` (default: the running one) makes the venv. ``compute`` is auto, cpu or cuda. With a
    ``constraints`` file, torch comes from the default index as well. ``log`` receives all of pip's output.
    Raises EngineProblem with one sentence, and BuildCancelled; either way no half-built folder is left.
    """
    base = base_python or real_python()
    if not base or not is_program(base):
        raise EngineProblem(f"'{base}' is no Python program. Give PYTHON the path of Python 3.10 or later.")
    variant = wheel_variant(compute, say, _check_base(base))
    marker = {"requirements": digest(REQUIREMENTS), "torch": variant, "constraints": digest(constraints)}
    folder = os.path.abspath(folder)
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
    except OSError as error:
        raise EngineProblem(
            f"The folder '{folder}' cannot be made ({error.strerror}). Set the variable DEEP_PRIOR_HOME to another one."
        ) from error
    with _locked(folder):
        if read_marker(folder) == marker and is_program(python_of(folder)):
            with contextlib.suppress(EngineProblem):
                probe(python_of(folder))
                say(f"The restoration engine in {folder} is complete.")
                progress(1.0)
                return python_of(folder)
        _check_room(folder, variant)
        _erase(folder)
        os.makedirs(folder)
        Path(folder, "building").write_text(str(os.getpid()), encoding="utf-8")
        try:
            _install(folder, base, variant, proxy, say, progress, is_cancelled, constraints, log)
            found = probe(python_of(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        Path(folder, "complete.json").write_text(json.dumps(marker), encoding="utf-8")
        os.remove(os.path.join(folder, "building"))
    say("The restoration engine is complete: " + ", ".join(f"{k} {v}" for k, v in found["versions"].items()))
    progress(1.0)
    return python_of(folder)


def remove(folder: str) -> bool:
    """Remove a managed environment; False where there was none. Raises EngineProblem."""
    if not os.path.isdir(folder):
        return False
    with _locked(folder):
        _erase(folder)
    return True


def wheel_variant(
    compute: str = "auto", say: Say = lambda line: None, version: tuple[int, int] = sys.version_info[:2]
) -> str:
    """Which torch wheels this machine and a Python ``version`` want: ``default``, ``cpu``, ``cu126`` or ``cu128``."""
    if compute not in ("auto", "cpu", "cuda"):
        raise EngineProblem(f"COMPUTE '{compute}' is unknown: use auto, cpu or cuda.")
    if sys.platform == "darwin":
        if platform.machine() == "x86_64" and version >= (3, 13):
            raise EngineProblem("PyTorch has no version for Intel Macs with Python 3.13. Give PYTHON a Python 3.12.")
        return "default"  # one kind of wheel, with Metal inside
    gpus = [] if compute == "cpu" else nvidia_gpus()
    if compute == "auto" and gpus and min(driver for driver, _ in gpus) < OLDEST_CUDA_DRIVER:
        say(f"The NVIDIA driver is older than {OLDEST_CUDA_DRIVER}, so the engine will compute on the CPU.")
        gpus = []
    if compute == "cpu" or (compute == "auto" and not gpus):
        return "cpu"
    # Wheels for CUDA 12.6 lack the kernels of GPUs from compute capability 10 (Blackwell) on.
    return "cu128" if any(capability >= 10 for _, capability in gpus) else "cu126"


def nvidia_gpus() -> list[tuple[int, float]]:
    """Driver's main version and compute capability of each NVIDIA GPU; empty without a working driver."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    try:
        done = subprocess.run(  # nosec B603: a fixed query to the driver's own tool
            [program, "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            **hidden_window(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r"^\s*(\d+)[\d.]*\s*,\s*(\d+\.\d+)", done.stdout, re.MULTILINE)
    return [(int(driver), float(capability)) for driver, capability in found] if done.returncode == 0 else []


def torch_requirement() -> str:
    """Torch's line in the requirements, bounds included."""
    lines = (line.split("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return next(line for line in lines if line.startswith("torch"))


def pip_commands(python: str, variant: str, constraints: str | None = None) -> list[list[str]]:
    """The installations to run, in order: torch alone, then the rest, with what torch needs.

    From its own index, torch comes without dependencies: that index holds old copies of common libraries.
    """
    pip = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    if constraints:
        pip += ["-c", constraints]
    index = [] if constraints or variant == "default" else ["--no-deps", "--index-url", TORCH_INDEX + variant]
    rest = ["-r", str(REQUIREMENTS)]
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        rest.append("numpy<2")  # the last torch for Intel Macs was built against numpy 1
    return [[*pip, *index, torch_requirement()], [*pip, *rest]]


def _install(
    folder: str,
    base: str,
    variant: str,
    proxy: str | None,
    say: Say,
    progress: Callable[[float], None],
    is_cancelled: Callable[[], bool],
    constraints: str | None,
    log: str | None,
) -> None:
    environ = clean_environment()
    del environ["PYTHONPATH"]  # pip must not take the plugin folder for installed packages
    if proxy:
        environ["PIP_PROXY"] = proxy  # not on the command line, where other users of the machine could read it

    def run(command: list[str]) -> None:
        _follow(command, environ, say, is_cancelled, log)

    say(f"Making a Python environment in {folder}")
    progress(0.01)
    run([base, "-m", "venv", folder])
    torch, rest = pip_commands(python_of(folder), variant, constraints)
    say(f"Installing {torch_requirement()} ({variant}); this is the large one")
    progress(0.05)
    try:
        run(torch)
    except BuildCancelled:
        raise
    except EngineProblem:
        if "--index-url" not in torch:
            raise
        say(
            "WARNING: PyTorch's own package index did not deliver; taking the default index, where torch may be larger."
        )
        _check_room(folder, "cuda")
        place = torch.index("--no-deps")
        run(torch[:place] + torch[place + 3 :])
    say("Installing the other libraries")
    progress(0.65)
    run(rest)
    say("Testing the engine")
    progress(0.95)


def _follow(
    command: list[str], environ: dict[str, str], say: Say, is_cancelled: Callable[[], bool], log: str | None
) -> None:
    """Run a program to its end, passing its lines on; raises EngineProblem or BuildCancelled."""
    lines: queue.Queue[str | None] = queue.Queue()
    recent: list[str] = []
    with contextlib.ExitStack() as stack:
        book = stack.enter_context(open(log, "a", encoding="utf-8")) if log else None
        try:
            process = subprocess.Popen(  # nosec B603: a list, no shell; programs are the base and engine Python
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=environ,
                cwd=tempfile.gettempdir(),
                **hidden_window(),
            )
        except OSError as error:
            raise EngineProblem(f"'{command[0]}' cannot be started ({error.strerror}).") from error

        def read() -> None:
            for line in process.stdout or ():
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        try:
            started = heard = time.monotonic()
            while True:
                if is_cancelled():
                    raise BuildCancelled("The set-up was cancelled; nothing was installed.")
                try:
                    line = lines.get(timeout=0.1)
                except queue.Empty:
                    if time.monotonic() - heard > 20:
                        heard = time.monotonic()
                        say(f"... still at work ({heard - started:.0f} s)")
                    continue
                if line is None:
                    break
                heard = time.monotonic()
                line = scrub(line.rstrip())
                recent = [*recent[-40:], line]
                if book:
                    book.write(line + "\n")
                    book.flush()
                if line.startswith(("Collecting", "Downloading", "Installing", "Successfully", "ERROR")):
                    say(line)
            code = process.wait()
        finally:
            if process.poll() is None:
                end_group(process)
        if code != 0:
            raise EngineProblem(_reason("\n".join(recent), command) + (f" The log is {log}." if log else ""))


def scrub(line: str) -> str:
    """A line without user names and passwords in URLs."""
    return re.sub(r"://[^/@\s]+@", "://***@", line)


_REASONS = (
    ("ensurepip is not available", "Python cannot make environments: install the system's package python3-venv."),
    ("No module named venv", "Python cannot make environments: install the system's package python3-venv."),
    ("No space left", "The disk is full: free some space and run the set-up again."),
    ("CERTIFICATE_VERIFY_FAILED", "The package index has no trusted certificate: set PIP_CERT to your organisation's."),
    ("ProxyError", "The proxy refused the connection: check the proxy in QGIS's network settings."),
    ("NewConnectionError", "The package index cannot be reached: check the network and the proxy."),
    ("NameResolutionError", "The package index cannot be reached: check the network and the proxy."),
    ("ConnectTimeout", "The package index cannot be reached: check the network and the proxy."),
    ("No matching distribution", "The package index has no fitting version of a library for this Python."),
    ("Permission denied", "The folder of the engine is not writable: set DEEP_PRIOR_HOME to another one."),
)


def _reason(output: str, command: list[str]) -> str:
    for sign, sentence in _REASONS:
        if sign in output:
            return sentence
    return f"'{' '.join(command[1:4])}' failed ({tail(output)})."


def _check_base(base: str) -> tuple[int, int]:
    """The version of an interpreter, by running it: that the file exists does not mean that it works."""
    code = "import sys, struct; print(*sys.version_info[:2], struct.calcsize('P'))"
    try:
        done = subprocess.run(  # nosec B603: a list, no shell; the program was given by the user or is our own
            [base, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(),
            cwd=tempfile.gettempdir(),
            check=True,
            **hidden_window(),
        )
        major, minor, width = map(int, done.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineProblem(
            f"'{base}' does not run as Python. Give PYTHON the path of Python 3.10 or later."
        ) from error
    if (major, minor) < OLDEST_PYTHON or width != 8:
        raise EngineProblem(
            f"'{base}' is Python {major}.{minor} with {8 * width} bits, but the engine needs 64 bits and at least "
            f"{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]}. Give PYTHON the path of another one."
        )
    return major, minor


def _check_room(folder: str, variant: str) -> None:
    wanted = ROOM["cuda" if variant.startswith("cu") else "cpu"]
    free = shutil.disk_usage(os.path.dirname(folder)).free
    if free < wanted:
        raise EngineProblem(
            f"The engine needs {wanted / 1e9:.1f} GB in '{os.path.dirname(folder)}', but only {free / 1e9:.1f} GB are "
            "free: free some space, or set DEEP_PRIOR_HOME to another folder."
        )


def _erase(folder: str) -> None:
    """Delete a folder that this module made; never one that it does not know."""
    if not os.path.isdir(folder) or not os.listdir(folder):
        return
    if not any(os.path.exists(os.path.join(folder, name)) for name in ("building", "complete.json")):
        raise EngineProblem(f"'{folder}' holds something that is no restoration engine, so it is left alone.")
    try:
        # The completed mark goes first: a removal that is interrupted leaves an incomplete engine, not a broken one.
        Path(folder, "building").touch()
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, "complete.json"))
        shutil.rmtree(folder)
    except OSError as error:
        raise EngineProblem(f"'{folder}' cannot be removed ({error.strerror}): close what uses it first.") from error


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """One build at a time, over all processes: the system frees the lock of a process that dies.

    The file beside the folder says who holds it; it stays, because deleting a lock file is a race.
    """
    with open(folder + ".lock", "a+", encoding="utf-8") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(1 << 20)  # far behind the text, which others must be able to read
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise EngineProblem(
                f"The engine is being set up or removed already ({file.read().strip()}): wait until that is done."
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        try:
            yield
        finally:
            if sys.platform == "win32":
                file.seek(1 << 20)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
