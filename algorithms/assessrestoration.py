"""Assess restoration: compares a restored raster with its reference."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ..dip_core.job import AssessJob
from ..dip_core.job_fields import Outputs
from .algorithm import CSV_FILES, HTML_FILES
from .engine_algorithm import EngineAlgorithm

NUMBERS = {
    "RMSE": "Root mean square error",
    "BIAS": "Bias",
    "R2": "Coefficient of determination",
    "PEARSON_R2": "Squared correlation",
    "PSNR": "Peak signal-to-noise ratio (dB)",
    "MPSNR": "Mean over bands of the peak signal-to-noise ratio (dB)",
    "MSSIM": "Mean over bands of the structural similarity",
    "SAM": "Spectral angle (degrees)",
    "ERGAS": "Relative dimensionless global error",
}


class AssessRestoration(EngineAlgorithm):
    """Error and similarity measures, per band and in total."""

    NAME = "assessrestoration"
    LABEL = "Assess restoration"
    GROUP = ("validation", "Validation")
    SUMMARY = "Compares a restored raster with its reference, band by band, everywhere or inside a mask."
    TAGS = ("validation", "rmse", "psnr", "ssim", "sam", "ergas", "accuracy", "compare")
    HELP = """
<p><b>Inputs.</b> The restored raster and its reference, with the same grid and the same number of bands. With a mask,
only pixels where it is not 0 count. Use the output <i>Changed pixels</i> of the restoration as the mask: pixels that
were never missing make any method look good.</p>
<p><b>Outputs.</b> Numbers for the pixels inside the mask (RMSE, bias, R², PSNR, structural similarity, spectral angle,
ERGAS). Optional: a report with images, and a table with one row per band.</p>
"""
    RESTORED = "RESTORED"
    REFERENCE = "REFERENCE"
    MASK = "MASK"
    REPORT = "REPORT"
    METRICS = "METRICS"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_raster(self.RESTORED, "Restored raster", "The raster to assess.")
        self.add_raster(self.REFERENCE, "Reference raster", "The true values, on the same grid.")
        self.add_raster(
            self.MASK, "Mask", "Only pixels that are not 0 count. Leave empty for all pixels.", optional=True
        )
        self.add_nodata()
        self.add_file_output(self.REPORT, "Report", HTML_FILES, "The comparison, with images.")
        self.add_file_output(self.METRICS, "Metrics table", CSV_FILES, "The comparison, with one row per band.")
        self.add_number_outputs(NUMBERS)

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> AssessJob:
        """The comparison job."""
        return AssessJob(
            restored=self.paths(self.RESTORED)[0],
            reference=self.paths(self.REFERENCE)[0],
            outputs=outputs,
            mask=self.path(self.MASK),
            nodata=self.nodata(parameters, context),
        )
