"""Selects the PyTorch wheels for this machine, and the pip commands that install the engine's libraries.

Standard library only and no QGIS.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .engine_process import EngineError, run_captured

TORCH_INDEX = "https://download.pytorch.org/whl/"
"""PyTorch's package index; ``cpu``, ``cu126`` or ``cu128`` follows. Only torch itself is installed from it."""

MIN_CUDA_DRIVER = 525
"""First version of the NVIDIA driver that supports CUDA 12."""

COMPUTE_CHOICES = ("auto", "cpu", "cuda")


def select_wheels(
    compute: str = "auto",
    python_version: tuple[int, int] = sys.version_info[:2],
    on_message: Callable[[str], None] = lambda line: None,
) -> str:
    """The kind of torch wheels for this machine: ``default``, ``cpu``, ``cu126`` or ``cu128``; raises EngineError."""
    if compute not in COMPUTE_CHOICES:
        raise EngineError(f"COMPUTE '{compute}' is unknown: use {', '.join(COMPUTE_CHOICES)}.")
    if sys.platform == "darwin":
        if platform.machine() == "x86_64" and python_version >= (3, 13):
            raise EngineError(
                "PyTorch has no version for Intel Macs with Python 3.13. Set PYTHON to the path of Python 3.12."
            )
        return "default"  # the only kind, with Metal support
    gpus = [] if compute == "cpu" else nvidia_gpus()
    if compute == "auto" and gpus and min(driver for driver, _ in gpus) < MIN_CUDA_DRIVER:
        on_message(f"The NVIDIA driver is older than version {MIN_CUDA_DRIVER}, so the engine will use the CPU.")
        gpus = []
    if compute == "cpu" or (compute == "auto" and not gpus):
        return "cpu"
    # Wheels for CUDA 12.6 have no kernels for compute capability 10 and later (Blackwell).
    return "cu128" if any(capability >= 10 for _, capability in gpus) else "cu126"


def nvidia_gpus() -> list[tuple[int, float]]:
    """Driver version (major) and compute capability of each NVIDIA GPU; empty without a working driver."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    try:
        done = run_captured([program, "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"], timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r"^\s*(\d+)[\d.]*\s*,\s*(\d+\.\d+)", done.stdout, re.MULTILINE)
    return [(int(driver), float(capability)) for driver, capability in found] if done.returncode == 0 else []


def torch_requirement(requirements: Path) -> str:
    """The line of torch in a requirements file, with its version bounds."""
    lines = (line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return next(line for line in lines if line.startswith("torch"))


def pip_commands(python: str, wheels: str, requirements: Path, constraints: str | None = None) -> list[list[str]]:
    """The two pip commands to run in order: torch alone, then all libraries with their dependencies.

    From PyTorch's index, torch is installed without dependencies, because that index has old copies of common
    libraries. With a ``constraints`` file, or with ``default`` wheels, torch comes from pip's default index.
    """
    pip = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    if constraints:
        pip += ["-c", constraints]
    index = [] if constraints or wheels == "default" else ["--no-deps", "--index-url", TORCH_INDEX + wheels]
    libraries = ["-r", str(requirements)]
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        libraries.append("numpy<2")  # the last torch for Intel Macs was compiled with numpy 1
    return [[*pip, *index, torch_requirement(requirements)], [*pip, *libraries]]


def without_torch_index(command: list[str]) -> list[str]:
    """The command that installs torch from pip's default index instead, with its dependencies."""
    if "--index-url" not in command:
        return command
    start = command.index("--no-deps")
    return command[:start] + command[start + 3 :]
