"""Detect stripes: finds lines of a band that are dead or carry an offset, and writes them as a mask."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingOutputNumber

from ..dip_core.job import DetectStripesJob, Outputs
from . import layers
from .base import EngineAlgorithm

NUMBERS = {
    "STRIPED_BANDS": "Number of striped bands",
    "DEAD_LINES": "Number of dead lines, over all bands",
    "OFFSET_LINES": "Number of lines with an offset, over all bands",
}


class DetectStripes(EngineAlgorithm):
    """Columns, rows and tilted lines that do not show what the other bands lead one to expect."""

    NAME = "detectstripes"
    LABEL = "Detect stripes"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Finds dead lines and lines with an additive offset, in each band of a multi- or hyperspectral raster."
    TAGS = ("hyperspectral", "stripes", "destriping", "dead", "columns", "lines", "mask", "quality")
    HELP = """
<p>Each band is predicted from the others. A line along which the band differs from its prediction by one and the same
amount has an <i>offset</i>; a line that is constant, saturated, copied from its neighbour or at odds with all other
bands is <i>dead</i>. Lines may be columns, rows, or tilted as a rectification leaves them.</p>
<p>The mask has a band for each of the raster's: 0 clean, 1 dead line, 2 line with an offset. It can be edited and given
to "Inpaint stripes", which also finds stripes by itself where it gets none.</p>
"""
    INPUT = "INPUT"
    OUTPUT = "OUTPUT"
    METRICS = "METRICS"
    REPORT = "REPORT"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        self.add_raster(
            self.INPUT,
            "Raster to examine",
            "Bands that its bad-band list names are left out. With five bands or more, stripes are told from the scene "
            "by the other bands.",
        )
        self.add_raster_output(
            self.OUTPUT,
            "Stripe mask",
            "One band for each of the raster's: 0 clean or nodata, 1 dead line, 2 line with an offset.",
        )
        self.add_file_output(
            self.METRICS,
            "Band table",
            "CSV files (*.csv)",
            "For each band: how many lines, their direction and offset, and the band's noise.",
        )
        self.add_file_output(self.REPORT, "Report", "HTML files (*.html)", "The striped bands, with pictures.")
        for name, text in NUMBERS.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(text)))

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> DetectStripesJob:
        """The detection job."""
        return DetectStripesJob(input=self.paths(self.INPUT)[0], outputs=outputs)

    def decorate(self, outputs: dict[str, str], context: QgsProcessingContext) -> None:
        """Dead and offset lines of the first band in two colours over the raster."""
        name = self.sources[self.INPUT][0].name
        layers.name_layer(context, outputs.get(self.OUTPUT), f"{name} stripe mask")
        layers.style_layer(context, outputs.get(self.OUTPUT), layers.StripeStyle())
