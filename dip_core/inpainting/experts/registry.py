"""The gap experts, one record each.

To add a gap expert, write a function with the signature of `interface.GapExpertFunction` in a file of its own and add
its record here. METHOD ``best`` then uses it, and ``fast`` if it computes without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ...arrays import Cube
from ...imaging.observation import Observation
from ...runtime.lazy_import import import_object
from .interface import DEFAULT_CONTEXT, ExpertContext, GapExpertFunction


@dataclass(frozen=True)
class GapExpert:
    """What the package knows about a gap expert.

    ``label``: its name in reports. ``load``: ``module:function`` in this package; imported when the expert runs,
    because torch is slow to load.

    What it needs: ``needs_guide``: a guide. ``needs_device``: it computes with torch. ``network``: it fits the network
    of the preset with its name, whose cost and memory `dip.cost` estimates. ``uses_all_cores``: one window at a time
    keeps all cores busy. ``starts_from``: the expert whose estimate it takes as its start.

    Where it is a candidate: ``single_window_only``: not on scenes that are validated in several windows.
    ``in_stripes``: in stripe inpainting too.

    How it is weighted: ``published``: a paper's method. ``stacked``: False if it is only a candidate on its own.
    ``optional_in_stack``: the weights are fitted with and without it. ``variant_share``: its usual share in the summed
    weight of two variants of one method, to which fitted weights are shrunk.
    """

    name: str
    label: str
    load: str
    needs_guide: bool = False
    needs_device: bool = False
    network: bool = False
    uses_all_cores: bool = False
    starts_from: str | None = None
    single_window_only: bool = False
    in_stripes: bool = True
    published: bool = False
    stacked: bool = True
    optional_in_stack: bool = False
    variant_share: float | None = None

    def function(self) -> GapExpertFunction:
        """Import the expert."""
        return cast(GapExpertFunction, import_object(self.load, __package__))

    def estimate(self, observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
        """Run the expert; ``(band, row, column)``."""
        return self.function()(observation, context)


def _paper(name: str, label: str) -> GapExpert:
    return GapExpert(
        name,
        label,
        f"deep_prior:{name}",
        needs_device=True,
        network=True,
        uses_all_cores=True,
        published=True,
    )


GAP_EXPERTS = {
    record.name: record
    for record in (
        # What linear and harmonic interpolation add to a stack with kriging and biharmonic interpolation is chance.
        GapExpert("linear", "Linear interpolation", "linear:linear", stacked=False),
        GapExpert("harmonic", "Harmonic interpolation", "laplace:harmonic", stacked=False),
        GapExpert("biharmonic", "Biharmonic interpolation", "laplace:biharmonic"),
        GapExpert("kriging", "Kriging", "kriging:kriging"),
        # Validation cannot tell which of the two variants is better, because their errors are so similar.
        GapExpert(
            "plug_and_play",
            "Plug and play",
            "plug_and_play:plug_and_play",
            needs_device=True,
            starts_from="kriging",
            variant_share=0.7,
        ),
        # Validation overestimates small patches in stripes, and they are slow on large scenes.
        GapExpert(
            "plug_and_play_fine",
            "Plug and play (small patches)",
            "plug_and_play:plug_and_play_fine",
            needs_device=True,
            starts_from="kriging",
            single_window_only=True,
            in_stripes=False,
            variant_share=0.3,
        ),
        GapExpert(
            "guided",
            "Local regression on the guide",
            "guided:guided",
            needs_guide=True,
        ),
        GapExpert("similar", "Similar pixels of the guide", "similar_pixels:similar", needs_guide=True),
        GapExpert(
            "deep_prior",
            "Deep prior",
            "deep_prior:deep_prior",
            needs_device=True,
            network=True,
            optional_in_stack=True,
        ),
        _paper("paper_composite", "Deep image prior, composite (GAP paper)"),
        _paper("paper_per_band", "Deep image prior, band by band (GAP paper)"),
        _paper("paper_2d", "Deep hyperspectral prior, 2-D (DHP paper)"),
        _paper("paper_3d", "Deep hyperspectral prior, 3-D (DHP paper)"),
    )
}


def gap_expert_names(**properties: bool) -> tuple[str, ...]:
    """Names of the experts whose fields have these values, e.g. ``gap_expert_names(network=False)``, in order."""
    return tuple(
        record.name
        for record in GAP_EXPERTS.values()
        if all(getattr(record, name) == value for name, value in properties.items())
    )
