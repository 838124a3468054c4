"""Watching other processes in tests (Linux)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def is_running(process: int | str) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Wait for a condition; False if it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
