"""Connects the worker with Processing's feedback: progress and messages to the user, cancel from the user."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QThread

from ..dip_core import events

MIN_REMAINING_SECONDS = 10  # a shorter remaining time is not shown
SECONDS_BETWEEN_UPDATES = 20  # the remaining time of one step is shown again after it fell by so much


class FeedbackAdapter:
    """Forwards the worker's events to the feedback; writes one line per step to the log, not one per event."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self.feedback = feedback
        self._step = ""
        self._shown_remaining = float("inf")

    def on_progress(self, event: events.Progress) -> None:
        """Set the progress; show a new step, and a remaining time that has fallen."""
        self.feedback.setProgress(100.0 * event.fraction)
        remaining = event.remaining
        is_due = (
            remaining is not None
            and MIN_REMAINING_SECONDS <= remaining < self._shown_remaining - SECONDS_BETWEEN_UPDATES
        )
        if event.step == self._step and not is_due:
            return
        self._step = event.step
        text = event.step
        if remaining is not None:
            self._shown_remaining = remaining
            if remaining >= MIN_REMAINING_SECONDS:
                text += f" ({format_duration(remaining)} left)"
        self.feedback.setProgressText(text)

    def on_message(self, event: events.Message) -> None:
        """Write the message to the log."""
        if event.level == "warning":
            self.feedback.pushWarning(event.text)
        else:
            self.feedback.pushInfo(event.text)


def cancel_check(feedback: QgsProcessingFeedback) -> Callable[[], bool]:
    """A function that returns whether the user has cancelled, to be called while waiting.

    qgis_process runs algorithms on its main thread and handles Ctrl+C in its event loop, so the function processes
    events there. User input is excluded: nothing may start during a run.
    """
    application = QCoreApplication.instance()

    def is_cancelled() -> bool:
        if application is not None and QThread.currentThread() == application.thread():
            application.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return feedback.isCanceled()

    return is_cancelled


def format_duration(seconds: float) -> str:
    """A rounded duration, such as "about 5 min"."""
    if seconds < 90:
        return f"about {round(seconds)} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
