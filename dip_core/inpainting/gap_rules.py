"""Finds the gap mask of a scene: the rules by which missing pixels are gaps.

Missing pixels outside the footprint (the scene's exterior) are not filled unless the user asks for it. If gap mask
files are given, only the pixels that they mark are filled; other missing pixels, such as masked clouds, stay missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..arrays import Mask
from ..errors import NothingObserved
from ..raster.missing_values import can_hold, without_repeats
from ..raster.polygons import read_extent
from ..raster.scene import Scene
from ..restoration_jobs import DEFAULT_QA_CLASSES, QA_KINDS, GapFillJob
from ..runtime.context import Context
from ..runtime.memory import require_scene_memory
from .fill_limits import within_distance
from .footprint import footprint
from .gap_mask import GapMask, merge_equal_bands
from .mask_files import read_gap_masks
from .qa_mask import read_qa

_MOST_DATA = 0.5  # share of the data whose replacement is warned about

_BYTES_PER_VALUE = 4.0  # memory of the masks: valid, candidate, observed and target pixels
_BYTES_PER_PIXEL = 32.0  # memory of the footprint: labels and distances


@dataclass(frozen=True)
class GapRules:
    """What the user says about the gaps; the fields are those of `GapFillJob`."""

    masks: tuple[str, ...] = ()
    polarity: str = "auto"
    fill_exterior: bool = False
    qa: str | None = None
    qa_kind: str = QA_KINDS[0]
    qa_classes: tuple[str, ...] = DEFAULT_QA_CLASSES
    max_distance: float | None = None
    extent_mask: str | None = None

    @classmethod
    def of(cls, job: GapFillJob) -> GapRules:
        """The rules of a job."""
        return cls(
            job.gap_masks,
            job.mask_polarity,
            job.fill_exterior,
            qa=job.qa,
            qa_kind=job.qa_kind,
            qa_classes=job.qa_classes,
            max_distance=job.max_distance,
            extent_mask=job.extent_mask,
        )


@dataclass(frozen=True)
class _Marks:
    """Pixels by what marks them, ``(band, row, column)``.

    ``hidden``: ``(row, column)``, gaps that belong to the scene: pixels with data that a gap mask or QA marks, and
    those whose class in QA is not fill. ``origin``: in words.
    """

    observed: Mask
    candidates: Mask
    hidden: Mask
    origin: str


def find_gap_mask(scene: Scene, rules: GapRules | None = None, context: Context | None = None) -> GapMask:
    """The gap mask of a scene.

    Without gap mask files, the invalid pixels of the scene are gaps. Pixels that QA names are gaps too. With an extent
    mask, gaps are what is missing inside it, also outside the footprint. Raises NothingObserved, GridMismatch,
    BandCountMismatch, InvalidJob, UnreadableRaster, UnusableExtent, OutOfMemory.
    """
    rules = rules or GapRules()
    context = context or Context()
    require_scene_memory(scene.shape, _BYTES_PER_VALUE, _BYTES_PER_PIXEL, "gap detection")
    marks = _find_marks(scene, rules, context)
    observed, candidates, origin = marks.observed, marks.candidates, marks.origin
    empty = tuple(int(number) for number in np.flatnonzero(~observed.any(axis=(1, 2))))
    if len(empty) == scene.count:
        raise NothingObserved(path=scene.paths[0], reason=f"all pixels are missing according to its {origin}")
    for number in empty:
        context.warn(f"{scene.names[number]} has no observed pixel and is copied unchanged.")
    inside = np.ones(scene.grid.shape, bool)
    if not rules.fill_exterior:
        inside = footprint(np.any(observed, axis=0) | marks.hidden)  # these are not the exterior
    wanted = read_extent(rules.extent_mask, scene.grid, context) if rules.extent_mask else inside
    target = candidates & wanted
    exterior = int(np.count_nonzero(~inside & ~wanted))
    target[list(empty)] = False
    observed, target = merge_equal_bands(observed, target)
    distant = 0
    if rules.max_distance is not None:
        near = within_distance(observed, target, rules.max_distance)
        distant = int(np.count_nonzero((target & ~near).any(axis=0)))
        target = near
    return GapMask(observed, target, scene.count, origin, exterior, empty, distant)


def _find_marks(scene: Scene, rules: GapRules, context: Context) -> _Marks:
    """What marks the gaps: gap masks, else what is not valid; and QA."""
    valid = valid_pixels(scene)
    if rules.masks:
        candidates, meaning = read_gap_masks(scene, rules.masks, rules.polarity, valid, context)
        origin = f"gap mask ({meaning})"
    else:
        candidates, origin = ~valid, _origin(scene)
    hidden = np.zeros(scene.grid.shape, bool)
    if rules.qa:
        qa = read_qa(scene, rules.qa, rules.qa_kind, rules.qa_classes, valid, context)
        candidates = candidates | qa.gaps
        origin = f"{origin}, and QA ({qa.text})"
    if rules.masks or rules.qa:
        hidden = _hidden_data(scene, valid, candidates, context)
    if rules.qa:  # a cloud is part of the scene, also where its pixels are nodata
        hidden = (hidden | qa.gaps) & ~qa.fill
    return _Marks(valid & ~candidates, candidates, hidden, origin)


def _hidden_data(scene: Scene, valid: Mask, candidates: Mask, context: Context) -> Mask:
    """The pixels ``(row, column)`` with data that are marked as gaps; a warning if they are most of the data."""
    hidden = np.zeros(scene.grid.shape, bool)
    marked = total = 0
    for window in scene.blocks():
        rows = window.toslices()[0]
        data = valid[:, rows] & (scene.read(window) != 0)
        total += np.count_nonzero(data)
        data &= candidates[:, rows]
        marked += np.count_nonzero(data)
        hidden[rows] = data.any(axis=0)
    if marked > _MOST_DATA * total:
        context.warn(
            f"{100 * marked / max(total, 1):.0f} % of the scene's data are marked as gaps and will be replaced: check "
            "MASK_POLARITY and QA_CLASSES if this is not what you want."
        )
    return hidden


def valid_pixels(scene: Scene) -> Mask:
    """The valid pixels of the whole scene, ``(band, row, column)``."""
    valid = np.empty(scene.shape, bool)
    for window in scene.blocks():
        valid[:, window.toslices()[0]] = scene.valid(window)
    return valid


def _origin(scene: Scene) -> str:
    if scene.fill_value is not None:
        return f"fill value {scene.fill_value:.10g}"
    codes = without_repeats(code for codes in scene.missing_codes.values() for code in codes)
    marking = [code for code in codes if not math.isnan(code) and can_hold(scene.dtype, code)]
    return ", ".join(["nodata and masks", *(f"value {code:.10g}" for code in marking)])
