"""Base class of the restoration algorithms: their common parameters, outputs, result layers and help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterString

from ..dip_core.job_fields import Compute
from . import layers
from .algorithm import CSV_FILES, HTML_FILES
from .compute_algorithm import ComputeAlgorithm
from .methods import MethodOptions

NUMBERS = {
    "HELDOUT_RMSE": "RMSE on hidden pixels",
    "HELDOUT_R2": "R² on hidden pixels",
    "BASELINE_RMSE": "RMSE of the baseline method on the same pixels",
    "PIXELS_CHANGED": "Number of changed pixels",
    "PIXELS_LEFT": "Number of pixels that could not be restored",
}
OUTPUT_HELP = """
<p><b>Outputs.</b> A GeoTIFF with the data type, nodata value, scale and offset, CRS, georeference and band metadata of
the input. Optional: the uncertainty (one standard deviation per pixel and band, in the data's units), the changed
pixels (1 where a pixel was written), a report, and a table of the errors.</p>
"""


class Restorer(ComputeAlgorithm):
    """Restores a raster, with its uncertainty and a validation.

    ``METHODS`` are the values of METHOD, ``VALIDATION_HELP`` explains the validation, and ``RESULT_SUFFIX`` follows the
    input's name in the name of the result layer.
    """

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

    METHODS = MethodOptions({})
    VALIDATION_HELP = ""
    RESULT_SUFFIX = "restored"
    TIME_BUDGET_TOOLTIP = (
        "At least 1 s. Networks and other iterative methods stop early to keep to it; interpolators do not. "
        "Leave empty for no limit."
    )

    def help_html(self) -> str:
        """The algorithm's own text, its methods, outputs and validation."""
        parts = (self.HELP, self.METHODS.html, OUTPUT_HELP, self.VALIDATION_HELP)
        return "".join(map(self.tr, parts))

    def add_method(self) -> None:
        """Add the method; a subclass adds the parameters of a single method here."""
        self.add_choice(self.METHOD, "Method", self.METHODS.values, self.METHODS.tooltip)

    def add_restorer_parameters(self) -> None:
        """Add method, device, time budget, seed, tile size, overlap, scheduler and nodata."""
        self.add_method()
        self.add_compute_parameters()
        for name, label, tooltip in (
            (
                self.TILE_SIZE,
                "Tile size (pixels, 0 = automatic)",
                "Width and height of a tile, at least 64. Smaller tiles need less memory.",
            ),
            (self.OVERLAP, "Tile overlap (pixels, 0 = automatic)", "Less than half of the tile size."),
        ):
            self.add_number(name, label, tooltip, 0, integer=True, advanced=True, minValue=0)
        self.add(
            QgsProcessingParameterString(self.SCHEDULER, self.tr("Dask scheduler address"), optional=True),
            "For example tcp://host:8786, to compute on a cluster. Leave empty to compute on this computer.",
            advanced=True,
        )
        self.add_nodata()

    def add_restorer_outputs(self, label: str) -> None:
        """Add the restored raster with this label, and the other outputs."""
        self.add_raster_output(self.OUTPUT, label, "The restored raster (GeoTIFF), with the metadata of the input.")
        self.add_raster_output(
            self.UNCERTAINTY,
            "Uncertainty",
            "One standard deviation per pixel and band, in the data's units.",
            optional=True,
        )
        self.add_raster_output(
            self.FILLED, "Changed pixels", "1 where a pixel was written, 0 elsewhere, per band.", optional=True
        )
        self.add_file_output(
            self.REPORT, "Report", HTML_FILES, "What was done, and the errors on hidden pixels, with images."
        )
        self.add_file_output(self.METRICS, "Metrics table", CSV_FILES, "The errors on hidden pixels, one row per band.")
        self.add_number_outputs(NUMBERS)

    def compute(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Compute:
        """The compute options of a job; raises InvalidJob."""
        return replace(
            super().compute(parameters, context),
            tile_size=self.parameterAsInt(parameters, self.TILE_SIZE, context),
            overlap=self.parameterAsInt(parameters, self.OVERLAP, context),
            scheduler=self.parameterAsString(parameters, self.SCHEDULER, context).strip() or None,
        )

    def style_outputs(self, destinations: dict[str, str], context: QgsProcessingContext) -> None:
        """Show the restored raster in the style of its input, and the other layers in styles of their own."""
        source = self.sources[self.INPUT][0]
        output, uncertainty, filled = map(destinations.get, (self.OUTPUT, self.UNCERTAINTY, self.FILLED))
        layers.name_layer(context, output, f"{source.name} {self.RESULT_SUFFIX}")
        layers.style_layer(context, output, layers.InputStyle(source.renderer))
        layers.name_layer(context, uncertainty, f"{source.name} uncertainty")
        layers.style_uncertainty(context, uncertainty)
        layers.name_layer(context, filled, f"{source.name} changed pixels")
        layers.style_layer(context, filled, layers.MaskStyle())
