"""The fill value of a raster that does not mark its missing pixels: one value in all bands, such as 0 in a frame.

A pixel that has the value in every band is missing. Where single bands have the value, the pixel is missing in them if
it is connected to such a pixel, because the bands of a sensor end at slightly different places; elsewhere it is data.
The value is data everywhere if the other values approach it gradually, as at a coast or in shadow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .packed_mask import PackedMask
from .scene import Scene

EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
_MAX_SAMPLES = 4096  # values of a band in a block
# Distance from 0 next to zeros over that elsewhere (medians). Next to missing pixels it is about 1.
_MAX_RATIO_OF_DATA = 0.25


def find_fill_pixels(scene: Scene, value: float, *, connected: bool = True) -> PackedMask | None:
    """The pixels that the fill value marks as missing; None if there are none, or if the value is one of the data.

    ``connected``: False leaves out the pixels of single bands. The scene is read once, in blocks.
    """
    blocks = list(scene.blocks())
    equal = PackedMask(scene.shape, int(blocks[0].height))
    filled = PackedMask(scene.shape, int(blocks[0].height))
    uneven: set[int] = set()
    distances = _Distances(scene.count)
    found = False
    for number, window in enumerate(blocks):
        pixels, declared = scene.read(window), scene.declared_valid(window)
        same = pixels == scene.dtype.type(value)
        in_all_bands = same.all(axis=0)
        distances.add(pixels, value, in_all_bands, declared & ~same)
        if not same.any():
            continue
        found |= bool(in_all_bands.any())
        for band in range(scene.count):
            filled.set_block(band, number, in_all_bands)
            if connected and not np.array_equal(same[band], in_all_bands):
                uneven.add(band)
            equal.set_block(band, number, same[band])
    if not found or distances.are_small_beside_fill():
        return None
    for band in uneven:
        grow(filled, equal, band)
    return filled


class _Distances:
    """Distances of the data from the fill value, beside pixels with it and everywhere.

    Sea level, shadow and other data reach 0 gradually; next to missing pixels the values are like those elsewhere.
    """

    def __init__(self, bands: int) -> None:
        self._beside: list[list[NDArray]] = [[] for _ in range(bands)]
        self._everywhere: list[list[NDArray]] = [[] for _ in range(bands)]

    def add(self, pixels: NDArray, value: float, filled: NDArray[np.bool_], data: NDArray[np.bool_]) -> None:
        """Add a sample of a block's pixels; ``filled``: ``(row, column)``, ``data``: ``(band, row, column)``."""
        beside = ndimage.binary_dilation(filled, structure=EIGHT_NEIGHBOURS) & ~filled
        for band, (values, mask) in enumerate(zip(pixels, data)):
            for samples, where in ((self._beside, mask & beside), (self._everywhere, mask)):
                found = values[where]
                step = -(-len(found) // _MAX_SAMPLES) or 1
                samples[band].append(np.abs(found[::step].astype(np.float64) - value))

    def are_small_beside_fill(self) -> bool:
        """True if the data next to the fill value are much closer to it than those elsewhere, in all bands."""
        ratios = []
        for beside, everywhere in zip(map(np.concatenate, self._beside), map(np.concatenate, self._everywhere)):
            if len(beside):
                ratios.append(float(np.median(beside)) / (float(np.median(everywhere)) or 1.0))
        return bool(ratios) and max(ratios) < _MAX_RATIO_OF_DATA


def grow(filled: PackedMask, equal: PackedMask, band: int) -> None:
    """Add the pixels of a band that are connected to a filled one; by sweeps over the blocks, up and down."""
    changed = True
    while changed:
        changed = False
        for down in (True, False):
            edge = np.zeros(filled.shape[2], bool)
            for block in range(filled.block_count) if down else reversed(range(filled.block_count)):
                before = filled.block(band, block)
                after = _connected(equal.block(band, block), before, edge, from_above=down)
                if not np.array_equal(before, after):
                    filled.set_block(band, block, after)
                    changed = True
                edge = after[-1] if down else after[0]
        if filled.block_count == 1:
            return


def _connected(
    equal: NDArray[np.bool_], filled: NDArray[np.bool_], edge: NDArray[np.bool_], *, from_above: bool
) -> NDArray[np.bool_]:
    """The pixels of a block that are connected to ``filled`` ones or to those of the row next to the block."""
    near = ndimage.binary_dilation(edge, structure=np.ones(3, bool))
    row = 0 if from_above else -1
    seeds = filled.copy()
    seeds[row] |= near & equal[row]
    if not seeds.any():
        return filled
    labels, count = ndimage.label(equal, structure=EIGHT_NEIGHBOURS)
    kept = np.zeros(count + 1, bool)
    kept[labels[seeds]] = True
    kept[0] = False
    return kept[labels]
