"""Gap-fill SLC-off: fills the stripes that Landsat 7 lost with its scan line corrector, in all bands at once."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterBoolean

from ..dip_core.job import GAP_METHODS, MASK_POLARITIES, NETWORK_INPUTS, GapFillJob, Outputs
from .restorer import Restorer


class GapFillSlcOff(Restorer):
    """Gap filling with observed pixels left bit for bit as they were."""

    NAME = "gapfillslcoff"
    LABEL = "Gap-fill SLC-off"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Fills the gaps of a Landsat 7 SLC-off scene, or of any raster with missing pixels, in all bands at once."
    TAGS = ("landsat", "slc-off", "gap", "fill", "nodata", "inpainting", "stripes", "deep image prior", "etm+")
    RESULT_WORD = "filled"
    HELP = """
<p>Only missing pixels are written: observed pixels come back bit for bit, and the frame outside the scene stays
empty. Type, nodata, scale, CRS, georeference and band metadata are kept.</p>
<p><b>What counts as a gap.</b> With a gap mask, what it says (one mask for all bands or one a band; USGS
<code>gap_mask</code> files are read as they are delivered, <code>.TIF.gz</code>). Without one, the input's nodata
value, and where it has none, the value 0.</p>
<p><b>Landsat as delivered.</b> Give the first band file as input and the others as further bands; the output holds
them all in that order.</p>
<p><b>Methods.</b> <i>best</i>: classical interpolators, a non-local one that carries the scene's own texture into the
gaps, and a small deep prior, mixed by weights that are validated on pixels hidden on purpose. <i>fast</i>: no network,
seconds. <i>deep_prior</i>: the small network alone.
<i>paper_composite</i>, <i>paper_per_band</i>: the published network with its 1500 iterations, all bands together or
one after the other; slow without a GPU.</p>
<p><b>How good is it?</b> The report compares the result with GDAL's "Fill nodata" on the very same hidden pixels, band
by band. The uncertainty layer gives one standard deviation for each pixel.</p>
"""
    METHODS = GAP_METHODS
    METHOD_TOOLTIP = (
        "best: validated mixture. fast: no network. deep_prior: the small network alone. "
        "paper_composite, paper_per_band: as published; slow without a GPU."
    )

    BANDS = "BANDS"
    GAP_MASK = "GAP_MASK"
    MASK_POLARITY = "MASK_POLARITY"
    GUIDE = "GUIDE"
    FILL_EXTERIOR = "FILL_EXTERIOR"
    NETWORK_INPUT = "NETWORK_INPUT"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Scene with gaps", "All its bands are filled.")
        self.add_rasters(
            self.BANDS, "Further bands of the same scene", "Band files as Landsat is delivered, on the scene's grid."
        )
        self.add_rasters(
            self.GAP_MASK, "Gap mask", "One for all bands, or one a band in the order of the bands. .gz files are fine."
        )
        self.add_raster(
            self.GUIDE,
            "Guide: another date or sensor",
            "Shows what lies in the gaps. Any overlapping grid; it is warped onto the scene.",
            optional=True,
        )
        self.add_computing()
        self.add_choice(
            self.MASK_POLARITY,
            "Gap mask polarity",
            MASK_POLARITIES,
            "Which value of the mask is a gap. auto: the one that the scene's own empty pixels point to; "
            "USGS masks have 0 for gaps.",
            advanced=True,
        )
        self.add_choice(
            self.NETWORK_INPUT,
            "Network input (paper methods)",
            NETWORK_INPUTS,
            "What the published network starts from: noise, or a mesh grid of coordinates.",
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.FILL_EXTERIOR, self.tr("Fill the scene's exterior too"), False),
            "Also fill the frame around the scene, where nothing was ever observed.",
            advanced=True,
        )
        self.add_outputs("Filled")

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> GapFillJob:
        """The gap-fill job."""
        return GapFillJob(
            inputs=(*self.paths(self.INPUT), *self.paths(self.BANDS)),
            outputs=outputs,
            gap_masks=self.paths(self.GAP_MASK),
            mask_polarity=self.parameterAsEnumString(parameters, self.MASK_POLARITY, context),
            guide=self.path(self.GUIDE),
            fill_exterior=self.parameterAsBool(parameters, self.FILL_EXTERIOR, context),
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            network_input=self.parameterAsEnumString(parameters, self.NETWORK_INPUT, context),
            compute=self.compute(parameters, context),
        )
