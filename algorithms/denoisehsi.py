"""Denoise HSI: removes noise from a hyperspectral or multispectral raster, all good bands at once."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterNumber

from ..dip_core.job import DENOISE_METHODS, NOISES, DenoiseJob, Outputs
from .base import given
from .restorer import Restorer


class DenoiseHsi(Restorer):
    """Denoising with bad bands and unobserved pixels left bit for bit as they were."""

    NAME = "denoisehsi"
    LABEL = "Denoise HSI"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Removes noise from a hyperspectral or multispectral raster, all good bands at once."
    TAGS = ("denoise", "noise", "hyperspectral", "enmap", "prisma", "hyperion", "aviris", "deep image prior", "snr")
    RESULT_WORD = "denoised"
    HELP = """
<p>Bad bands (<code>bbl</code> 0), empty bands and unobserved pixels pass through bit for bit. Type, nodata, scale, CRS,
georeference, wavelengths and band metadata are kept.</p>
<p><b>How it works.</b> The noise level of each band is what the other bands do not predict. Divided by it, the spectra
have a few directions that hold signal; the images along these are denoised and put together again.</p>
<p><b>Methods.</b> <i>best</i>: non-local ridge with two patch sizes and, where that takes some seconds only (small
scenes, or a GPU), a small deep prior; mixed by what held-out values say. <i>fast</i>: non-local ridge alone,
which denoises patches that look alike together; no network.
<i>deep_prior</i>: the small network alone. <i>paper_2d</i>, <i>paper_3d</i>: the
deep hyperspectral prior as published, with its 1800 and 3000 iterations; slow without a GPU. <i>paper_3d</i> convolves
along the bands too and needs at least two of them.</p>
<p><b>How good is it?</b> A part of the values is held out and predicted. The report tells the error against the
noise-free scene that they reveal, band by band, beside what a truncation to principal components makes of the same
values; and the noise level of each band, which is worth a look in itself.</p>
"""
    METHODS = DENOISE_METHODS
    METHOD_TOOLTIP = (
        "best: validated mixture. fast: non-local ridge, no network. deep_prior: the small network alone. "
        "paper_2d, paper_3d: as published; slow without a GPU."
    )

    NOISE = "NOISE"
    SIGMA = "SIGMA"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Noisy raster", "All its good bands are denoised.")
        self.add_computing()
        self.add_choice(
            self.NOISE,
            "Noise",
            NOISES,
            "auto: values that were cut off at a lowest or highest one are found and allowed for. gaussian: none were. "
            "mixed: impulses, dead pixels and lines, and stripes are found too and replaced.",
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber(
                self.SIGMA,
                self.tr("Noise level (standard deviation, in the data's units)"),
                QgsProcessingParameterNumber.Type.Double,
                optional=True,
                minValue=0,
            ),
            "The same for all bands. Leave empty to estimate the level of each band.",
            advanced=True,
        )
        self.add_outputs("Denoised")

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> DenoiseJob:
        """The denoising job."""
        sigma = None
        if given(parameters, self.SIGMA):
            sigma = self.parameterAsDouble(parameters, self.SIGMA, context)
        return DenoiseJob(
            input=self.path(self.INPUT) or "",
            outputs=outputs,
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            noise=self.parameterAsEnumString(parameters, self.NOISE, context),
            sigma=sigma,
            compute=self.compute(parameters, context),
        )
