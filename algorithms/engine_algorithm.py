"""Base class of the algorithms that run a job in the worker.

A subclass makes the job from its parameters (`make_job`). The base class reads the input rasters, finds the engine,
stages rasters that only QGIS can read, runs the task, and turns every failure into one sentence.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProperty,
    QgsRasterLayer,
)

from ..dip_core import errors, events
from ..dip_core.job import Job
from ..dip_core.job_fields import Outputs, as_numbers, require_numbers
from ..dip_core.output_paths import require_distinct_paths
from ..dip_core.run_folders import STAGED_PREFIX, RunFolder
from .algorithm import DeepPriorAlgorithm, has_value
from .engine_process import EngineError
from .feedback import FeedbackAdapter, cancel_check
from .inputs import Source, read_sources, stage
from .settings import find_engine
from .task import RestorationTask

RASTER_PARAMETERS = (QgsProcessingParameterRasterLayer, QgsProcessingParameterMultipleLayers)
RASTER_SUFFIXES = (".tif", ".tiff")


class EngineAlgorithm(DeepPriorAlgorithm):
    """An algorithm whose work is done by the worker."""

    NODATA = "NODATA"

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[str, list[Source]] = {}
        self.folder = ""  # for temporary files of the run
        self.task: RestorationTask | None = None

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> Job:
        """The job for these parameters; input rasters are in `paths`. Each algorithm defines it."""
        raise NotImplementedError

    def add_nodata(self) -> None:
        """Add the values that mark missing pixels."""
        self.add(
            QgsProcessingParameterString(self.NODATA, self.tr("Nodata values"), optional=True),
            "Values that mark missing pixels in all bands, besides those that the raster declares: numbers separated "
            "by commas, such as -9999, 32767, nan. Leave empty to find undeclared values; a warning names them. Give "
            "nan if such values are data.",
            advanced=True,
        )

    def nodata(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[float, ...]:
        """The values of NODATA; raises InvalidJob."""
        given = parameters.get(self.NODATA)
        values: Any = as_numbers(
            given if isinstance(given, (list, tuple)) else self.parameterAsString(parameters, self.NODATA, context)
        )
        require_numbers(self.NODATA, values)
        return tuple(values)

    def style_outputs(self, destinations: dict[str, str], context: QgsProcessingContext) -> None:
        """Name and style the result layers; ``destinations`` are by output name."""

    def paths(self, name: str) -> tuple[str, ...]:
        """The paths of an input parameter, as the worker opens them."""
        return tuple(source.path for source in self.sources.get(name, ()))

    def path(self, name: str) -> str | None:
        """The path of an input parameter with one raster, or None."""
        return next(iter(self.paths(name)), None)

    def canExecute(self) -> tuple[bool, str]:
        """Whether an engine is there; checks files only, because the toolbox calls this often."""
        try:
            find_engine()
        except EngineError as error:
            return False, str(error)
        return True, ""

    def checkParameterValues(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[bool, str]:
        """QGIS's own check with better messages: for a damaged raster, QGIS only says that it was not found."""
        try:
            sources = self._read_sources(parameters, context)
        except QgsProcessingException as error:
            return False, str(error)
        others = {name: value for name, value in parameters.items() if name not in sources}
        checked = {**others, **self._placeholders(sources)}
        is_valid, message = super().checkParameterValues(checked, context)
        if not is_valid:
            found = (self._invalid_value(d, checked, context) for d in self.parameterDefinitions())
            message = next(filter(None, found), message)
        elif self.parameterDefinition(self.NODATA):
            try:
                self.nodata(parameters, context)
            except errors.InvalidJob as error:
                return False, str(error)
        return is_valid, message

    def _placeholders(self, sources: dict[str, list[Source]]) -> dict[str, Any]:
        """Values that QGIS accepts for the required rasters, which are already checked.

        QGIS would reject GDAL's own names, such as /vsigzip/... An expression passes, as its value is not known yet; a
        list of layers takes no expression, but accepts any layer object.
        """
        optional = QgsProcessingParameterDefinition.Flag.FlagOptional
        found: dict[str, Any] = {}
        for name, given in sources.items():
            definition = self.parameterDefinition(name)
            if given and not definition.flags() & optional:
                is_list = isinstance(definition, QgsProcessingParameterMultipleLayers)
                found[name] = QgsRasterLayer() if is_list else QgsProperty.fromExpression("''")
        return found

    @staticmethod
    def _invalid_value(
        definition: QgsProcessingParameterDefinition, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> str:
        """One sentence about a parameter whose value is not valid; empty if it is."""
        name = definition.name()
        value = parameters.get(name)
        if definition.checkValueIsAcceptable(value, context):
            return ""
        if not has_value(parameters, name):
            return f"{name} is missing: give it a value."
        if isinstance(definition, QgsProcessingParameterEnum):
            several = " Separate several by commas without spaces." if definition.allowMultiple() else ""
            return f"{name} '{value}' is unknown: use {', '.join(definition.options())}.{several}"
        return f"{name} '{value}' cannot be used. {definition.help()}"

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """On the main thread: convert the input layers to plain data."""
        self.sources = self._read_sources(parameters, context)
        return True

    def _read_sources(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, list[Source]]:
        names = [d.name() for d in self.parameterDefinitions() if isinstance(d, RASTER_PARAMETERS)]
        return {name: read_sources(name, parameters.get(name), context) for name in names}

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """In a background thread: run the job; returns destinations and numbers by output name."""
        destinations = self._destinations(parameters, context)
        outputs = Outputs(**{name.lower(): os.path.abspath(path) for name, path in destinations.items()})
        try:
            with RunFolder(STAGED_PREFIX) as folder:
                self.folder = folder.path
                result = self._run_with_staging(parameters, context, outputs, feedback, folder.path)
        except (errors.DeepPriorError, EngineError) as error:
            raise QgsProcessingException(str(error)) from error
        self.style_outputs(destinations, context)
        names = {definition.name() for definition in self.outputDefinitions()}
        numbers = {name: value for name, value in result.numbers.items() if name in names and value is not None}
        return {**destinations, **numbers}

    def _destinations(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, str]:
        """The path of each requested output, by name."""
        found = {}
        for definition in self.destinationParameterDefinitions():
            name = definition.name()
            if isinstance(definition, QgsProcessingParameterRasterDestination):
                path = self.parameterAsOutputLayer(parameters, name, context)
                if path and Path(path).suffix.lower() not in RASTER_SUFFIXES:
                    raise QgsProcessingException(
                        f"{name} '{path}' is not a GeoTIFF name: give a name that ends in .tif, because only GeoTIFF "
                        "keeps all metadata."
                    )
            else:
                path = self.parameterAsFileOutput(parameters, name, context)
            if path:
                found[name] = path
        return found

    def _run_with_staging(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        outputs: Outputs,
        feedback: QgsProcessingFeedback,
        folder: str,
    ) -> events.Result:
        """Run the job; if the worker cannot open a raster that QGIS can, stage it in ``folder`` and run again."""
        sources = [source for found in self.sources.values() for source in found]
        require_distinct_paths(
            outputs.requested(), [source.path for source in sources]
        )  # a job may name copies of them
        for source in sources:
            if source.must_be_staged and not stage(source, folder, context):
                raise errors.UnreadableRaster(path=source.path, reason="QGIS cannot read its pixels")
        while True:
            try:
                return self._run(self.make_job(parameters, context, outputs), feedback)
            except errors.UnreadableRaster as error:
                path = str(error.facts.get("path", ""))
                unreadable = [source for source in sources if source.path == path and not path.startswith(folder)]
                if not unreadable or not all([stage(source, folder, context) for source in unreadable]):
                    raise
                feedback.pushInfo(self.tr("The engine cannot open '{}' itself; QGIS made a copy.").format(path))

    def _run(self, job: Job, feedback: QgsProcessingFeedback) -> events.Result:
        adapter = FeedbackAdapter(feedback)
        task = self.task = RestorationTask(
            job,
            find_engine().python,
            self.displayName(),
            adapter.on_progress,
            adapter.on_message,
            cancel_check(feedback),
        )
        task.run()
        for line in task.worker.other_output:
            feedback.pushDebugInfo(line)
        return task.result_or_raise()
