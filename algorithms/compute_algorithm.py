"""Base class of the algorithms with a compute device, a time budget and a seed."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterString

from ..dip_core.job_fields import Compute
from .engine_algorithm import EngineAlgorithm

DEVICES = ("auto", "cpu", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "mps")
DEVICE_TOOLTIP = (
    "auto: the first NVIDIA GPU, else the Apple GPU, else the CPU. cpu: the CPU. cuda:N: the NVIDIA GPU with number N, "
    "from 0. mps: the Apple GPU. "
    "Action 'test' of 'Set up the restoration engine' lists the devices of this computer."
)


class ComputeAlgorithm(EngineAlgorithm):
    """Adds ``DEVICE``, ``TIME_BUDGET`` and ``SEED``."""

    DEVICE = "DEVICE"
    SEED = "SEED"
    TIME_BUDGET = "TIME_BUDGET"

    TIME_BUDGET_TOOLTIP = ""

    def add_compute_parameters(self) -> None:
        """Add device, time budget and seed."""
        device = QgsProcessingParameterString(self.DEVICE, self.tr("Compute device"), "auto")
        # A list to choose from, in versions of QGIS that support it; scripts may use any cuda:N.
        device.setMetadata({"widget_wrapper": {"value_hints": list(DEVICES)}})
        self.add(device, DEVICE_TOOLTIP)
        self.add_number(self.TIME_BUDGET, "Time budget (seconds)", self.TIME_BUDGET_TOOLTIP, minValue=1)
        self.add_seed(
            self.SEED,
            "Start of the random numbers. The same seed on the same device gives the same output.",
            advanced=True,
        )

    def compute(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Compute:
        """The compute options of a job; raises InvalidJob."""
        return Compute(
            device=self.parameterAsString(parameters, self.DEVICE, context).strip() or "auto",
            seed=self.parameterAsInt(parameters, self.SEED, context),
            time_budget=self.optional_number(parameters, self.TIME_BUDGET, context),
        )
