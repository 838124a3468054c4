"""The pixels in which stripes are looked for: the observed ones, and missing codes that look like dead lines.

A detector that fails writes zeros, saturation or a code along whole lines. Where the raster does not declare such a
value as nodata, the lines are damage to repair rather than missing pixels.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Mask
from ..inpainting.footprint import footprint
from ..raster.scene import Scene
from ..raster.untagged_codes import MAX_DEAD_LINES

_LINE_SHARE = 0.9  # of a line's pixels inside the footprint
_MIN_RUN = 16  # pixels of a partly missing line
_MIN_ELONGATION = 8  # length over width of a partly missing line


def stripe_pixels(scene: Scene) -> Mask:
    """The valid pixels of a scene and those of its dead lines, ``(band, row, column)``.

    With the fill value 0, these are all zeros inside the footprint.
    """
    valid = np.concatenate([scene.valid(window) for window in scene.blocks()], axis=1)
    if scene.fill_value is None and not scene.missing_codes:
        return valid
    inside = footprint(np.any(valid, axis=0))
    for window in scene.blocks():
        rows = window.toslices()[0]
        coded = scene.declared_valid(window) & ~valid[:, rows] & inside[rows]
        valid[:, rows] |= coded if scene.fill_value == 0 else _in_lines(coded, inside[rows])
    return valid


def _in_lines(coded: Mask, inside: Mask) -> Mask:
    """The pixels ``(band, row, column)`` of rows and columns that are missing inside the footprint, whole or partly."""
    out = np.zeros_like(coded)
    for band, mask in enumerate(coded):
        if not mask.any():
            continue
        for axis in (0, 1):
            lengths = np.count_nonzero(inside, axis=axis)
            full = (lengths > 0) & (np.count_nonzero(mask, axis=axis) >= _LINE_SHARE * lengths)
            across, along = _run_lengths(mask, 1 - axis), _run_lengths(mask, axis)
            thin = (along >= _MIN_RUN) & (along >= _MIN_ELONGATION * across)
            narrow = _run_lengths(full[None], 1)[0] <= MAX_DEAD_LINES
            out[band] |= mask & (thin | np.expand_dims(full & narrow, axis))
    return out


def _run_lengths(mask: Mask, axis: int) -> np.ndarray:
    """For each True pixel the length of its run of True pixels along an axis; 0 elsewhere."""
    lines = np.moveaxis(mask, axis, -1)
    padded = np.pad(lines, ((0, 0), (1, 1))).astype(np.int8).ravel()
    steps = np.diff(padded)
    begins, ends = np.flatnonzero(steps == 1) + 1, np.flatnonzero(steps == -1) + 1
    lengths = np.zeros(len(padded) + 1, np.int64)
    np.add.at(lengths, begins, ends - begins)
    np.subtract.at(lengths, ends, ends - begins)
    runs = np.cumsum(lengths)[:-1].reshape(lines.shape[0], -1)[:, 1:-1]
    return np.moveaxis(runs, -1, axis)
