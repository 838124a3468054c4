"""Super-resolve: enlarges a raster two to four times, in accord with what the sensor saw."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterFile, QgsProcessingParameterNumber

from ..dip_core.job import FACTORS, PSFS, SUPERRESOLVE_METHODS, Outputs, SuperResolveJob
from .base import given
from .restorer import Restorer


class SuperResolve(Restorer):
    """Super-resolution whose result, made coarse again, is the input."""

    NAME = "superresolve"
    LABEL = "Super-resolve"
    GROUP = ("superresolution", "Super-resolution")
    SUMMARY = "Enlarges a hyperspectral or multispectral raster two, three or four times."
    TAGS = ("super-resolution", "enlarge", "upsample", "sharpen", "resolution", "deep prior", "hyperspectral")
    RESULT_WORD = "super-resolved"
    HELP = """
<p>The result has pixels that are smaller by the factor, and the same extent. Made coarse again by the point spread
function, it is the input: no detail contradicts what the sensor saw. Missing pixels stay missing. Bad bands
(<code>bbl</code> 0), empty and constant ones are enlarged by repeating their pixels. Type, nodata, scale, CRS,
georeference, wavelengths and band metadata are kept.</p>
<p><b>Point spread function.</b> How the sensor made the input from a finer image. <i>bicubic</i>: a good guess where
nothing is known, and the usual way in which test images are made. <i>gaussian</i>: with a standard deviation in pixels
of the output; half a pixel of the input unless you give one. <i>lanczos</i>: as in the authors' code of the deep
hyperspectral prior.</p>
<p><b>Methods.</b> <i>fast</i>: no network; a mixture, chosen by validation, of back-projected interpolation, total
variation of all bands together, and filters that the image's own coarser copy taught. <i>deep_prior</i>: a small
untrained network for what interpolation leaves over. <i>best</i>: all of these stand for election; on images too large
for the network, <i>fast</i>. <i>paper_2d</i>, <i>paper_3d</i>: the deep hyperspectral prior as published, more than
10 000 iterations of a large network; slow without a GPU. <i>paper_cascade</i>: the trained residual cascade; give a
model made by <i>Train super-resolver</i>.</p>
<p><b>Guide.</b> A finer raster of the same place, such as a panchromatic band: <i>fast</i> and <i>best</i> take from it
the detail that the input's bands share with it, as much as helps on the image's own coarser copy. A guide that shows
something else gets no weight.</p>
<p><b>How good is it?</b> The input is made coarse once more, enlarged, and compared with itself; the report shows the
error beside that of bicubic interpolation on the very same pixels.</p>
"""
    METHODS = SUPERRESOLVE_METHODS
    METHOD_TOOLTIP = (
        "best: validated mixture. fast: no network. deep_prior: a small network without training. "
        "paper_2d, paper_3d: as published; slow without a GPU. paper_cascade: needs a MODEL."
    )

    FACTOR = "FACTOR"
    PSF = "PSF"
    PSF_SIGMA = "PSF_SIGMA"
    GUIDE = "GUIDE"
    MODEL = "MODEL"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Raster to enlarge", "All its good bands are super-resolved.")
        self.add_choice(
            self.FACTOR, "Factor", tuple(str(factor) for factor in FACTORS), "How many times as many rows and columns."
        )
        self.add_choice(
            self.PSF,
            "Point spread function",
            PSFS,
            "How the sensor made the input from a finer image: bicubic, gaussian (see its sigma) or lanczos.",
        )
        self.add(
            QgsProcessingParameterNumber(
                self.PSF_SIGMA,
                self.tr("Sigma of the Gaussian (output pixels)"),
                QgsProcessingParameterNumber.Type.Double,
                optional=True,
                minValue=0.01,
            ),
            "For PSF gaussian, at least 0.01. Leave empty for half a pixel of the input.",
            advanced=True,
        )
        self.add_raster(
            self.GUIDE,
            "Guide: a finer raster of the same place",
            "For METHOD best and fast: a panchromatic band, or another sensor with smaller pixels. Any overlapping "
            "grid; it is warped onto the output.",
            optional=True,
        )
        self.add_computing()
        self.add_outputs("Super-resolved")

    def add_method(self) -> None:
        """Add the method, and the model that one of them needs."""
        super().add_method()
        self.add(
            QgsProcessingParameterFile(
                self.MODEL, self.tr("Model for paper_cascade"), extension="safetensors", optional=True
            ),
            "A model that 'Train super-resolver' made for the same bands and factor.",
        )

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> SuperResolveJob:
        """The super-resolution job."""
        model = self.parameterAsFile(parameters, self.MODEL, context)
        sigma = None
        if given(parameters, self.PSF_SIGMA):
            sigma = self.parameterAsDouble(parameters, self.PSF_SIGMA, context)
        return SuperResolveJob(
            input=self.path(self.INPUT) or "",
            outputs=outputs,
            factor=int(self.parameterAsEnumString(parameters, self.FACTOR, context)),
            psf=self.parameterAsEnumString(parameters, self.PSF, context),
            psf_sigma=sigma,
            guide=self.path(self.GUIDE),
            model=os.path.abspath(model) if model else None,  # the worker runs in another folder
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            compute=self.compute(parameters, context),
        )
