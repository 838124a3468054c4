"""Context of a run: emits progress and messages as events, and knows the time budget."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..events import Event, Message, Progress
from .progress import ProgressReporter

_MIN_STEP = 0.002  # fraction by which progress must grow before it is emitted again
_MIN_FRACTION = 0.02  # before the remaining time is estimated


class Context:
    """Emits progress, information and warnings as events, from any thread, and knows the deadline.

    ``emit`` receives the events; ``time_budget`` in seconds, None for no limit. ``cut_short``: whether the time budget
    has stopped an iterative method before its end.
    """

    def __init__(self, emit: Callable[[Event], None] | None = None, time_budget: float | None = None) -> None:
        self._emit = emit or (lambda event: None)
        self._start = time.monotonic()
        self._budget = time_budget
        self._span = (0.0, 1.0)
        self._last = (-1.0, "")
        self._lock = threading.Lock()
        self.warnings: list[str] = []
        self.cut_short = False

    def progress(self, fraction: float, step: str = "") -> None:
        """Emit that ``fraction`` (0 to 1) of the present section is done; the remaining time is estimated."""
        low, high = self._span
        share = low + (high - low) * min(max(fraction, 0.0), 1.0)
        with self._lock:
            if share - self._last[0] < _MIN_STEP and step == self._last[1]:
                return
            self._last = (share, step)
            spent = time.monotonic() - self._start
            remaining = spent * (1.0 - share) / share if share > _MIN_FRACTION else None
            self._emit(Progress(round(share, 4), step, None if remaining is None else round(remaining, 1)))

    def reporter(self, step: str, keep_seconds: float | None = None) -> ProgressReporter:
        """A reporter of the present section, shown as ``step``.

        ``keep_seconds``: stop the work when no more than this is left of the time budget; None: never.
        """

        def report(fraction: float) -> bool:
            self.progress(fraction, step)
            going = keep_seconds is None or self.seconds_left > keep_seconds
            self.cut_short |= not going and fraction < 1.0
            return going

        return ProgressReporter(report)

    @contextmanager
    def section(self, begin: float, end: float) -> Iterator[None]:
        """Within this block, progress 0 to 1 means ``begin`` to ``end`` of the enclosing section."""
        outer = self._span
        width = outer[1] - outer[0]
        self._span = (outer[0] + width * begin, outer[0] + width * end)
        try:
            yield
        finally:
            self._span = outer

    def info(self, text: str) -> None:
        """Emit a sentence for the log."""
        with self._lock:
            self._emit(Message(text, "info"))

    def warn(self, text: str) -> None:
        """Emit a warning, once per text, and keep it for the report."""
        with self._lock:
            if text not in self.warnings:
                self.warnings.append(text)
                self._emit(Message(text, "warning"))

    @property
    def seconds_spent(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; infinite without a time budget."""
        return math.inf if self._budget is None else self._budget - self.seconds_spent
