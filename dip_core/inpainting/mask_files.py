"""Gap mask files: reads them, assigns their bands to those of the scene, and detects their polarity."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..arrays import Mask
from ..errors import BandCountMismatch, GridMismatch
from ..raster.grid import grid_of
from ..raster.scene import Scene
from ..raster.source import open_raster

_LANDSAT_BAND = re.compile(r"_B(\d+)(?:_VCID_(\d))?(?=[._]|$)", re.IGNORECASE)
_MIN_SHARE_DIFFERENCE = 0.05


def read_gap_masks(scene: Scene, paths: Sequence[str], polarity: str, valid: Mask) -> tuple[Mask, str]:
    """The pixels that the masks mark as gaps, ``(band, row, column)``, and the polarity in words.

    ``paths``: one mask for all bands, or one per band. ``polarity``: ``auto``, ``zero_is_gap`` or ``nonzero_is_gap``.
    ``valid``: the scene's valid pixels ``(band, row, column)``. Raises GridMismatch, BandCountMismatch,
    UnreadableRaster.
    """
    zero, names = _read_zero_pixels(scene, paths)
    order = _band_order(scene, names)
    if zero.shape[0] > 1 and order != sorted(order):
        zero = zero[order]
    if polarity == "auto":
        polarity = _detect_polarity(scene, zero, valid)
    gaps = zero if polarity == "zero_is_gap" else ~zero
    meaning = "0 = missing" if polarity == "zero_is_gap" else "not 0 = missing"
    return np.broadcast_to(gaps, scene.shape), meaning


def _read_zero_pixels(scene: Scene, paths: Sequence[str]) -> tuple[Mask, list[str]]:
    """Where the mask bands are 0, ``(mask band, row, column)``, and the file name of each mask band."""
    layers, names = [], []
    for path in paths:
        with open_raster(path) as source:
            difference = scene.grid.difference(grid_of(source))
            if difference:
                raise GridMismatch(path=path, reference=scene.paths[0], reason=difference)
            layers.append(source.read() == 0)
            names.extend([path] * source.count)
    zero = np.concatenate(layers)
    if zero.shape[0] not in (1, scene.count):
        raise BandCountMismatch(found=zero.shape[0], wanted=scene.count)
    return zero, names


def _band_order(scene: Scene, names: Sequence[str]) -> list[int]:
    """The order of the mask bands: by the Landsat band in the file names if all names have one, else as given."""
    mask_keys = [_LANDSAT_BAND.findall(name) for name in names]
    band_keys = [_LANDSAT_BAND.findall(f"{band.description or ''}") for band in scene.bands]
    if all(mask_keys) and all(band_keys):
        mask_number = {keys[-1]: number for number, keys in enumerate(mask_keys)}
        keys_of_bands = [keys[-1] for keys in band_keys]
        if len(mask_number) == len(keys_of_bands) and all(key in mask_number for key in keys_of_bands):
            return [mask_number[key] for key in keys_of_bands]
    return list(range(len(names)))


def _detect_polarity(scene: Scene, zero: Mask, valid: Mask) -> str:
    """The polarity for which more of the gap pixels are fill (nodata or 0) in the scene.

    If there is no clear difference, the gaps are the smaller part (at most 42 % for SLC-off).
    """
    fill_on_zero = fill_on_other = zeros = others = 0
    for window in scene.blocks():
        rows = window.toslices()[0]
        fill = ~valid[:, rows] | (scene.read(window) == 0)
        zero_here = np.broadcast_to(zero[:, rows], fill.shape)
        fill_on_zero += np.count_nonzero(fill & zero_here)
        fill_on_other += np.count_nonzero(fill & ~zero_here)
        zeros += np.count_nonzero(zero_here)
        others += np.count_nonzero(~zero_here)
    share_on_zero, share_on_other = fill_on_zero / max(zeros, 1), fill_on_other / max(others, 1)
    if abs(share_on_zero - share_on_other) > _MIN_SHARE_DIFFERENCE:
        return "zero_is_gap" if share_on_zero > share_on_other else "nonzero_is_gap"
    return "zero_is_gap" if zero.mean() <= 0.5 else "nonzero_is_gap"
