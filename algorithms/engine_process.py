"""Runs programs of the *engine*, the Python environment in which restorations run (torch, rasterio, scikit-image).

Standard library only and no QGIS, because tools/build-engine imports this module in a plain Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
"""Folder of the plugin, which contains ``dip_core``."""

SETUP_HINT = "Run 'Set up the restoration engine' from the Processing Toolbox."

# Variables that belong to QGIS or to another Python, GDAL or PROJ. GDAL's other settings (GDAL_HTTP_..., GDAL_CACHEMAX)
# are the user's and are kept.
_REMOVED = {
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONEXECUTABLE", "PYTHONINSPECT",
    "PYTHONPLATLIBDIR", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT",
    "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_PYTHON_DRIVER_PATH", "GEOTIFF_CSV",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH",
    "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT",
}  # fmt: skip
_REMOVED_PREFIXES = ("QGIS_", "PROJ_", "DYLD_")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class EngineError(Exception):
    """The engine is missing, incomplete or cannot be built; ``str`` is one sentence with what to do."""


def clean_environment(environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> dict[str, str]:
    """Environment variables for a child process: ``environ`` without what belongs to QGIS or another Python.

    Settings of the package index and of certificates are kept. ``dip_core`` is imported from ``root``.
    """
    child = {
        name: value
        for name, value in environ.items()
        if name.upper() not in _REMOVED and not name.upper().startswith(_REMOVED_PREFIXES)
    }
    for name in _CERTIFICATES:
        # A QGIS bundle may set these to a file that exists only inside the bundle.
        if name in child and not os.path.exists(child[name]):
            del child[name]
    child.update(PYTHONNOUSERSITE="1", PYTHONIOENCODING="utf-8", PYTHONSAFEPATH="1", OMP_WAIT_POLICY="PASSIVE")
    child.update(PYTHONPATH=str(root), PYTHONDONTWRITEBYTECODE="1")
    return child


def process_options() -> dict[str, Any]:
    """Arguments for Popen: a new process group, and no console window on Windows."""
    if sys.platform == "win32":
        start = subprocess.STARTUPINFO()
        start.dwFlags |= subprocess.STARTF_USESHOWWINDOW
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"creationflags": flags, "startupinfo": start}
    return {"start_new_session": True}


def end_process_group(process: subprocess.Popen[str], grace: float = 2.0) -> None:
    """End a process that was started with `process_options`, and its children; kill them after ``grace`` seconds."""
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


def is_program(path: str) -> bool:
    """Whether ``path`` is an executable file."""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def run_captured(
    command: list[str], timeout: float, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and capture its output; raises OSError and subprocess.TimeoutExpired."""
    return subprocess.run(  # nosec B603: a list, no shell; the programs are Python interpreters and nvidia-smi
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environ,
        cwd=tempfile.gettempdir(),
        timeout=timeout,
        check=False,
        **process_options(),
    )


def probe(python: str, timeout: float = 300.0, root: Path = ROOT) -> dict[str, Any]:
    """What the engine can do: ``python`` (version), ``versions`` by library, ``devices`` with id and name.

    Runs ``python -m dip_core --probe``, which imports the libraries that a job imports. Raises EngineError.
    """
    try:
        done = run_captured([python, "-m", "dip_core", "--probe"], timeout, clean_environment(root=root))
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"The engine's Python '{python}' did not answer within {timeout:.0f} s. Run the tool again."
        ) from error
    except OSError as error:
        raise EngineError(
            f"The engine's Python '{python}' cannot be started ({error.strerror}). {SETUP_HINT}"
        ) from error
    answer = _last_json_object(done.stdout)
    if missing := answer.get("missing"):
        raise EngineError(f"The engine's Python '{python}' lacks {', '.join(missing)}. {SETUP_HINT}")
    if done.returncode != 0 or "versions" not in answer:
        raise EngineError(
            f"The engine's Python '{python}' cannot run the worker ({last_words(done.stderr)}). {SETUP_HINT}"
        )
    return answer


def last_words(text: str, length: int = 300) -> str:
    """The end of a program's output, on one line."""
    line = " ".join(text.split())
    return line[-length:] if line else "no output"


def _last_json_object(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                return record
    return {}
