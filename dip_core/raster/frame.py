"""A frame of one value around a scene, such as 255 or 65535 in all bands, which is not declared as nodata.

Where the data reach that value, pixels inside the scene that have it are data: only the area that is connected to the
raster's border counts. Saturated clouds and snow at the border are no frame: the values beside them are high too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .fill_value import EIGHT_NEIGHBOURS, grow
from .packed_mask import PackedMask
from .scene import Scene

_MIN_SHARE = 0.01  # of the raster
_NEAR = 0.05  # distance from the value over the range of the data, mean of the bands
_MAX_NEAR_SHARE = 0.2  # of the pixels beside the frame that have values near that of the frame
_MAX_EQUAL_SHARE = 0.5  # of the other pixels whose bands are all equal: more are a grey picture in three bands


def find_frame(scene: Scene, value: float) -> PackedMask | None:
    """The pixels of a frame with this value, the same in all bands; None if the value is one of the data."""
    blocks = list(scene.blocks())
    _, rows, columns = scene.shape
    height = int(blocks[0].height)
    equal, area = (PackedMask((1, rows, columns), height) for _ in range(2))
    others = alike = 0
    low, high = np.full(scene.count, np.inf), np.full(scene.count, -np.inf)
    for number, window in enumerate(blocks):
        pixels = scene.read(window)
        same = (pixels == scene.dtype.type(value)).all(axis=0)
        border = np.zeros_like(same)
        border[:, [0, -1]] = True
        border[0] |= number == 0
        border[-1] |= number == len(blocks) - 1
        equal.set_block(0, number, same)
        area.set_block(0, number, same & border)
        others += int(np.count_nonzero(~same))
        alike += int(np.count_nonzero((pixels == pixels[:1]).all(axis=0) & ~same))
        rest = np.where(~same & scene.valid(window), pixels, np.nan)
        low = np.fmin(low, np.nanmin(rest, axis=(1, 2), initial=np.inf))
        high = np.fmax(high, np.nanmax(rest, axis=(1, 2), initial=-np.inf))
    grow(area, equal, 0)
    if area.share() < _MIN_SHARE or alike > _MAX_EQUAL_SHARE * others or not (high > low).all():
        return None
    if _share_near(scene, area, value, high - low) > _MAX_NEAR_SHARE:
        return None
    missing = equal if _is_apart(value, low, high) else area
    frame = PackedMask(scene.shape, height)
    for number in range(len(blocks)):
        for band in range(scene.count):
            frame.set_block(band, number, missing.block(0, number))
    return frame


def _is_apart(value: float, low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    """Whether data cannot have the value: it is far from them, or negative where all of them are not."""
    distance = np.where(value < low, low - value, value - high)
    return bool((distance >= _NEAR * (high - low)).all() or (value < 0 <= low.min()))


def _share_near(scene: Scene, area: PackedMask, value: float, span: NDArray[np.float64]) -> float:
    """The share of the pixels beside the area whose values are near that of the area."""
    near = total = 0
    for number, window in enumerate(scene.blocks()):
        inside = area.block(0, number)
        beside = ndimage.binary_dilation(inside, structure=EIGHT_NEIGHBOURS) & ~inside
        if beside.any():
            distance = np.abs(scene.read(window)[:, beside].astype(np.float64) - value) / span[:, None]
            near += int(np.count_nonzero(distance.mean(axis=0) < _NEAR))
            total += distance.shape[1]
    return near / max(total, 1)
