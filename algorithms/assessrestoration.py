"""Assess restoration: compares a restored raster with its reference."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingOutputNumber

from ..dip_core.job import AssessJob, Outputs
from .base import EngineAlgorithm

NUMBERS = {
    "RMSE": "Root mean square error",
    "BIAS": "Bias",
    "R2": "Coefficient of determination",
    "PEARSON_R2": "Squared correlation",
    "PSNR": "Peak signal-to-noise ratio (dB)",
    "MPSNR": "Mean PSNR over bands (dB)",
    "MSSIM": "Mean structural similarity over bands",
    "SAM": "Spectral angle (degrees)",
    "ERGAS": "Relative dimensionless global error",
}


class AssessRestoration(EngineAlgorithm):
    """Errors and similarity, band by band and in total."""

    NAME = "assessrestoration"
    LABEL = "Assess restoration"
    GROUP = ("validation", "Validation")
    SUMMARY = "Compares a restored raster with a reference, band by band, everywhere or inside a mask."
    TAGS = ("validation", "rmse", "psnr", "ssim", "sam", "ergas", "accuracy", "compare")
    HELP = """
<p>Both rasters must lie on one grid and have the same bands. With a mask, the numbers are those of the pixels where it
is not 0: give the "Changed pixels" layer of a restorer to judge only what was filled, because pixels that were
never missing make any method look good.</p>
"""
    RESTORED = "RESTORED"
    REFERENCE = "REFERENCE"
    MASK = "MASK"
    REPORT = "REPORT"
    METRICS = "METRICS"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        self.add_raster(self.RESTORED, "Restored raster", "The raster to judge.")
        self.add_raster(self.REFERENCE, "Reference raster", "The truth, on the same grid.")
        self.add_raster(self.MASK, "Mask", "Pixels that are not 0 count. Leave empty for all pixels.", optional=True)
        self.add_file_output(self.REPORT, "Report", "HTML files (*.html)", "The comparison, with pictures.")
        self.add_file_output(self.METRICS, "Metrics table", "CSV files (*.csv)", "The comparison: a row for each band.")
        for name, text in NUMBERS.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(text)))

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> AssessJob:
        """The comparison job."""
        return AssessJob(
            restored=self.paths(self.RESTORED)[0],
            reference=self.paths(self.REFERENCE)[0],
            outputs=outputs,
            mask=self.path(self.MASK),
        )
