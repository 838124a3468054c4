"""RestorationTask: the QgsTask that starts, follows and cancels one worker.

It works in two ways: an algorithm, which Processing already runs in a background thread, calls ``run()``
itself; other code gives it to the task manager. Either way ``run()`` never raises, because an exception
there would crash QGIS: the result or the error is kept, and `outcome` hands it out.
"""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import Qgis, QgsMessageLog, QgsTask

from ..dip_core import errors, events
from ..dip_core.job import Job
from .worker import WorkerRun

LOG = "Deep Prior"


class RestorationTask(QgsTask):
    """Runs one job in a worker process; holds plain data only, no layer and no widget."""

    def __init__(
        self,
        job: Job,
        python: str,
        description: str = "Deep Prior",
        on_progress: Callable[[events.Progress], None] | None = None,
        on_message: Callable[[events.Message], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(description, QgsTask.Flag.CanCancel)
        self.worker = WorkerRun(job, python)
        self.result: events.Result | None = None
        self.error: errors.DeepPriorError | None = None
        self._on_progress = on_progress
        self._on_message = on_message
        self._is_cancelled = is_cancelled

    def run(self) -> bool:
        """Do the job; True if it succeeded. Never raises."""
        try:
            self.result = self.worker.follow(self._progressed, self._said, self._should_stop)
        except errors.DeepPriorError as error:
            self.error = error
        except Exception as error:  # whatever it is, raising it here would end QGIS
            reason = f"{type(error).__name__}: {error}"
            self.error = errors.WorkerFailed(reason=reason, advice="and if it happens again, report it with the log")
        return self.error is None

    def outcome(self) -> events.Result:
        """The result of a run that is over; raises the error of one that failed."""
        if self.result is None:
            raise self.error or errors.Cancelled()
        return self.result

    def finished(self, result: bool) -> None:
        """On the main thread, when the task manager ran it: tell the log how it ended."""
        if not result and not isinstance(self.error, errors.Cancelled):
            QgsMessageLog.logMessage(str(self.error), LOG, Qgis.MessageLevel.Critical)

    def _progressed(self, event: events.Progress) -> None:
        self.setProgress(100.0 * event.fraction)
        if self._on_progress is not None:
            self._on_progress(event)

    def _said(self, event: events.Message) -> None:
        if self._on_message is not None:
            self._on_message(event)
        else:
            warning = event.level == "warning"
            QgsMessageLog.logMessage(event.text, LOG, Qgis.MessageLevel.Warning if warning else Qgis.MessageLevel.Info)

    def _should_stop(self) -> bool:
        return self.isCanceled() or (self._is_cancelled is not None and self._is_cancelled())
