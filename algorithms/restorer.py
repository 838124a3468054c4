"""What every restorer shares: the parameters for method and computing, and the outputs of the interface."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..dip_core.job import Compute
from . import layers
from .base import EngineAlgorithm, given

NUMBERS = {
    "HELDOUT_RMSE": "RMSE on hidden pixels",
    "HELDOUT_R2": "R² on hidden pixels",
    "BASELINE_RMSE": "RMSE of the simplest alternative on the same pixels",
    "PIXELS_CHANGED": "Pixels changed",
    "PIXELS_LEFT": "Pixels left unrestored",
}
DEVICES = ("auto", "cpu", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "mps")


class Computing(EngineAlgorithm):
    """An algorithm that lets the user choose device, seed and time budget."""

    DEVICE = "DEVICE"
    SEED = "SEED"
    TIME_BUDGET = "TIME_BUDGET"

    BUDGET_TOOLTIP = (
        "Fits of networks are cut short to keep to this time, 1 s at least; interpolators are not. Empty: no limit."
    )

    def add_choice(self, name: str, label: str, choices: tuple[str, ...], tooltip: str, advanced: bool = False) -> None:
        """Add an enum whose values are fixed words, so that scripts stay readable; the first is the default."""
        parameter = QgsProcessingParameterEnum(name, self.tr(label), list(choices), defaultValue=choices[0])
        parameter.setUsesStaticStrings(True)
        self.add(parameter, tooltip, advanced)

    def add_device_budget_seed(self) -> None:
        """Add device, time budget and seed."""
        whole = QgsProcessingParameterNumber.Type.Integer
        device = QgsProcessingParameterString(self.DEVICE, self.tr("Compute device"), "auto")
        # A list to choose from where QGIS knows it (an input line elsewhere); scripts may name any cuda:N.
        device.setMetadata({"widget_wrapper": {"value_hints": list(DEVICES)}})
        self.add(device, "auto, cpu, cuda:N (the N-th NVIDIA GPU, from 0) or mps (Apple). auto takes the best one.")
        self.add(
            QgsProcessingParameterNumber(
                self.TIME_BUDGET,
                self.tr("Time budget (seconds)"),
                QgsProcessingParameterNumber.Type.Double,
                optional=True,
                minValue=1,
            ),
            self.BUDGET_TOOLTIP,
        )
        self.add(
            QgsProcessingParameterNumber(self.SEED, self.tr("Random seed"), whole, 0, minValue=0, maxValue=2**31 - 1),
            "The same seed on the same device gives the same output.",
            advanced=True,
        )

    def compute(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Compute:
        """How to compute; raises InvalidJob."""
        budget = None
        if given(parameters, self.TIME_BUDGET):
            budget = self.parameterAsDouble(parameters, self.TIME_BUDGET, context)
        return Compute(
            device=self.parameterAsString(parameters, self.DEVICE, context).strip() or "auto",
            seed=self.parameterAsInt(parameters, self.SEED, context),
            time_budget=budget,
        )


class Restorer(Computing):
    """A restorer: takes a damaged raster, gives it back repaired, with uncertainty and a self-validation."""

    INPUT = "INPUT"
    METHOD = "METHOD"
    TILE_SIZE = "TILE_SIZE"
    OVERLAP = "OVERLAP"
    SCHEDULER = "SCHEDULER"
    OUTPUT = "OUTPUT"
    UNCERTAINTY = "UNCERTAINTY"
    FILLED = "FILLED"
    REPORT = "REPORT"
    METRICS = "METRICS"

    METHODS: tuple[str, ...] = ()
    METHOD_TOOLTIP = ""
    RESULT_WORD = "restored"

    def add_method(self) -> None:
        """Add the method; a restorer with parameters that belong to one method adds them here."""
        self.add_choice(self.METHOD, "Method", self.METHODS, self.METHOD_TOOLTIP)

    def add_computing(self) -> None:
        """Add method, device, seed, time budget, tiles and scheduler."""
        whole = QgsProcessingParameterNumber.Type.Integer
        self.add_method()
        self.add_device_budget_seed()
        for name, label, tooltip in (
            (self.TILE_SIZE, "Tile size (pixels, 0 = automatic)", "At least 64. Smaller tiles need less memory."),
            (self.OVERLAP, "Tile overlap (pixels, 0 = automatic)", "Less than half of the tile size."),
        ):
            self.add(QgsProcessingParameterNumber(name, self.tr(label), whole, 0, minValue=0), tooltip, advanced=True)
        self.add(
            QgsProcessingParameterString(self.SCHEDULER, self.tr("Dask scheduler address"), optional=True),
            "For example tcp://host:8786, to compute on a cluster. Leave empty for this machine.",
            advanced=True,
        )

    def add_outputs(self, label: str) -> None:
        """Add the outputs that all restorers have."""
        self.add_raster_output(self.OUTPUT, label, "The restored raster (GeoTIFF), with all metadata of the input.")
        self.add_raster_output(
            self.UNCERTAINTY,
            "Uncertainty",
            "One standard deviation of each pixel and band, in the data's units.",
            optional=True,
        )
        self.add_raster_output(
            self.FILLED, "Changed pixels", "1 where a pixel was written, 0 elsewhere.", optional=True
        )
        self.add_file_output(
            self.REPORT, "Report", "HTML files (*.html)", "What was done and how well: validated on hidden pixels."
        )
        self.add_file_output(self.METRICS, "Metrics table", "CSV files (*.csv)", "The validation: a row for each band.")
        for name, text in NUMBERS.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(text)))

    def compute(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Compute:
        """How to compute; raises InvalidJob."""
        return replace(
            super().compute(parameters, context),
            tile_size=self.parameterAsInt(parameters, self.TILE_SIZE, context),
            overlap=self.parameterAsInt(parameters, self.OVERLAP, context),
            scheduler=self.parameterAsString(parameters, self.SCHEDULER, context).strip() or None,
        )

    def decorate(self, outputs: dict[str, str], context: QgsProcessingContext) -> None:
        """The restored raster looks like its input; the other layers explain it."""
        source = self.sources[self.INPUT][0]
        layers.name_layer(context, outputs.get(self.OUTPUT), f"{source.name} {self.RESULT_WORD}")
        layers.style_layer(context, outputs.get(self.OUTPUT), layers.SameStyle(source.renderer))
        layers.name_layer(context, outputs.get(self.UNCERTAINTY), f"{source.name} uncertainty")
        layers.style_uncertainty(context, outputs.get(self.UNCERTAINTY))
        layers.name_layer(context, outputs.get(self.FILLED), f"{source.name} changed pixels")
        layers.style_layer(context, outputs.get(self.FILLED), layers.MaskStyle())
