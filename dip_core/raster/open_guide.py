"""Opening the guide of a job: looks for its missing codes and reports every assumption about its data."""

from __future__ import annotations

from ..runtime.context import Context
from .guide import Guide
from .scene import Scene
from .untagged_codes import find_untagged_codes


def open_guide(path: str | None, method: str, uses_guide: bool, scene: Scene, context: Context) -> Guide | None:
    """Open a job's guide; None, with a warning, if it cannot help.

    ``uses_guide``: whether the METHOD ``method`` uses guides. Raises the errors of `Guide`.
    """
    if not path:
        return None
    if not uses_guide:
        context.warn(f"METHOD {method} uses no guide: GUIDE has no effect.")
        return None
    codes = _find_codes(path, context)
    guide = Guide(path, scene, codes)
    for text in guide.notes:
        context.warn(text)
    if not guide.coverage:
        context.warn(f"GUIDE '{path}' does not overlap the scene and is not used.")
        guide.__exit__()
        return None
    context.info(f"The guide covers {100 * guide.coverage:.0f} % of the raster.")
    return guide


def _find_codes(path: str, context: Context) -> dict[int, tuple[float, ...]]:
    """The undeclared missing codes of the guide, by band index (from 1)."""
    with Scene([path]) as guide:
        found = find_untagged_codes(guide)
    if found.shares:
        listed = ", ".join(f"{value:.10g} ({100 * share:.3g} %)" for value, share in sorted(found.shares.items()))
        context.warn(
            f"Values that GUIDE '{path}' does not declare as nodata are taken as missing, because they repeat far from "
            f"all others: {listed} of its values."
        )
    return {guide.bands[number].index: values for number, values in found.codes.items()}
