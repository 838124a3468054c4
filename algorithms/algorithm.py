"""Base class of all algorithms: id, texts, icon, and short ways to add parameters and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
ICON = str(RESOURCES / "icon.svg")
ONLINE_HELP = "https://github.com/deep-prior/deep-prior/tree/main/docs/guide"
MAX_SEED = 2**31 - 1
HTML_FILES = "HTML files (*.html)"
CSV_FILES = "CSV files (*.csv)"


def has_value(parameters: dict[str, Any], name: str) -> bool:
    """Whether an optional parameter has a value."""
    value = parameters.get(name)
    return value is not None and value != "" and str(value) != "NULL"


class DeepPriorAlgorithm(QgsProcessingAlgorithm):
    """An algorithm whose id and texts are class attributes; ``HELP`` is HTML for the panel beside the dialog."""

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
        """A new object of the same class; Processing makes one for each run."""
        return type(self)()

    def name(self) -> str:
        """The id within the provider, on which scripts and models depend."""
        return self.NAME

    def displayName(self) -> str:
        """The label in the toolbox."""
        return self.tr(self.LABEL)

    def shortDescription(self) -> str:
        """One sentence."""
        return self.tr(self.SUMMARY)

    def shortHelpString(self) -> str:
        """The text beside the dialog; one line, because the dialog makes a paragraph of each line."""
        return " ".join(f"<p>{self.tr(self.SUMMARY)}</p>{self.help_html()}".split())

    def help_html(self) -> str:
        """The text beside the dialog after its first sentence."""
        return self.tr(self.HELP)

    def helpUrl(self) -> str:
        """The page that the dialog's Help button opens: the one in the plugin's folder, else the online guide."""
        page = RESOURCES / "help" / f"{self.NAME}.html"
        return page.as_uri() if page.is_file() else ONLINE_HELP

    def groupId(self) -> str:
        """The id of the group."""
        return self.GROUP[0]

    def group(self) -> str:
        """The label of the group in the toolbox."""
        return self.tr(self.GROUP[1])

    def tags(self) -> list[str]:
        """Search terms of the toolbox."""
        return [self.tr(tag) for tag in self.TAGS]

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return QIcon(ICON)

    def svgIconPath(self) -> str:
        """Path of the plugin's icon, for the model designer."""
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
        source = QgsProcessing.SourceType.TypeRaster
        self.add(QgsProcessingParameterMultipleLayers(name, self.tr(label), source, optional=optional), tooltip)

    def add_choice(self, name: str, label: str, choices: tuple[str, ...], tooltip: str, advanced: bool = False) -> None:
        """Add an enum with static strings, which keep scripts readable; the first choice is the default."""
        parameter = QgsProcessingParameterEnum(name, self.tr(label), list(choices), defaultValue=choices[0])
        parameter.setUsesStaticStrings(True)
        self.add(parameter, tooltip, advanced)

    def add_choices(
        self,
        name: str,
        label: str,
        choices: tuple[str, ...],
        defaults: tuple[str, ...],
        tooltip: str,
        advanced: bool = False,
    ) -> None:
        """Add an enum with static strings of which several can be chosen."""
        parameter = QgsProcessingParameterEnum(name, self.tr(label), list(choices), True, list(defaults))
        parameter.setUsesStaticStrings(True)
        self.add(parameter, tooltip, advanced)

    def add_boolean(self, name: str, label: str, default: bool, tooltip: str, advanced: bool = False) -> None:
        """Add a yes/no parameter."""
        self.add(QgsProcessingParameterBoolean(name, self.tr(label), default), tooltip, advanced)

    def add_number(
        self,
        name: str,
        label: str,
        tooltip: str,
        default: float | None = None,
        integer: bool = False,
        advanced: bool = False,
        **limits: float,
    ) -> None:
        """Add a number, optional if it has no default; ``limits`` are ``minValue`` and ``maxValue``."""
        kind = QgsProcessingParameterNumber.Type
        parameter = QgsProcessingParameterNumber(
            name, self.tr(label), kind.Integer if integer else kind.Double, default, default is None, **limits
        )
        self.add(parameter, tooltip, advanced)

    def add_seed(self, name: str, tooltip: str, advanced: bool = False) -> None:
        """Add a random seed."""
        self.add_number(name, "Random seed", tooltip, 0, integer=True, advanced=advanced, minValue=0, maxValue=MAX_SEED)

    def add_raster_output(self, name: str, label: str, tooltip: str, optional: bool = False) -> None:
        """Add an output raster; an optional one is written only on request."""
        self.add(
            QgsProcessingParameterRasterDestination(
                name, self.tr(label), optional=optional, createByDefault=not optional
            ),
            tooltip,
        )

    def add_file_output(self, name: str, label: str, file_filter: str, tooltip: str, optional: bool = True) -> None:
        """Add an output file; an optional one is written only on request."""
        self.add(
            QgsProcessingParameterFileDestination(
                name, self.tr(label), file_filter, optional=optional, createByDefault=not optional
            ),
            tooltip,
        )

    def add_number_outputs(self, labels: Mapping[str, str]) -> None:
        """Add output numbers; ``labels`` by output name."""
        for name, label in labels.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(label)))

    def optional_number(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> float | None:
        """The value of an optional number, or None."""
        return self.parameterAsDouble(parameters, name, context) if has_value(parameters, name) else None
