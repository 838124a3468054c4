"""Quality bands: the pixels of a scene that a quality band names as fill, cloud, shadow and so on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..errors import InvalidJob
from ..raster.code_band import CodeBand, read_code_band
from ..raster.scene import Scene
from ..runtime.context import Context
from .qa_codes import Layout
from .qa_kind import CodeCounts, layout_by_values, layout_of

_MAX_LISTED = 8
_FULL_COVERAGE = 0.9999


@dataclass(frozen=True)
class QaGaps:
    """What a quality band names, ``(row, column)``: ``gaps``, the pixels of the wanted classes; ``fill`` among them.

    ``text``: the layout and the classes, in words.
    """

    gaps: Mask
    fill: Mask
    text: str


def read_qa(scene: Scene, path: str, kind: str, classes: Sequence[str], valid: Mask, context: Context) -> QaGaps:
    """Read a quality band and find the pixels of the wanted classes; reports the layout and the number of pixels.

    ``kind``, ``classes``: as QA_KIND and QA_CLASSES. ``valid``: the scene's valid pixels ``(band, row, column)``. The
    band's own nodata counts as fill. Another grid is resampled to the scene's by the nearest pixel. Raises InvalidJob
    if the layout cannot be told, GridMismatch, UnreadableRaster.
    """
    band = read_code_band(path, scene.grid, scene.paths[0], _is_quality_name)
    observed: Mask = np.any(valid, axis=0)
    found = CodeCounts(
        np.unique(band.codes[band.meaningful]).astype(np.int64), band.dtype, _share_of_zeros(band, observed)
    )
    layout, reason = layout_of(kind, band.names, found)
    if layout is None:
        raise InvalidJob(
            reason=f"The kind of the quality band '{path}' cannot be told from its name or its values "
            f"({_listed(found.codes)}): set QA_KIND. A mask, in which one value marks gaps, is a GAP_MASK."
        )
    _warn_of_doubts(path, layout, reason, found, band, observed, context)
    named = _named(layout, band)
    gaps = np.logical_or.reduce([named[name] for name in classes if name in named], axis=0, initial=np.False_)
    gaps = np.broadcast_to(gaps, scene.grid.shape)
    counts = ", ".join(f"{name} {np.count_nonzero(named[name])}" for name in classes if name in named)
    context.info(
        f"QA '{path}' is read as {layout.title} (by {reason}). Pixels by class: {counts}; "
        f"{np.count_nonzero(gaps)} pixels are gaps by QA."
    )
    absent = [name for name in classes if name not in layout.fields]
    if absent:
        context.info(f"{layout.title} has no class {', '.join(absent)}.")
    text = f"{layout.title}: {', '.join(name for name in classes if name in layout.fields)}"
    return QaGaps(gaps, gaps & named["fill"], text)


def _named(layout: Layout, band: CodeBand) -> dict[str, Mask]:
    """By class of the layout: its pixels. Nodata is fill, unless its value is a code of observed pixels."""
    missing = ~band.meaningful & band.covered
    if layout.is_observed_code(band.nodata):
        missing &= band.codes != band.nodata
    codes = np.unique(band.codes)
    found = {}
    for name in layout.fields:
        members = codes[layout.named(name, codes)]
        found[name] = np.isin(band.codes, members) & band.covered & ~missing
    found["fill"] |= missing
    return found


def _share_of_zeros(band: CodeBand, observed: Mask) -> float:
    here = observed & band.covered
    return _share(here & (band.codes == 0), here)


def _warn_of_doubts(
    path: str,
    layout: Layout,
    reason: str,
    found: CodeCounts,
    band: CodeBand,
    observed: Mask,
    context: Context,
) -> None:
    by_values = layout_by_values(found)
    if by_values is not None and by_values.kind != layout.kind:
        context.warn(
            f"The codes of QA '{path}' look like {by_values.title}, but by {reason} they are read as {layout.title}."
        )
    elif reason == "its values":
        context.warn(f"QA '{path}' is taken for {layout.title} because of its values: set QA_KIND if it is not.")
    covered = _share(observed & band.covered, observed)
    if covered < _FULL_COVERAGE:
        context.warn(
            f"QA '{path}' covers {100 * covered:.1f} % of the scene's observed pixels; it names nothing elsewhere."
        )


def _share(part: Mask, whole: Mask) -> float:
    return int(np.count_nonzero(part)) / max(int(np.count_nonzero(whole)), 1)


def _is_quality_name(name: str) -> bool:
    counts = CodeCounts(np.zeros(0, np.int64), np.dtype(np.uint8))
    return layout_of("auto", [name], counts)[0] is not None


def _listed(codes: NDArray[np.int64]) -> str:
    shown = ", ".join(map(str, codes[:_MAX_LISTED]))
    return f"{shown}, ..." if len(codes) > _MAX_LISTED else shown or "none"
