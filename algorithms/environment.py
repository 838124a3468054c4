"""Where the worker's Python is, in which environment it runs, and what it can do.

Words: the *engine* is the Python environment that runs the worker (torch, numpy, rasterio, scikit-image);
the *managed environment* is the engine that `engine_builder` builds, a venv outside the plugin folder.

Standard library only and no QGIS: set-up scripts load this file by its path.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "dip_core" / "requirements.txt"
VARIABLE = "DEEP_PRIOR_PYTHON"
OLDEST_PYTHON = (3, 10)
CHEAP_CHECK = ("torch", "rasterio", "scipy", "skimage", "matplotlib")
SETUP_HINT = "Run 'Set up the restoration engine' from the Processing Toolbox."


class EngineProblem(Exception):
    """The engine is missing, incomplete or cannot be built; ``str`` is one clear sentence."""

    def __init__(self, sentence: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.missing = missing


class Engine(NamedTuple):
    """A Python for the worker, and where it was found."""

    python: str
    source: str


# ---------------------------------------------------------------- finding


def find_python(setting: str | None = None, environ: Mapping[str, str] = os.environ) -> Engine | None:
    """The worker's Python: setting, variable, managed environment, running interpreter; None if there is none.

    Cheap: files are looked at, nothing is run. A setting or variable that names no program raises
    EngineProblem, because silently taking another Python would hide the mistake.
    """
    for value, source in ((setting, "setting"), (environ.get(VARIABLE), f"variable {VARIABLE}")):
        if value and value.strip():
            python = os.path.expanduser(value.strip())
            if not is_program(python):
                raise EngineProblem(f"The {source} names '{python}' as the engine's Python, but that is no program.")
            return Engine(python, source)
    folder = managed_folder(environ)
    if is_complete(folder):
        return Engine(python_of(folder), "managed environment")
    running = real_python()
    if running and sys.version_info >= OLDEST_PYTHON and all(map(_has_module, CHEAP_CHECK)):
        return Engine(running, "running interpreter")
    return None


def managed_folder(environ: Mapping[str, str] = os.environ) -> str:
    """Where the managed environment lives: outside the plugin folder, so that upgrades keep it."""
    home = environ.get("DEEP_PRIOR_HOME")
    if not home:
        if sys.platform == "win32":
            data = environ.get("LOCALAPPDATA") or os.path.join(os.path.expanduser("~"), "AppData", "Local")
        elif sys.platform == "darwin":
            data = os.path.join(os.path.expanduser("~"), "Library", "Application Support")
        else:
            data = environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
        home = os.path.join(data, "deep_prior")
    return os.path.join(home, "engine-py{}.{}".format(*sys.version_info[:2]))


def python_of(folder: str) -> str:
    """The Python of the venv in ``folder``."""
    parts = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return os.path.join(folder, *parts)


def is_complete(folder: str) -> bool:
    """Whether a finished build for today's requirements stands in ``folder``."""
    return read_marker(folder).get("requirements") == digest(REQUIREMENTS) and is_program(python_of(folder))


def real_python() -> str | None:
    """The python program of the running prefix: inside QGIS, ``sys.executable`` may be QGIS itself."""
    version = "python{}.{}".format(*sys.version_info[:2])
    if sys.platform == "win32":
        candidates = [os.path.join(prefix, "python.exe") for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)]
        candidates.append(os.path.join(sys.prefix, "Scripts", "python.exe"))
    else:
        candidates = [os.path.join(sys.prefix, "bin", name) for name in (version, "python3", "python")]
    if os.path.basename(sys.executable or "").lower().startswith("python"):
        candidates.insert(0, sys.executable)
    return next((path for path in candidates if is_program(path)), None)


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def is_program(path: str) -> bool:
    """Whether ``path`` is a file that may be run."""
    return os.path.isfile(path) and os.access(path, os.X_OK)


# ---------------------------------------------------------------- running

# What another Python, another GDAL or QGIS itself left behind would mislead the child. GDAL's other
# settings (GDAL_HTTP_..., GDAL_CACHEMAX) are the user's and stay.
_DROPPED = {
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONEXECUTABLE", "PYTHONINSPECT",
    "PYTHONPLATLIBDIR", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT",
    "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_PYTHON_DRIVER_PATH", "GEOTIFF_CSV",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH",
    "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT",
}  # fmt: skip
_DROPPED_PREFIXES = ("QGIS_", "PROJ_", "DYLD_")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for a child: ours without what belongs to QGIS; package index and certificates stay."""
    child = {
        name: value
        for name, value in environ.items()
        if name.upper() not in _DROPPED and not name.upper().startswith(_DROPPED_PREFIXES)
    }
    for name in _CERTIFICATES:
        # QGIS bundles may point these at a file that only they can see.
        if name in child and not os.path.exists(child[name]):
            del child[name]
    child.update(PYTHONNOUSERSITE="1", PYTHONIOENCODING="utf-8", PYTHONSAFEPATH="1", OMP_WAIT_POLICY="PASSIVE")
    child.update(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
    return child


def hidden_window() -> dict[str, Any]:
    """Arguments for Popen: a process group of its own, and no console window on Windows."""
    if sys.platform != "win32":
        return {"start_new_session": True}
    start = subprocess.STARTUPINFO()
    start.dwFlags |= subprocess.STARTF_USESHOWWINDOW
    return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP, "startupinfo": start}


def end_group(process: subprocess.Popen, grace: float = 2.0) -> None:
    """End a process that was started with ``hidden_window`` and all its children."""
    if sys.platform == "win32":
        taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        subprocess.run([taskkill, "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)  # nosec B603
        process.wait()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def probe(python: str, timeout: float = 300.0) -> dict[str, Any]:
    """What the engine can do: ``python``, ``versions`` by library, ``devices`` with id and name.

    Runs the worker's own probe, so that what is tested is what a job will import. Raises EngineProblem.
    """
    try:
        done = subprocess.run(  # nosec B603: a list, no shell; the program is the engine's Python
            [python, "-m", "dip_core", "--probe"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=clean_environment(),
            cwd=tempfile.gettempdir(),
            timeout=timeout,
            check=False,
            **hidden_window(),
        )
    except subprocess.TimeoutExpired as error:
        raise EngineProblem(f"The engine's Python '{python}' did not answer within {timeout:.0f} s.") from error
    except OSError as error:
        raise EngineProblem(
            f"The engine's Python '{python}' cannot be started ({error.strerror}). {SETUP_HINT}"
        ) from error
    answer = _last_object(done.stdout)
    missing = tuple(answer.get("missing", ()))
    if missing:
        raise EngineProblem(f"The engine's Python '{python}' lacks {', '.join(missing)}. {SETUP_HINT}", missing)
    if done.returncode != 0 or "versions" not in answer:
        raise EngineProblem(f"The engine's Python '{python}' cannot run the worker ({tail(done.stderr)}). {SETUP_HINT}")
    return answer


def tail(text: str, length: int = 300) -> str:
    """The last words of a program's complaint, on one line."""
    line = " ".join(text.split())
    return line[-length:] if line else "it said nothing"


def _last_object(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                return record
    return {}


# ---------------------------------------------------------------- building


def read_marker(folder: str) -> dict[str, Any]:
    """What a finished build noted about itself; empty for an unfinished one."""
    try:
        return dict(json.loads(Path(folder, "complete.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def digest(path: Any) -> str:
    """A fingerprint of a file of requirements; comments and empty lines do not count."""
    if path is None:
        return ""
    lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return hashlib.sha256("\n".join(filter(None, lines)).encode()).hexdigest()


def build(folder: str, base_python: str | None = None, compute: str = "auto", **options: Any) -> str:
    """Build the engine in ``folder`` and return its Python; see `engine_builder.build`."""
    from . import engine_builder

    return engine_builder.build(folder, base_python, compute, **options)


def remove(folder: str) -> bool:
    """Remove a managed environment; False where there was none; see `engine_builder.remove`."""
    from . import engine_builder

    return engine_builder.remove(folder)
