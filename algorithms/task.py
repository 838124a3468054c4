"""RestorationTask: the QgsTask that runs one job in a worker.

An algorithm, which Processing already runs in a background thread, calls ``run()`` itself; other code adds the task to
the task manager. In both cases ``run()`` never raises, because an exception there would crash QGIS.
"""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import Qgis, QgsMessageLog, QgsTask

from ..dip_core import errors, events
from ..dip_core.job import Job
from .worker import WorkerProcess

LOG_NAME = "Deep Prior"


class RestorationTask(QgsTask):
    """Runs one job in a worker; holds plain data only, no layer and no widget."""

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
        self.worker = WorkerProcess(job, python)
        self.result: events.Result | None = None
        self.error: errors.DeepPriorError | None = None
        self._on_progress = on_progress
        self._on_message = on_message
        self._is_cancelled = is_cancelled

    def run(self) -> bool:
        """Run the job; returns whether it succeeded, and never raises."""
        try:
            self.result = self.worker.run(self._update_progress, self._log_message, self._should_stop)
        except errors.DeepPriorError as error:
            self.error = error
        except Exception as error:  # any exception that leaves this method would crash QGIS
            reason = f"{type(error).__name__}: {error}"
            self.error = errors.WorkerFailed(reason=reason, advice="and if it happens again, report it with the log")
        return self.error is None

    def result_or_raise(self) -> events.Result:
        """The result of a finished run; raises the error of a failed one."""
        if self.result is None:
            raise self.error or errors.Cancelled()
        return self.result

    def finished(self, result: bool) -> None:
        """On the main thread, after the task manager ran the task: log a failure."""
        if not result and not isinstance(self.error, errors.Cancelled):
            QgsMessageLog.logMessage(str(self.error), LOG_NAME, Qgis.MessageLevel.Critical)

    def _update_progress(self, event: events.Progress) -> None:
        self.setProgress(100.0 * event.fraction)
        if self._on_progress is not None:
            self._on_progress(event)

    def _log_message(self, event: events.Message) -> None:
        if self._on_message is not None:
            self._on_message(event)
        else:
            level = Qgis.MessageLevel.Warning if event.level == "warning" else Qgis.MessageLevel.Info
            QgsMessageLog.logMessage(event.text, LOG_NAME, level)

    def _should_stop(self) -> bool:
        return self.isCanceled() or (self._is_cancelled is not None and self._is_cancelled())
