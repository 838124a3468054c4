"""The signature that all gap experts share: ``estimate(observation, context) -> Cube``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...runtime.progress import SILENT, ProgressReporter

if TYPE_CHECKING:
    import torch

    from ...arrays import Cube
    from ...imaging.observation import Observation


@dataclass(frozen=True)
class ExpertContext:
    """How an expert runs; each expert uses the fields that it needs.

    ``device``: for experts that compute with torch, None for the CPU. ``network_input``: ``noise`` or ``meshgrid``.
    ``iterations``: of a network's fit, None for the number in the preset. ``start``: the estimate of the expert that
    this one starts from, None to compute it. ``progress``: receives the completed fraction and can end an iterative
    expert early.
    """

    seed: int = 0
    device: torch.device | None = None
    network_input: str = "noise"
    iterations: int | None = None
    start: Cube | None = None
    progress: ProgressReporter = SILENT


DEFAULT_CONTEXT = ExpertContext()


class GapExpertFunction(Protocol):
    """A function that fills the target pixels of an observation."""

    def __call__(self, observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
        """The estimate ``(band, row, column)``: observed pixels unchanged, every target pixel filled, 0 elsewhere."""
