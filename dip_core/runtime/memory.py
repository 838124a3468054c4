"""The memory that a run can use: that of the machine, of its container, and of the process's own limits."""

from __future__ import annotations

import psutil

from ..errors import OutOfMemory
from .memory_limits import address_space, memory_group


def available_memory() -> float:
    """Bytes of memory that can be used without swapping."""
    limits = (memory_group(), address_space())
    return min(float(psutil.virtual_memory().available), *(limit.free for limit in limits))


def total_memory() -> float:
    """Bytes of memory of the machine, or of the container if that is less."""
    return min(float(psutil.virtual_memory().total), memory_group().limit)


def require_memory(needed: float, purpose: str, advice: str) -> None:
    """Raise OutOfMemory with ``advice`` if ``needed`` bytes for ``purpose`` exceed the available memory."""
    available = available_memory()
    if needed > available:
        raise OutOfMemory(
            reason=f"{purpose} needs about {format_bytes(needed)}, and {format_bytes(available)} are available",
            advice=advice,
        )


def require_scene_memory(shape: tuple[int, int, int], per_value: float, per_pixel: float, purpose: str) -> None:
    """Raise OutOfMemory if work on a whole scene of ``shape`` (bands, rows, columns) exceeds the available memory.

    ``per_value``, ``per_pixel``: bytes per value, and per row times column. ``purpose``: the work in words.
    """
    bands, rows, columns = shape
    require_memory(
        float(rows * columns) * (per_value * bands + per_pixel),
        f"{purpose} in {format_bands(bands)} of {columns} x {rows} pixels",
        "Clip the raster into parts first." if bands == 1 else "Clip the raster into parts, or give fewer bands.",
    )


def format_bands(count: int) -> str:
    """``1 band``, ``2 bands``."""
    return f"{count} band" if count == 1 else f"{count} bands"


def format_bytes(count: float) -> str:
    """A number of bytes in GB or MB, with two significant figures."""
    value, unit = (count / 1e9, "GB") if count >= 1e9 else (count / 1e6, "MB")
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
