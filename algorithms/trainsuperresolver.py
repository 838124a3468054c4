"""Train super-resolver: trains the residual cascade on the user's own rasters."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessing, QgsProcessingContext, QgsProcessingFeedback

from ..dip_core.job import TrainJob
from ..dip_core.job_fields import Outputs
from ..dip_core.restoration_jobs import FACTORS
from .compute_algorithm import ComputeAlgorithm

NUMBERS = {
    "PSNR": "PSNR on the validation patches (dB)",
    "BICUBIC_PSNR": "PSNR of bicubic interpolation on the same patches (dB)",
    "SAM": "Mean spectral angle on the validation patches (degrees)",
    "BICUBIC_SAM": "Mean spectral angle of bicubic interpolation on the same patches (degrees)",
}


class TrainSuperResolver(ComputeAlgorithm):
    """Training of the published cascade; writes a model file."""

    NAME = "trainsuperresolver"
    LABEL = "Train super-resolver"
    GROUP = ("superresolution", "Super-resolution")
    SUMMARY = "Trains a deep residual network on your own rasters, so that it can enlarge similar ones."
    TAGS = ("super-resolution", "training", "deep learning", "cascade", "hyperspectral", "model")
    HELP = """
<p>The rasters are downsampled, and the network learns to undo that. It consists of six residual sub-networks in a row,
as published, supervised after the third and the sixth.</p>
<p><b>Inputs.</b> Rasters with the same good bands. Bad bands (<code>bbl</code> 0) and empty bands are not used, and
patches with missing pixels are left out.</p>
<p><b>Output.</b> A safetensors file, which contains no executable code. It records the bands, wavelengths and factor of
the training; <i>Super-resolve</i> rejects it if bands or factor differ from those of the raster.</p>
<p><b>Duration.</b> The complete training takes hours on a GPU and days on a CPU. With a time budget, it stops earlier
with the best weights so far. A training that was cancelled, or whose time budget ended, continues when you start it
again with the same parameters; its state is in a checkpoint file next to the model until the training is complete.</p>
<p><b>How good is the model?</b> About a tenth of the patches, at one end of each raster, is kept for validation. PSNR
and spectral angle of the model and of bicubic interpolation on these patches are reported and stored in the model.</p>
"""
    INPUTS = "INPUTS"
    FACTOR = "FACTOR"
    MODEL = "MODEL"

    TIME_BUDGET_TOOLTIP = (
        "At least 1 s. Training stops after this time with the best weights so far. Leave empty to train to the end."
    )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_rasters(
            self.INPUTS,
            "Training rasters",
            "Rasters with the same good bands, at full resolution. Larger and more varied rasters are better.",
            optional=False,
        )
        self.add_choice(
            self.FACTOR, "Factor", tuple(map(str, FACTORS)), "How many times the model will enlarge a raster."
        )
        self.add_compute_parameters()
        self.add_nodata()
        self.add_file_output(
            self.MODEL,
            "Model",
            "Deep Prior models (*.safetensors)",
            "The trained model, for the parameter MODEL of 'Super-resolve'. Choose a file: a temporary file is lost "
            "when QGIS closes.",
            optional=False,
        )
        self.add_number_outputs(NUMBERS)

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read the input rasters, and warn if the model would be lost."""
        target = parameters.get(self.MODEL)
        sink = getattr(target, "sink", None)  # the dialog gives an output definition instead of a path
        if (target if sink is None else sink.staticValue()) == QgsProcessing.TEMPORARY_OUTPUT:
            feedback.pushWarning(
                self.tr(
                    "The model is written to a temporary file, which is lost when QGIS closes, and its training cannot "
                    "be continued. Choose a MODEL file to keep it."
                )
            )
        return super().prepareAlgorithm(parameters, context, feedback)

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> TrainJob:
        """The training job."""
        return TrainJob(
            inputs=self.paths(self.INPUTS),
            outputs=outputs,
            factor=int(self.parameterAsEnumString(parameters, self.FACTOR, context)),
            compute=self.compute(parameters, context),
            nodata=self.nodata(parameters, context),
        )
