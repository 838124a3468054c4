"""Detect stripes: finds dead lines and lines with an offset in each band, and writes them as a mask."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ..dip_core.job import DetectStripesJob
from ..dip_core.job_fields import Outputs
from . import layers
from .algorithm import CSV_FILES, HTML_FILES
from .engine_algorithm import EngineAlgorithm

NUMBERS = {
    "STRIPED_BANDS": "Number of striped bands",
    "DEAD_LINES": "Number of dead lines, over all bands",
    "OFFSET_LINES": "Number of lines with an offset, over all bands",
}


class DetectStripes(EngineAlgorithm):
    """Detection of columns, rows and tilted lines that differ from the prediction by the other bands."""

    NAME = "detectstripes"
    LABEL = "Detect stripes"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Finds dead lines, and lines with an additive offset, in each band of a multi- or hyperspectral raster."
    TAGS = ("hyperspectral", "stripes", "destriping", "dead", "columns", "lines", "mask", "quality")
    HELP = """
<p><b>Input.</b> The raster. Bad bands (<code>bbl</code> 0) and empty bands are not examined. With fewer than five
bands, only clear stripes are found.</p>
<p><b>How it works.</b> Each band is predicted from the others. A line that differs from its prediction by a constant
amount has an <i>offset</i>. A line that is constant or saturated (also in a part of its length), copied from its
neighbour, or in disagreement with all other bands is <i>dead</i>. Lines are columns, rows, or tilted lines as they
remain after rectification. Lines that resampling repeated are not dead. If most lines of a band have an offset, a
warning says so, with the strength.</p>
<p><b>Outputs.</b> A mask with one band per band of the raster: 0 clean, 1 dead line, 2 line with an offset. You can
edit it and give it to <i>Inpaint stripes</i>, which finds the same stripes itself if it gets no mask. Optional: a table
of the lines per band, and a report.</p>
"""
    INPUT = "INPUT"
    OUTPUT = "OUTPUT"
    METRICS = "METRICS"
    REPORT = "REPORT"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_raster(
            self.INPUT,
            "Raster to examine",
            "Bands that are bad according to its bad-band list are not examined. Five bands or more are best, because "
            "the other bands distinguish stripes from the scene.",
        )
        self.add_nodata()
        self.add_raster_output(
            self.OUTPUT,
            "Stripe mask",
            "One band per band of the raster: 0 clean or nodata, 1 dead line, 2 line with an offset.",
        )
        self.add_file_output(
            self.METRICS,
            "Band table",
            CSV_FILES,
            "One row per band: number of lines, their direction and offset, and the noise of the band.",
        )
        self.add_file_output(self.REPORT, "Report", HTML_FILES, "The striped bands, with images.")
        self.add_number_outputs(NUMBERS)

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> DetectStripesJob:
        """The detection job."""
        return DetectStripesJob(
            input=self.paths(self.INPUT)[0], outputs=outputs, nodata=self.nodata(parameters, context)
        )

    def style_outputs(self, destinations: dict[str, str], context: QgsProcessingContext) -> None:
        """Show dead lines and lines with an offset in two colours."""
        mask = destinations.get(self.OUTPUT)
        layers.name_layer(context, mask, f"{self.sources[self.INPUT][0].name} stripe mask")
        layers.style_layer(context, mask, layers.StripeStyle())
