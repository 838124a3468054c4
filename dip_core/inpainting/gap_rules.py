"""Finds the gap mask of a scene: the rules by which missing pixels are gaps.

Missing pixels outside the footprint (the scene's exterior) are not filled unless the user asks for it. If gap mask
files are given, only the pixels that they mark are filled; other missing pixels, such as masked clouds, stay missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..arrays import Mask
from ..errors import NothingObserved
from ..raster.scene import Scene
from ..restoration_jobs import GapFillJob
from ..runtime.context import Context
from .footprint import footprint
from .gap_mask import FILL_VALUE, GapMask, merge_equal_bands
from .mask_files import read_gap_masks


@dataclass(frozen=True)
class GapRules:
    """What the user says about the gaps; the fields are those of `GapFillJob`."""

    masks: tuple[str, ...] = ()
    polarity: str = "auto"
    fill_exterior: bool = False

    @classmethod
    def of(cls, job: GapFillJob) -> GapRules:
        """The rules of a job."""
        return cls(job.gap_masks, job.mask_polarity, job.fill_exterior)


def find_gap_mask(scene: Scene, rules: GapRules | None = None, context: Context | None = None) -> GapMask:
    """The gap mask of a scene.

    Without gap mask files, missing pixels are marked by the scene's nodata value, masks, alpha band and NaN, or by the
    fill value 0 if it has none of these. Raises NothingObserved, GridMismatch, BandCountMismatch, UnreadableRaster.
    """
    rules = rules or GapRules()
    context = context or Context()
    valid = valid_pixels(scene)
    if rules.masks:
        candidates, meaning = read_gap_masks(scene, rules.masks, rules.polarity, valid, context)
        origin = f"gap mask ({meaning})"
        observed = valid & ~candidates
    elif not scene.zero_is_fill():
        observed, origin = valid, "nodata and masks"
        candidates = ~valid
    else:
        zeros = _fill_value_pixels(scene)
        observed = valid & ~zeros
        candidates, origin = ~observed, FILL_VALUE
        if zeros.any():
            context.warn("No nodata value and no gap mask: connected pixels of value 0 are taken as gaps.")
    del valid
    empty = tuple(int(number) for number in np.flatnonzero(~observed.any(axis=(1, 2))))
    if len(empty) == scene.count:
        raise NothingObserved(path=scene.paths[0], reason=f"all pixels are missing according to its {origin}")
    for number in empty:
        context.warn(f"{scene.names[number]} has no observed pixel and is copied unchanged.")
    exterior = 0
    if rules.fill_exterior:
        target = candidates.copy()
    else:
        inside = footprint(np.any(observed, axis=0))
        target = candidates & inside
        exterior = int(np.count_nonzero(~inside))
    target[list(empty)] = False
    observed, target = merge_equal_bands(observed, target)
    return GapMask(observed, target, scene.count, origin, exterior, empty)


def valid_pixels(scene: Scene) -> Mask:
    """The valid pixels of the whole scene, ``(band, row, column)``."""
    valid = np.empty(scene.shape, bool)
    for window in scene.blocks():
        valid[:, window.toslices()[0]] = scene.valid(window)
    return valid


def _fill_value_pixels(scene: Scene) -> Mask:
    """Zero pixels connected to a pixel that is 0 in every band; other zeros are dark pixels."""
    zeros = np.concatenate([scene.read(window) == 0 for window in scene.blocks()], axis=1)
    seeds = zeros.all(axis=0)
    if not seeds.any():
        return np.zeros_like(zeros)
    for number in range(scene.count):
        labels, _ = ndimage.label(zeros[number], structure=np.ones((3, 3)))
        kept = np.zeros(labels.max() + 1, bool)
        kept[np.unique(labels[seeds])] = True
        kept[0] = False
        zeros[number] = kept[labels]
    return zeros
