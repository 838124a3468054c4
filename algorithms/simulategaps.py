"""Simulate SLC-off gaps: cuts gaps of the true geometry into a whole scene, so that a filling can be judged."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterNumber

from ..dip_core.job import Outputs, SimulateGapsJob
from . import layers
from .base import EngineAlgorithm, given


class SimulateGaps(EngineAlgorithm):
    """Gaps as Landsat 7 has them: none in the swath's middle, wide ones at its edges."""

    NAME = "simulategaps"
    LABEL = "Simulate SLC-off gaps"
    GROUP = ("validation", "Validation")
    SUMMARY = "Cuts gaps with the geometry of Landsat 7's broken scan line corrector into a scene that has none."
    TAGS = ("landsat", "slc-off", "gap", "simulate", "validation", "mask")
    HELP = """
<p>The gaps widen from the middle of the swath (none) to its edges. Say which part of the swath the scene shows: 0 is
the western edge, 0.5 the middle, 1 the eastern edge. Or give a percentage of missing pixels instead.</p>
<p>Fill the result with "Gap-fill SLC-off" and compare it with the whole scene by "Assess restoration".
The model <code>resources/models/simulate_and_fill.model3</code> in the plugin's folder does all three.</p>
"""
    INPUT = "INPUT"
    SWATH_FROM = "SWATH_FROM"
    SWATH_TO = "SWATH_TO"
    PERCENTAGE = "PERCENTAGE"
    SEED = "SEED"
    OUTPUT = "OUTPUT"
    MASK = "MASK"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        number, kind = QgsProcessingParameterNumber, QgsProcessingParameterNumber.Type
        self.add_raster(
            self.INPUT,
            "Whole scene",
            "A raster without gaps. Each band gets its own, a little apart, as on the sensor.",
        )
        for name, label, default in (
            (self.SWATH_FROM, "Position of the scene's left edge in the swath", 0.0),
            (self.SWATH_TO, "Position of the scene's right edge in the swath", 0.25),
        ):
            self.add(
                number(name, self.tr(label), kind.Double, default, minValue=0, maxValue=1),
                "0: western edge of the swath, 0.5: its gap-free middle, 1: eastern edge.",
            )
        self.add(
            number(self.PERCENTAGE, self.tr("Missing pixels (percent)"), kind.Double, None, True, 0, 60),
            "Instead of the position: how many pixels shall be missing, up to 60. Leave empty to use the position.",
        )
        self.add(
            number(self.SEED, self.tr("Random seed"), kind.Integer, 0, minValue=0, maxValue=2**31 - 1),
            "Where the first gap begins.",
        )
        self.add_raster_output(self.OUTPUT, "Scene with gaps", "The scene with its gaps set to nodata.")
        self.add_raster_output(
            self.MASK, "Gap mask", "0 in the gaps, 1 elsewhere, as in USGS gap masks.", optional=True
        )

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> SimulateGapsJob:
        """The simulation job."""
        percentage = None
        if given(parameters, self.PERCENTAGE):
            percentage = self.parameterAsDouble(parameters, self.PERCENTAGE, context)
        return SimulateGapsJob(
            input=self.paths(self.INPUT)[0],
            outputs=outputs,
            swath_from=self.parameterAsDouble(parameters, self.SWATH_FROM, context),
            swath_to=self.parameterAsDouble(parameters, self.SWATH_TO, context),
            percentage=percentage,
            seed=self.parameterAsInt(parameters, self.SEED, context),
        )

    def decorate(self, outputs: dict[str, str], context: QgsProcessingContext) -> None:
        """The scene with gaps looks like the whole one."""
        source = self.sources[self.INPUT][0]
        layers.name_layer(context, outputs.get(self.OUTPUT), f"{source.name} with gaps")
        layers.style_layer(context, outputs.get(self.OUTPUT), layers.SameStyle(source.renderer))
        layers.name_layer(context, outputs.get(self.MASK), f"{source.name} gap mask")
