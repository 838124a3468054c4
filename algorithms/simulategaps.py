"""Simulate SLC-off gaps: cuts gaps with the geometry of Landsat 7 into a scene that has none."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ..dip_core.job import SimulateGapsJob
from ..dip_core.job_fields import Outputs
from . import layers
from .engine_algorithm import EngineAlgorithm


class SimulateGaps(EngineAlgorithm):
    """Simulation of gaps that widen from the centre of the swath to its edges."""

    NAME = "simulategaps"
    LABEL = "Simulate SLC-off gaps"
    GROUP = ("validation", "Validation")
    SUMMARY = "Cuts gaps with the geometry of Landsat 7's failed scan line corrector into a scene that has none."
    TAGS = ("landsat", "slc-off", "gap", "simulate", "validation", "mask")
    HELP = """
<p><b>Inputs.</b> A scene without gaps, and its position in the swath: 0 is the western edge, 0.5 the centre, 1 the
eastern edge. Gaps widen from the centre (no gaps) to the edges. Alternatively, give a percentage of missing pixels.</p>
<p><b>Outputs.</b> The scene with gaps, and optionally the gap mask (0 in the gaps, 1 elsewhere).</p>
<p>Fill the result with <i>Gap-fill SLC-off</i> and compare it with the original in <i>Assess restoration</i>. The model
<code>resources/models/simulate_and_fill.model3</code> in the plugin's folder does all three.</p>
"""
    INPUT = "INPUT"
    SWATH_FROM = "SWATH_FROM"
    SWATH_TO = "SWATH_TO"
    PERCENTAGE = "PERCENTAGE"
    SEED = "SEED"
    OUTPUT = "OUTPUT"
    MASK = "MASK"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_raster(
            self.INPUT,
            "Scene without gaps",
            "Each band gets its own gaps, slightly shifted, as on the sensor.",
        )
        for name, label, default in (
            (self.SWATH_FROM, "Position of the scene's left edge in the swath", 0.0),
            (self.SWATH_TO, "Position of the scene's right edge in the swath", 0.25),
        ):
            tooltip = "0: western edge of the swath, 0.5: its gap-free centre, 1: eastern edge."
            self.add_number(name, label, tooltip, default, minValue=0, maxValue=1)
        self.add_number(
            self.PERCENTAGE,
            "Missing pixels (percent)",
            "The percentage of missing pixels, up to 60, instead of the position. Leave empty to use the position.",
            minValue=0,
            maxValue=60,
        )
        self.add_seed(self.SEED, "Determines where the first gap begins.")
        self.add_nodata()
        self.add_raster_output(self.OUTPUT, "Scene with gaps", "The scene with its gaps set to nodata.")
        self.add_raster_output(
            self.MASK, "Gap mask", "0 in the gaps, 1 elsewhere, as in USGS gap masks.", optional=True
        )

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> SimulateGapsJob:
        """The simulation job."""
        return SimulateGapsJob(
            input=self.paths(self.INPUT)[0],
            outputs=outputs,
            swath_from=self.parameterAsDouble(parameters, self.SWATH_FROM, context),
            swath_to=self.parameterAsDouble(parameters, self.SWATH_TO, context),
            percentage=self.optional_number(parameters, self.PERCENTAGE, context),
            seed=self.parameterAsInt(parameters, self.SEED, context),
            nodata=self.nodata(parameters, context),
        )

    def style_outputs(self, destinations: dict[str, str], context: QgsProcessingContext) -> None:
        """Show the scene with gaps in the style of its input."""
        source = self.sources[self.INPUT][0]
        layers.name_layer(context, destinations.get(self.OUTPUT), f"{source.name} with gaps")
        layers.style_layer(context, destinations.get(self.OUTPUT), layers.InputStyle(source.renderer))
        layers.name_layer(context, destinations.get(self.MASK), f"{source.name} gap mask")
