"""Finds the engine's Python: a setting, a variable, the managed environment, or the running interpreter.

The *managed environment* is the venv that `engine_builder` builds in the user's data folder. Standard library only and
no QGIS.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .engine_process import ROOT, EngineError, is_program

PYTHON_VARIABLE = "DEEP_PRIOR_PYTHON"
MIN_PYTHON = (3, 10)
MAIN_LIBRARIES = ("torch", "rasterio", "scipy", "skimage", "matplotlib", "jinja2", "psutil", "threadpoolctl")


class Engine(NamedTuple):
    """A Python for the worker, and where it was found."""

    python: str
    source: str


def find_python(
    setting: str | None = None,
    environ: Mapping[str, str] = os.environ,
    libraries: Iterable[str] = MAIN_LIBRARIES,
) -> Engine | None:
    """The first engine of: setting, variable, managed environment, running interpreter; None if there is none.

    Fast: checks files and runs no program. The running interpreter counts if it has the ``libraries``. A setting or
    variable that names no program raises EngineError, because another Python instead would hide the mistake.
    """
    for value, source in ((setting, "setting"), (environ.get(PYTHON_VARIABLE), f"variable {PYTHON_VARIABLE}")):
        if value and value.strip():
            python = os.path.expanduser(value.strip())
            if not is_program(python):
                raise EngineError(
                    f"The {source} gives '{python}' as the engine's Python, but that is not a program: correct it."
                )
            return Engine(python, source)
    folder = managed_folder(environ)
    if is_complete(folder):
        return Engine(venv_python(folder), "managed environment")
    running = running_python()
    if running and sys.version_info >= MIN_PYTHON and all(map(_has_module, libraries)):
        return Engine(running, "running interpreter")
    return None


def managed_folder(environ: Mapping[str, str] = os.environ) -> str:
    """Folder of the managed environment: outside the plugin's folder, so that it survives an upgrade of the plugin."""
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


def venv_python(folder: str) -> str:
    """Path of the Python of the venv in ``folder``."""
    parts = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return os.path.join(folder, *parts)


def running_python() -> str | None:
    """Path of the running Python; inside QGIS, ``sys.executable`` may be QGIS itself."""
    version = "python{}.{}".format(*sys.version_info[:2])
    if sys.platform == "win32":
        candidates = [os.path.join(prefix, "python.exe") for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)]
        candidates.append(os.path.join(sys.prefix, "Scripts", "python.exe"))
    else:
        candidates = [os.path.join(sys.prefix, "bin", name) for name in (version, "python3", "python")]
    if os.path.basename(sys.executable or "").lower().startswith("python"):
        candidates.insert(0, sys.executable)
    return next((path for path in candidates if is_program(path)), None)


def requirements_file(root: Path = ROOT) -> Path:
    """The file that lists the engine's libraries."""
    return root / "dip_core" / "requirements.txt"


def is_complete(folder: str, root: Path = ROOT) -> bool:
    """Whether ``folder`` contains a complete build for the present requirements."""
    recorded = read_marker(folder).get("requirements")
    return recorded == digest(requirements_file(root)) and is_program(venv_python(folder))


def read_marker(folder: str) -> dict[str, Any]:
    """The properties that a complete build has recorded; empty if the build is incomplete."""
    try:
        return dict(json.loads(Path(folder, "complete.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def digest(requirements: str | os.PathLike[str] | None) -> str:
    """SHA-256 of a requirements file without comments and empty lines; empty for None."""
    if requirements is None:
        return ""
    lines = (line.split("#")[0].strip() for line in Path(requirements).read_text(encoding="utf-8").splitlines())
    return hashlib.sha256("\n".join(filter(None, lines)).encode()).hexdigest()


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
