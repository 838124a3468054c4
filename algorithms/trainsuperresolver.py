"""Train super-resolver: teaches the residual cascade to sharpen rasters like the user's own."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessing, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingOutputNumber

from ..dip_core.job import FACTORS, Outputs, TrainJob
from .restorer import Computing

NUMBERS = {
    "PSNR": "PSNR on the validation patches (dB)",
    "BICUBIC_PSNR": "PSNR of bicubic interpolation on the same patches (dB)",
    "SAM": "Mean spectral angle on the validation patches (degrees)",
    "BICUBIC_SAM": "Mean spectral angle of bicubic interpolation on the same patches (degrees)",
}


class TrainSuperResolver(Computing):
    """Training of the published cascade on the user's rasters, with a model file as its result."""

    NAME = "trainsuperresolver"
    LABEL = "Train super-resolver"
    GROUP = ("superresolution", "Super-resolution")
    SUMMARY = "Trains a deep residual network on rasters of yours to enlarge others like them."
    TAGS = ("super-resolution", "training", "deep learning", "cascade", "hyperspectral", "model")
    HELP = """
<p>The rasters are made coarse on purpose, and the network learns to bring them back: six residual sub-networks in a
row, as published, supervised after the third and the sixth. All rasters must have the same good bands; bad bands
(<code>bbl</code> 0) and empty ones take no part, and patches with missing pixels are left out.</p>
<p><b>It takes long.</b> The published training runs until its learning rate has fallen five times: hours on a GPU, days
on a CPU. Give a time budget to stop earlier with the best weights so far. A training that was cancelled, or whose time
was spent, goes on where it stopped when it is started again with the same parameters; for that, a checkpoint file
stays beside the model until the training is complete.</p>
<p><b>How good is it?</b> About a tenth of the patches, at one end of each raster, is kept for validation. PSNR and
spectral angle of the model and of bicubic interpolation on them are told at the end, and stored in the model.</p>
<p>The model is a safetensors file, which can hold no program code. It says which bands, wavelengths and factor it is
for, and is refused where it does not fit.</p>
"""
    INPUTS = "INPUTS"
    FACTOR = "FACTOR"
    MODEL = "MODEL"

    BUDGET_TOOLTIP = (
        "Stop after this time, 1 s at least, with the best weights so far. Leave empty to train to the end."
    )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        self.add_rasters(
            self.INPUTS,
            "Rasters to learn from",
            "Rasters with the same good bands, at their full resolution; the larger and the more varied, the better.",
            optional=False,
        )
        self.add_choice(
            self.FACTOR, "Factor", tuple(str(factor) for factor in FACTORS), "How many times the model will enlarge."
        )
        self.add_device_budget_seed()
        self.add_file_output(
            self.MODEL,
            "Model",
            "Deep Prior models (*.safetensors)",
            "The trained model (safetensors), for the MODEL parameter of 'Super-resolve'. Choose a file: a temporary "
            "one is lost when QGIS closes.",
            optional=False,
        )
        for name, text in NUMBERS.items():
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(text)))

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """As for all algorithms; and a word in time where the model would be lost."""
        target = parameters.get(self.MODEL)
        sink = getattr(target, "sink", None)  # where the dialog says more of an output than its path
        if (target if sink is None else sink.staticValue()) == QgsProcessing.TEMPORARY_OUTPUT:
            feedback.pushWarning(
                self.tr(
                    "The model goes to a temporary file, which is lost when QGIS closes, and from which no training "
                    "can be continued. Choose a MODEL file to keep it."
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
        )
