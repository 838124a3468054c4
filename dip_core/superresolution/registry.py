"""The super-resolution experts and the METHODs that combine them, one record each.

To add an expert, write a function with the signature of `EnlargementExpertFunction` and add its record here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from ..arrays import Cube
from ..runtime.lazy_import import import_object
from ..runtime.progress import ProgressReporter

if TYPE_CHECKING:
    from .window import CoarseWindow

CONSISTENCY_MARGIN = 12  # coarse pixels around a pixel that its back-projection depends on
CASCADE_RADIUS = 42  # fine pixels around a pixel that the cascade's output depends on
COMBINED, BASELINE = "mixture", "bicubic"  # names of the weighted mean and of the baseline among the scores


class EnlargementExpertFunction(Protocol):
    """A function that enlarges a window."""

    def __call__(self, window: CoarseWindow, seed: int, progress: ProgressReporter) -> Cube:
        """Return the fine image ``(band, row, column)`` in the data's units, consistent with the window.

        ``progress`` can stop networks early.
        """


@dataclass(frozen=True)
class EnlargementExpert:
    """What the package knows about an expert.

    ``label``: its name in reports. ``load``: ``module:function`` in this package; imported when the expert runs.
    ``needs_guide``, ``needs_model``, ``needs_statistics``: what it uses. ``fits_network``: it fits the network of the
    preset with its name, in each tile; `dip.cost` gives its cost.

    ``gain_order``: 0: validation may give it any weight; otherwise it gets a weight only if that lowers the error by
    1 %, and lower orders are tried first. ``default_weight``: relative weight without validation. ``radius``: fine
    pixels around a pixel that its estimate depends on, if they exceed the margin of back-projection.
    ``max_validation_windows``: of a scene.
    """

    name: str
    label: str
    load: str
    needs_guide: bool = False
    needs_model: bool = False
    needs_statistics: bool = False
    fits_network: bool = False
    gain_order: int = 0
    default_weight: float = 0.0
    radius: int = 0
    max_validation_windows: int = 4

    def function(self) -> EnlargementExpertFunction:
        """Import the expert."""
        return cast(EnlargementExpertFunction, import_object(self.load, __package__))

    def margin(self, factor: int) -> int:
        """Coarse pixels around a tile that its estimate needs; networks that are fitted to a tile use none."""
        if self.fits_network:
            return 0
        return -(-self.radius // factor) if self.radius else CONSISTENCY_MARGIN


def _network(name: str, label: str) -> EnlargementExpert:
    load = f"network_experts:{name}"
    return EnlargementExpert(name, label, load, fits_network=True, gain_order=2, max_validation_windows=1)


ENLARGEMENT_EXPERTS = {
    record.name: record
    for record in (
        EnlargementExpert(
            "back_projection",
            "Bicubic interpolation and back-projection",
            "experts:back_projection",
            needs_statistics=True,
        ),
        EnlargementExpert(
            "vectorial_tv",
            "Vectorial total variation",
            "experts:vectorial_tv",
            needs_statistics=True,
            default_weight=0.5,
        ),
        EnlargementExpert(
            "steered_ridge",
            "Steered ridge (self-supervised)",
            "experts:steered_ridge",
            needs_statistics=True,
            default_weight=0.5,
        ),
        # A guide that lowers the error by less than 1 % does so by chance.
        EnlargementExpert(
            "guided",
            "Fusion with the guide",
            "experts:guided",
            needs_guide=True,
            needs_statistics=True,
            gain_order=1,
        ),
        # Networks are slow, and those trained on the image have less to learn from at the coarser scale.
        _network("deep_prior", "Deep prior"),
        _network("paper_2d", "Deep hyperspectral prior, 2-D (DHP paper)"),
        _network("paper_3d", "Deep hyperspectral prior, 3-D (DHP paper)"),
        EnlargementExpert(
            "paper_cascade",
            "Residual cascade (CASCADE paper)",
            "network_experts:paper_cascade",
            needs_model=True,
            gain_order=2,
            radius=CASCADE_RADIUS,
            max_validation_windows=1,
        ),
    )
}
_OTHER_LABELS = {COMBINED: "Weighted mean", BASELINE: "Bicubic interpolation (baseline)"}


def label(name: str) -> str:
    """The name of an expert, of the weighted mean or of the baseline in reports."""
    return _OTHER_LABELS.get(name) or ENLARGEMENT_EXPERTS[name].label


def default_weights(names: Sequence[str]) -> dict[str, float]:
    """Weights of the experts without validation: the default ones, or equal ones if none has a default."""
    weights = {name: ENLARGEMENT_EXPERTS[name].default_weight for name in names}
    if not any(weights.values()):
        weights = dict.fromkeys(names, 1.0)
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


@dataclass(frozen=True)
class EnlargeMethod:
    """A METHOD: its experts, and those that join them if the job has a guide."""

    name: str
    experts: tuple[str, ...]
    with_guide: tuple[str, ...] = ()

    @property
    def needs_model(self) -> bool:
        """Whether an expert uses the job's MODEL."""
        return any(ENLARGEMENT_EXPERTS[name].needs_model for name in self.experts)


_WITHOUT_NETWORK = ("back_projection", "vectorial_tv", "steered_ridge")
ENLARGEMENT_METHODS = {
    method.name: method
    for method in (
        EnlargeMethod("best", (*_WITHOUT_NETWORK, "deep_prior"), with_guide=("guided",)),
        EnlargeMethod("fast", _WITHOUT_NETWORK, with_guide=("guided",)),
        EnlargeMethod("deep_prior", ("deep_prior",)),
        EnlargeMethod("paper_2d", ("paper_2d",)),
        EnlargeMethod("paper_3d", ("paper_3d",)),
        EnlargeMethod("paper_cascade", ("paper_cascade",)),
    )
}
