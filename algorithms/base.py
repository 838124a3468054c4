"""What all algorithms share: identity and texts, and for those that need the engine, the run of a job.

An engine algorithm says which job its parameters mean (`make_job`); the base class finds the engine, stages
rasters that only QGIS can read, runs the task, passes progress on, and turns every failure into one sentence.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProperty,
    QgsRasterLayer,
    QgsSettings,
)
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QThread
from qgis.PyQt.QtGui import QIcon

from ..dip_core import errors, events
from ..dip_core.job import Job, Outputs
from . import environment
from .inputs import Source, sources_of, stage
from .task import RestorationTask

ICON = str(environment.ROOT / "resources" / "icon.svg")
HELP_PAGE = "https://github.com/deep-prior/deep-prior/blob/main/docs/user-guide.md"
PYTHON_SETTING = "deep_prior/python"
RASTER_KINDS = (QgsProcessingParameterRasterLayer, QgsProcessingParameterMultipleLayers)
RASTER_SUFFIXES = (".tif", ".tiff")
WORTH_TELLING = 10  # seconds that remain, below which it is over before it is read
SECONDS_BETWEEN_NEWS = 20  # how often the remaining time is told within one step


def find_engine() -> environment.Engine:
    """The engine that the user's settings lead to; raises EngineProblem with the one thing to do."""
    engine = environment.find_python(QgsSettings().value(PYTHON_SETTING, "", type=str))
    if engine is None:
        raise environment.EngineProblem(f"The restoration engine is not set up. {environment.SETUP_HINT}")
    return engine


def cancel_watch(feedback: QgsProcessingFeedback) -> Callable[[], bool]:
    """Whether the user wants to stop, as a function to ask while waiting.

    qgis_process runs algorithms on its main thread and turns Ctrl+C into a cancel in its event loop, so
    that loop must get a turn while we wait. Clicks and keys are left out: nothing may start within a run.
    """
    application = QCoreApplication.instance()

    def is_cancelled() -> bool:
        if application is not None and QThread.currentThread() == application.thread():
            application.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return feedback.isCanceled()

    return is_cancelled


def given(parameters: dict[str, Any], name: str) -> bool:
    """Whether an optional parameter has a value."""
    value = parameters.get(name)
    return value is not None and value != "" and str(value) != "NULL"


class DeepPriorAlgorithm(QgsProcessingAlgorithm):
    """Identity and texts of one algorithm, given by class attributes."""

    NAME = ""
    LABEL = ""
    SUMMARY = ""
    HELP = ""
    GROUP = ("", "")
    TAGS: tuple[str, ...] = ()

    @staticmethod
    def tr(text: str) -> str:
        """The text in the user's language."""
        return QCoreApplication.translate("DeepPrior", text)

    def createInstance(self) -> QgsProcessingAlgorithm:
        """A new algorithm of the same kind, as Processing wants for each run."""
        return type(self)()

    def name(self) -> str:
        """The fixed id, which scripts and models depend on."""
        return self.NAME

    def displayName(self) -> str:
        """The label in the toolbox."""
        return self.tr(self.LABEL)

    def shortDescription(self) -> str:
        """One sentence."""
        return self.tr(self.SUMMARY)

    def shortHelpString(self) -> str:
        """The page beside the dialog."""
        # On one line, because the dialog makes a paragraph of every line end.
        return " ".join(f"<p>{self.tr(self.SUMMARY)}</p>{self.tr(self.HELP)}".split())

    def helpUrl(self) -> str:
        """The page behind the Help button."""
        return f"{HELP_PAGE}#{self.LABEL.lower().replace(' ', '-')}"

    def groupId(self) -> str:
        """The fixed id of the group."""
        return self.GROUP[0]

    def group(self) -> str:
        """The group's label in the toolbox."""
        return self.tr(self.GROUP[1])

    def tags(self) -> list[str]:
        """Words that find the algorithm in the toolbox's search."""
        return [self.tr(tag) for tag in self.TAGS]

    def icon(self) -> QIcon:
        """The provider's icon."""
        return QIcon(ICON)

    def svgIconPath(self) -> str:
        """The provider's icon, for the model designer."""
        return ICON

    def add(self, parameter: QgsProcessingParameterDefinition, tooltip: str, advanced: bool = False) -> None:
        """Add a parameter with its tooltip."""
        parameter.setHelp(self.tr(tooltip))
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def add_raster(self, name: str, label: str, tooltip: str, optional: bool = False) -> None:
        """Add an input raster."""
        self.add(QgsProcessingParameterRasterLayer(name, self.tr(label), optional=optional), tooltip)

    def add_rasters(self, name: str, label: str, tooltip: str, optional: bool = True) -> None:
        """Add a list of input rasters."""
        self.add(
            QgsProcessingParameterMultipleLayers(
                name, self.tr(label), QgsProcessing.SourceType.TypeRaster, optional=optional
            ),
            tooltip,
        )

    def add_raster_output(self, name: str, label: str, tooltip: str, optional: bool = False) -> None:
        """Add an output raster; an optional one is made only where it is asked for."""
        self.add(
            QgsProcessingParameterRasterDestination(
                name, self.tr(label), optional=optional, createByDefault=not optional
            ),
            tooltip,
        )

    def add_file_output(self, name: str, label: str, kind: str, tooltip: str, optional: bool = True) -> None:
        """Add an output file; ``kind`` is its file filter. An optional one is made only where it is asked for."""
        self.add(
            QgsProcessingParameterFileDestination(
                name, self.tr(label), kind, optional=optional, createByDefault=not optional
            ),
            tooltip,
        )


class EngineAlgorithm(DeepPriorAlgorithm):
    """An algorithm whose work is done by the worker."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[str, list[Source]] = {}
        self.task: RestorationTask | None = None

    def canExecute(self) -> tuple[bool, str]:
        """Whether an engine is there; looks at files only, since the toolbox asks often."""
        try:
            find_engine()
        except environment.EngineProblem as problem:
            return False, str(problem)
        return True, ""

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> Job:
        """The job that these parameters mean; inputs are taken from `paths`."""
        raise NotImplementedError

    def decorate(self, outputs: dict[str, str], context: QgsProcessingContext) -> None:
        """Name and style the result layers; ``outputs`` are destinations by output name."""

    def paths(self, name: str) -> tuple[str, ...]:
        """What the worker is to open for an input parameter."""
        return tuple(source.path for source in self.sources.get(name, ()))

    def path(self, name: str) -> str | None:
        """The one raster of an input parameter, or None."""
        return next(iter(self.paths(name)), None)

    def checkParameterValues(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[bool, str]:
        """As QGIS checks, but in words that help: QGIS says of a damaged file that it is not found."""
        try:
            found = self._read_sources(parameters, context)
        except QgsProcessingException as problem:
            return False, str(problem)
        # These are settled. QGIS would refuse GDAL's own names, such as /vsigzip/..., so it gets to see no value
        # where none is needed, and elsewhere one that is yet to be computed.
        optional = QgsProcessingParameterDefinition.Flag.FlagOptional
        computed: dict[str, Any] = {}
        for name, sources in found.items():
            definition = self.parameterDefinition(name)
            if sources and not definition.flags() & optional:
                several = isinstance(definition, QgsProcessingParameterMultipleLayers)
                # A list of layers takes no expression, but any layer object.
                computed[name] = QgsRasterLayer() if several else QgsProperty.fromExpression("''")
        parameters = {**{name: value for name, value in parameters.items() if name not in found}, **computed}
        good, message = super().checkParameterValues(parameters, context)
        if not good:
            message = next(
                filter(None, (self._complaint(d, parameters, context) for d in self.parameterDefinitions())), message
            )
        return good, message

    def _complaint(
        self, definition: QgsProcessingParameterDefinition, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> str:
        """What is wrong with one parameter's value; empty if nothing is."""
        name = definition.name()
        value = parameters.get(name)
        if definition.checkValueIsAcceptable(value, context):
            return ""
        if not given(parameters, name):
            return f"{name} is missing: give it a value."
        if isinstance(definition, QgsProcessingParameterEnum):
            return f"{name} '{value}' is unknown: use {', '.join(definition.options())}."
        return f"{name} '{value}' cannot be used. {definition.help()}"

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """On the main thread: turn layers into plain data."""
        self.sources = self._read_sources(parameters, context)
        return True

    def _read_sources(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, list[Source]]:
        names = [d.name() for d in self.parameterDefinitions() if isinstance(d, RASTER_KINDS)]
        return {name: sources_of(name, parameters.get(name), context) for name in names}

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """In a background thread: run the job."""
        destinations = self._destinations(parameters, context)
        outputs = Outputs(**{name.lower(): os.path.abspath(path) for name, path in destinations.items()})
        folder = tempfile.mkdtemp(prefix="deep_prior_staged_")
        try:
            result = self._run_staging(parameters, context, outputs, feedback, folder)
        except (errors.DeepPriorError, environment.EngineProblem) as error:
            raise QgsProcessingException(str(error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.decorate(destinations, context)
        known = {definition.name() for definition in self.outputDefinitions()}
        numbers = {name: value for name, value in result.numbers.items() if name in known and value is not None}
        return {**destinations, **numbers}

    def _destinations(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """Where each wanted output goes, as Processing knows it."""
        found = {}
        for definition in self.destinationParameterDefinitions():
            name = definition.name()
            if isinstance(definition, QgsProcessingParameterRasterDestination):
                path = self.parameterAsOutputLayer(parameters, name, context)
                if path and Path(path).suffix.lower() not in RASTER_SUFFIXES:
                    raise QgsProcessingException(
                        f"{name} '{path}' is no GeoTIFF name: give one that ends in .tif, as only GeoTIFF keeps all "
                        "metadata."
                    )
            else:
                path = self.parameterAsFileOutput(parameters, name, context)
            if path:
                found[name] = path
        return found

    def _run_staging(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        outputs: Outputs,
        feedback: QgsProcessingFeedback,
        folder: str,
    ) -> events.Result:
        """Run the job; where the worker cannot open a raster that QGIS can, stage it and run once more."""
        everything = [source for sources in self.sources.values() for source in sources]
        for source in everything:
            if source.must_be_staged and not stage(source, folder, context):
                raise errors.UnreadableRaster(path=source.path, reason="QGIS gives no pixels of it")
        while True:
            try:
                return self._run(self.make_job(parameters, context, outputs), feedback)
            except errors.UnreadableRaster as error:
                path = str(error.facts.get("path", ""))
                refused = [source for source in everything if source.path == path and not path.startswith(folder)]
                if not refused or not all([stage(source, folder, context) for source in refused]):
                    raise
                feedback.pushInfo(self.tr("The engine cannot open '{}' itself; QGIS made a copy.").format(path))

    def _run(self, job: Job, feedback: QgsProcessingFeedback) -> events.Result:
        news = _News(feedback)
        task = self.task = RestorationTask(
            job, find_engine().python, self.displayName(), news.progressed, news.said, cancel_watch(feedback)
        )
        task.run()
        for line in task.worker.foreign:
            feedback.pushDebugInfo(line)
        return task.outcome()


class _News:
    """Passes the worker's events on to the user; a line in the log for each step, not for each event."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self.feedback = feedback
        self.step = ""
        self.told = float("inf")

    def progressed(self, event: events.Progress) -> None:
        self.feedback.setProgress(100.0 * event.fraction)
        remaining = event.remaining
        due = remaining is not None and WORTH_TELLING <= remaining < self.told - SECONDS_BETWEEN_NEWS
        if event.step == self.step and not due:
            return
        self.step = event.step
        text = event.step
        if remaining is not None:
            self.told = remaining
            if remaining >= WORTH_TELLING:
                text += f" ({duration(remaining)} left)"
        self.feedback.setProgressText(text)

    def said(self, event: events.Message) -> None:
        if event.level == "warning":
            self.feedback.pushWarning(event.text)
        else:
            self.feedback.pushInfo(event.text)


def duration(seconds: float) -> str:
    """A time span for people."""
    if seconds < 90:
        return f"about {round(seconds)} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
