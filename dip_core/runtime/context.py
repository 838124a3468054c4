"""A run's *context*: where work tells how far it is, and learns how much time is left.

The *deadline* is the end of the time budget; work that can stop early asks `Context.seconds_left`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..events import Event, Message, Progress
from .progress import ProgressReporter


class Context:
    """Tells progress, information and warnings as events, from any thread; knows the deadline."""

    def __init__(self, tell: Callable[[Event], None] | None = None, time_budget: float | None = None) -> None:
        self._tell = tell or (lambda event: None)
        self._start = time.monotonic()
        self._budget = time_budget
        self._span = (0.0, 1.0)
        self._last = (-1.0, "")
        self._lock = threading.Lock()
        self.warnings: list[str] = []

    def progress(self, fraction: float, step: str = "") -> None:
        """Tell that ``fraction`` (0 to 1) of the present part is done; the remaining time is derived."""
        low, high = self._span
        share = low + (high - low) * min(max(fraction, 0.0), 1.0)
        with self._lock:
            if share - self._last[0] < 0.002 and step == self._last[1]:
                return
            self._last = (share, step)
            spent = time.monotonic() - self._start
            remaining = spent * (1.0 - share) / share if share > 0.02 else None
            self._tell(Progress(round(share, 4), step, None if remaining is None else round(remaining, 1)))

    def reporter(self, step: str, keep_seconds: float | None = None) -> ProgressReporter:
        """A reporter of the present section, shown as ``step``.

        ``keep_seconds``: stop the work when no more than this is left of the time budget; None: never.
        """

        def report(fraction: float) -> bool:
            self.progress(fraction, step)
            return keep_seconds is None or self.seconds_left > keep_seconds

        return ProgressReporter(report)

    @contextmanager
    def section(self, low: float, high: float) -> Iterator[None]:
        """Within this block, progress 0 to 1 means ``low`` to ``high`` of the part around it."""
        outer = self._span
        width = outer[1] - outer[0]
        self._span = (outer[0] + width * low, outer[0] + width * high)
        try:
            yield
        finally:
            self._span = outer

    def info(self, text: str) -> None:
        """Tell a sentence for the log."""
        with self._lock:
            self._tell(Message(text, "info"))

    def warn(self, text: str) -> None:
        """Tell a warning; it is also kept for the report."""
        with self._lock:
            if text not in self.warnings:
                self.warnings.append(text)
                self._tell(Message(text, "warning"))

    @property
    def seconds_spent(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; infinite without a time budget."""
        return math.inf if self._budget is None else self._budget - self.seconds_spent
