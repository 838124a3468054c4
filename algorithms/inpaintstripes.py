"""Inpaint stripes: corrects additive stripes and inpaints dead lines, band by band, and touches nothing else."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterBoolean

from ..dip_core.job import STRIPE_METHODS, InpaintStripesJob, Outputs
from .restorer import Restorer


class InpaintStripes(Restorer):
    """Stripe repair with all pixels outside the stripes left bit for bit as they were."""

    NAME = "inpaintstripes"
    LABEL = "Inpaint stripes"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Corrects additive stripes and inpaints dead lines of a hyperspectral or multispectral raster."
    TAGS = ("stripes", "destriping", "dead lines", "inpainting", "hyperspectral", "hyperion", "aviris", "enmap")
    RESULT_WORD = "without stripes"
    HELP = """
<p>Only pixels on stripes are written: all others come back bit for bit. Bad bands (<code>bbl</code> 0) and empty ones
pass through unchanged. Type, nodata, scale, CRS, georeference, wavelengths and band metadata are kept.</p>
<p><b>Which pixels are stripes.</b> With a stripe mask, what it says: 0 is clean, 2 is an additive stripe, any other
value is dead (one band for all, or one a band; <i>Detect stripes</i> makes such masks). Without one, stripes are
detected: columns, rows and tilted lines that one band shows and the others do not, and lines that are constant,
saturated or copied.</p>
<p><b>What happens to them.</b> A line with an additive offset keeps its detail: the offset is subtracted. A dead line
holds nothing and is inpainted, from the other bands where these see it, else from its surroundings.</p>
<p><b>Methods.</b> <i>best</i>: classical interpolators, a non-local one that carries the scene's own texture into the
gaps, and a small deep prior, mixed by weights that are validated on pixels hidden on purpose. <i>fast</i>: no network,
seconds. <i>deep_prior</i>: the small network alone.
<i>paper_2d</i>, <i>paper_3d</i>: the deep hyperspectral prior as published, with its 10 001 iterations; slow without a
GPU.</p>
<p><b>How good is it?</b> The report lists the striped lines and compares the inpainting with GDAL's "Fill nodata" on
the very same hidden pixels, band by band.</p>
"""
    METHODS = STRIPE_METHODS
    METHOD_TOOLTIP = (
        "best: validated mixture. fast: no network. deep_prior: the small network alone. "
        "paper_2d, paper_3d: as published; slow without a GPU."
    )

    MASK = "MASK"
    CORRECT_OFFSETS = "CORRECT_OFFSETS"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Striped raster", "All its bands are repaired.")
        self.add_raster(
            self.MASK,
            "Stripe mask",
            "0 clean, 2 additive stripe, other values dead; one band, or one a band. Leave empty to detect stripes.",
            optional=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.CORRECT_OFFSETS, self.tr("Correct additive stripes"), True),
            "Subtract the offset of additive stripes and keep their detail. Off: inpaint them like dead lines.",
        )
        self.add_computing()
        self.add_outputs("Without stripes")

    def make_job(
        self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs
    ) -> InpaintStripesJob:
        """The stripe job."""
        return InpaintStripesJob(
            input=self.path(self.INPUT) or "",
            outputs=outputs,
            mask=self.path(self.MASK),
            correct_offsets=self.parameterAsBool(parameters, self.CORRECT_OFFSETS, context),
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            compute=self.compute(parameters, context),
        )
