"""Denoise HSI: removes noise from a hyperspectral or multispectral raster, in all good bands."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ..dip_core.job_fields import Outputs
from ..dip_core.restoration_jobs import NOISES, DenoiseJob
from .methods import DEEP_PRIOR, MethodOptions, paper_descriptions
from .restorer import Restorer


class DenoiseHsi(Restorer):
    """Denoising that returns bad bands and unobserved pixels bit for bit."""

    NAME = "denoisehsi"
    LABEL = "Denoise HSI"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Removes noise from a hyperspectral or multispectral raster, in all good bands."
    TAGS = ("denoise", "noise", "hyperspectral", "enmap", "prisma", "hyperion", "aviris", "deep image prior", "snr")
    RESULT_SUFFIX = "denoised"
    HELP = """
<p>Bad bands (<code>bbl</code> 0), empty bands and unobserved pixels are returned bit for bit.</p>
<p><b>Input.</b> A raster with all its bands, because each band is predicted from the others.</p>
<p><b>How it works.</b> Noise is estimated as the part of a band that the other bands cannot predict. The spectra are
scaled by it and reduced to the few spectral components that contain signal. The images of these components are denoised
and transformed back.</p>
"""
    VALIDATION_HELP = """
<p><b>How good is the result?</b> Part of the values is held out and predicted. The report gives the error with respect
to the noise-free scene, band by band, next to that of a truncation to principal components on the same values. It also
gives the noise level of each band.</p>
"""
    METHODS = MethodOptions(
        {
            "best": "combines the non-local ridge with two patch sizes and, on a GPU or for a small scene, a small "
            "deep image prior; the weights are validated on held-out values",
            "fast": "the non-local ridge alone, which denoises similar patches together; no network",
            "deep_prior": DEEP_PRIOR,
            **paper_descriptions("1800", "3000"),
        }
    )

    NOISE = "NOISE"
    SIGMA = "SIGMA"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Noisy raster", "The raster to denoise; all its good bands are denoised.")
        self.add_restorer_parameters()
        self.add_choice(
            self.NOISE,
            "Noise",
            NOISES,
            "auto: clipped values are detected and handled. gaussian: no values are clipped. mixed: as auto; impulses, "
            "dead pixels and lines, and stripes are also detected and replaced.",
            advanced=True,
        )
        self.add_number(
            self.SIGMA,
            "Noise level (standard deviation, in the data's units)",
            "Above 0, the same for all bands. Leave empty to estimate the noise level of each band.",
            advanced=True,
            minValue=0,
        )
        self.add_restorer_outputs("Denoised")

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> DenoiseJob:
        """The denoising job."""
        return DenoiseJob(
            input=self.path(self.INPUT) or "",
            outputs=outputs,
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            noise=self.parameterAsEnumString(parameters, self.NOISE, context),
            sigma=self.optional_number(parameters, self.SIGMA, context),
            compute=self.compute(parameters, context),
            nodata=self.nodata(parameters, context),
        )
