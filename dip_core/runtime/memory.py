"""Memory of the machine."""

from __future__ import annotations

import psutil


def available_memory() -> float:
    """Bytes of memory that can be used without swapping."""
    return float(psutil.virtual_memory().available)


def total_memory() -> float:
    """Bytes of memory of the machine."""
    return float(psutil.virtual_memory().total)
