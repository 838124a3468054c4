"""Inpaint stripes: corrects lines with an additive offset and inpaints dead lines, band by band."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ..dip_core.job_fields import Outputs
from ..dip_core.restoration_jobs import InpaintStripesJob
from .methods import GAP_FILLING, MethodOptions, paper_descriptions
from .restorer import Restorer


class InpaintStripes(Restorer):
    """Stripe repair that returns all pixels outside the stripes bit for bit."""

    NAME = "inpaintstripes"
    LABEL = "Inpaint stripes"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Corrects additive stripes and inpaints dead lines of a hyperspectral or multispectral raster."
    TAGS = ("stripes", "destriping", "dead lines", "inpainting", "hyperspectral", "hyperion", "aviris", "enmap")
    RESULT_SUFFIX = "without stripes"
    HELP = """
<p>Only pixels on stripes are written: all others are returned bit for bit, and so are bad bands (<code>bbl</code> 0)
and empty bands.</p>
<p><b>Inputs.</b> The raster, and optionally a stripe mask, such as the output of <i>Detect stripes</i>: 0 is clean, 2
is an additive stripe, any other value is dead; one band for all bands, or one band per band. Without a mask, stripes
are detected: columns, rows and tilted lines that appear in one band and not in the others, and lines that are constant,
saturated or copied.</p>
<p><b>How it works.</b> On a line with an additive offset, the offset is subtracted and the detail is kept. A dead line
contains no information: it is predicted from the other bands if they have data there, else from its surroundings.</p>
"""
    VALIDATION_HELP = """
<p><b>How good is the result?</b> Part of the observed pixels is hidden and inpainted. The report lists the striped
lines, and compares the errors with that of GDAL's "Fill nodata" on the same pixels.</p>
"""
    METHODS = MethodOptions({**GAP_FILLING, **paper_descriptions("10,001")})

    MASK = "MASK"
    CORRECT_OFFSETS = "CORRECT_OFFSETS"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Striped raster", "The raster to repair; all its good bands are repaired.")
        self.add_raster(
            self.MASK,
            "Stripe mask",
            "0 clean, 2 additive stripe, other values dead; one band for all bands, or one band per band. "
            "Leave empty to detect the stripes.",
            optional=True,
        )
        self.add_boolean(
            self.CORRECT_OFFSETS,
            "Correct additive stripes",
            True,
            "Yes: subtract the offset of additive stripes and keep their detail. No: inpaint them like dead lines.",
        )
        self.add_restorer_parameters()
        self.add_restorer_outputs("Without stripes")

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
            nodata=self.nodata(parameters, context),
        )
