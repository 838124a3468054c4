"""The values of ``METHOD``, each with the description that the tooltip and the help show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MethodOptions:
    """The methods of one algorithm: descriptions by ``METHOD`` value; the first value is the default."""

    descriptions: Mapping[str, str]

    @property
    def values(self) -> tuple[str, ...]:
        """The ``METHOD`` values, in the order of the dialog."""
        return tuple(self.descriptions)

    @property
    def tooltip(self) -> str:
        """All descriptions as plain text."""
        return " ".join(f"{value}: {text}." for value, text in self.descriptions.items())

    @property
    def html(self) -> str:
        """All descriptions as HTML, one per line; a list would be indented too far for the narrow help panel."""
        lines = "".join(f"<br><i>{value}</i>: {text}." for value, text in self.descriptions.items())
        return f"<p><b>Methods.</b>{lines}</p>"


DEEP_PRIOR = "a small deep image prior alone, an untrained network that is fitted to this raster"

GAP_FILLING = {
    "best": "combines kriging, biharmonic interpolation, plug-and-play (which carries the scene's own texture into the "
    "gaps) and a small deep image prior; the weights are validated on hidden pixels",
    "fast": "the best single interpolator, selected on hidden pixels; no network",
    "deep_prior": DEEP_PRIOR,
}
"""Shared by the algorithms that fill gaps."""


def paper_descriptions(iterations_2d: str, iterations_3d: str = "") -> dict[str, str]:
    """The two networks of the deep hyperspectral prior; ``iterations_3d`` only if it differs."""
    with_iterations = f" with {iterations_3d} iterations" if iterations_3d else ""
    return {
        "paper_2d": f"the 2-D deep hyperspectral prior as published, with {iterations_2d} iterations; "
        "slow without a GPU",
        "paper_3d": f"its 3-D version{with_iterations}, which also convolves along the bands; "
        "needs at least two bands; slow without a GPU",
    }
