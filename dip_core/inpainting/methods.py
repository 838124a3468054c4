"""The METHODs of gap filling and stripe inpainting, one record each."""

from __future__ import annotations

from dataclasses import dataclass

from ..restoration_jobs import GapFillJob, InpaintStripesJob
from .experts.registry import GAP_EXPERTS, gap_expert_names


@dataclass(frozen=True)
class ValidationScheme:
    """How much of a scene is validated; the defaults are one window of a tile's size, once.

    ``windows``, ``window_side`` (pixels, None: a tile's): of large scenes; many small windows represent a scene better
    than few large ones of the same area. ``max_whole_pixels``: of a scene that is validated as a whole (None: 1.5
    windows). Rounds are repeated until ``hidden_pixels`` were hidden, from ``min_rounds`` to ``max_rounds`` times, with
    several windows once or twice.
    """

    windows: int = 1
    window_side: int | None = None
    max_whole_pixels: int | None = None
    hidden_pixels: int = 0
    min_rounds: int = 1
    max_rounds: int = 1


@dataclass(frozen=True)
class FillMethod:
    """A METHOD of one or both tasks.

    ``experts``: the gap experts that are candidates, where guide and scene suit them. ``affordable_experts``: further
    candidates, if their cost on this scene is low enough. ``stack``: stacks of the experts are candidates too.
    ``common_scale``: all bands are scaled by a common mean and deviation, as the DHP paper scales the whole cube.
    """

    name: str
    tasks: tuple[str, ...]
    experts: tuple[str, ...]
    affordable_experts: tuple[str, ...] = ()
    stack: bool = False
    common_scale: bool = False
    validation: ValidationScheme = ValidationScheme()

    @property
    def fits_networks(self) -> bool:
        """Whether each tile is the fit of a network, which sets the size of the tiles."""
        return any(GAP_EXPERTS[name].network for name in self.experts)

    @property
    def uses_guide(self) -> bool:
        """Whether a guide helps."""
        return any(GAP_EXPERTS[name].needs_guide for name in self.experts)

    @property
    def published(self) -> bool:
        """Whether the METHOD is a paper's."""
        return any(GAP_EXPERTS[name].published for name in self.experts)


_GAPS, _STRIPES = GapFillJob.task, InpaintStripesJob.task
_WINDOW_SIDE = 256
_MAX_WHOLE_PIXELS = 221_000  # about 470 x 470

FILL_METHODS = {
    method.name: method
    for method in (
        FillMethod(
            "best",
            (_GAPS, _STRIPES),
            gap_expert_names(network=False),
            affordable_experts=("deep_prior",),
            stack=True,
            validation=ValidationScheme(12, _WINDOW_SIDE, _MAX_WHOLE_PIXELS, 30_000, 3, 9),
        ),
        FillMethod(
            "fast",
            (_GAPS, _STRIPES),
            gap_expert_names(network=False, needs_device=False),
            validation=ValidationScheme(8, _WINDOW_SIDE, _MAX_WHOLE_PIXELS, 3_000, 1, 3),
        ),
        FillMethod("deep_prior", (_GAPS, _STRIPES), ("deep_prior",)),
        FillMethod("paper_composite", (_GAPS,), ("paper_composite",)),
        FillMethod("paper_per_band", (_GAPS,), ("paper_per_band",)),
        FillMethod("paper_2d", (_STRIPES,), ("paper_2d",), common_scale=True),
        FillMethod("paper_3d", (_STRIPES,), ("paper_3d",), common_scale=True),
    )
}


def method_names(task: str) -> tuple[str, ...]:
    """The METHODs of a task, in the order of the interface."""
    return tuple(method.name for method in FILL_METHODS.values() if task in method.tasks)
