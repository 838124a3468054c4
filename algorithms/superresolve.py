"""Super-resolve: enlarges a raster two to four times, consistent with the input."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterFile

from ..dip_core.job_fields import Outputs
from ..dip_core.restoration_jobs import FACTORS, PSFS, SuperResolveJob
from .methods import MethodOptions, paper_descriptions
from .restorer import Restorer


class SuperResolve(Restorer):
    """Super-resolution whose result, downsampled, equals the input."""

    NAME = "superresolve"
    LABEL = "Super-resolve"
    GROUP = ("superresolution", "Super-resolution")
    SUMMARY = "Enlarges a hyperspectral or multispectral raster two, three or four times."
    TAGS = ("super-resolution", "enlarge", "upsample", "sharpen", "resolution", "deep prior", "hyperspectral")
    RESULT_SUFFIX = "super-resolved"
    HELP = """
<p>The result has the same extent, and pixels that are smaller by the factor. Downsampled by the point spread function,
it equals the input, so no detail contradicts the measurement. Missing pixels stay missing. Bad bands (<code>bbl</code>
0), empty bands and constant bands are enlarged by repeating their pixels.</p>
<p><b>Inputs.</b> The raster, and optionally a guide, which is a finer raster of the same place, such as a panchromatic
band. <i>fast</i> and <i>best</i> add the detail that the guide shares with the bands of the input; its weight is
selected by the validation.</p>
<p><b>Point spread function.</b> How the sensor made the input from a finer image. <i>bicubic</i>: a good choice if
nothing is known. <i>gaussian</i>: a Gaussian with a standard deviation in pixels of the output, by default half a pixel
of the input. <i>lanczos</i>: as in the code of the deep hyperspectral prior's authors.</p>
"""
    VALIDATION_HELP = """
<p><b>How good is the result?</b> The input is downsampled once more, enlarged again, and compared with itself. The
report shows the error next to that of bicubic interpolation on the same pixels.</p>
"""
    METHODS = MethodOptions(
        {
            "best": "as fast, with deep_prior as a further candidate if the image is small enough",
            "fast": "combines back-projected interpolation, vectorial total variation, and filters learned from the "
            "image's own downsampled copy; the weights are validated; no network",
            "deep_prior": "a small untrained network that is fitted to the residual of the interpolation",
            **paper_descriptions("more than 10,000"),
            "paper_cascade": "the trained residual cascade; needs a model made by 'Train super-resolver'",
        }
    )

    FACTOR = "FACTOR"
    PSF = "PSF"
    PSF_SIGMA = "PSF_SIGMA"
    GUIDE = "GUIDE"
    MODEL = "MODEL"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Raster to enlarge", "All its good bands are super-resolved.")
        self.add_choice(
            self.FACTOR, "Factor", tuple(map(str, FACTORS)), "How many times as many rows and columns the output has."
        )
        self.add_choice(
            self.PSF,
            "Point spread function",
            PSFS,
            "How the sensor made the input from a finer image: bicubic, gaussian (with the sigma below) or lanczos.",
        )
        self.add_number(
            self.PSF_SIGMA,
            "Sigma of the Gaussian (output pixels)",
            "For the point spread function gaussian: 0.01 to 8 times the factor. Leave empty for half a pixel of the "
            "input.",
            advanced=True,
            minValue=0.01,
        )
        self.add_raster(
            self.GUIDE,
            "Guide: a finer raster of the same place",
            "For METHOD best and fast: a panchromatic band, or an image of another sensor with smaller pixels, on any "
            "overlapping grid. It is warped onto the output.",
            optional=True,
        )
        self.add_restorer_parameters()
        self.add_restorer_outputs("Super-resolved")

    def add_method(self) -> None:
        """Add the method, and the model for ``paper_cascade``."""
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
        return SuperResolveJob(
            input=self.path(self.INPUT) or "",
            outputs=outputs,
            factor=int(self.parameterAsEnumString(parameters, self.FACTOR, context)),
            psf=self.parameterAsEnumString(parameters, self.PSF, context),
            psf_sigma=self.optional_number(parameters, self.PSF_SIGMA, context),
            guide=self.path(self.GUIDE),
            model=os.path.abspath(model) if model else None,  # the worker runs in another folder
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            compute=self.compute(parameters, context),
            nodata=self.nodata(parameters, context),
        )
