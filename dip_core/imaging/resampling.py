"""An image on a *coarser grid* and back, and beyond what is seen of it.

A *block* is a square of pixels that is one pixel of the coarser grid; at the lower and right border it may be a part of
one. Nothing is blurred: what a sensor would see of an image is `optics`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Mask


def block_sums(images: NDArray, side: int) -> NDArray[np.float64]:
    """Sums over blocks of ``side`` x ``side`` pixels of images ``(image, row, column)``."""
    count, rows, columns = images.shape
    whole = np.pad(images.astype(np.float64), ((0, 0), (0, -rows % side), (0, -columns % side)))
    return whole.reshape(count, whole.shape[1] // side, side, whole.shape[2] // side, side).sum(axis=(2, 4))


def enlarge_blocks(images: NDArray, seen: Mask, side: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Images of blocks on the grid of their pixels, bilinear between the blocks' centres, cut to ``shape``.

    ``seen`` ``(row, column)``: the blocks that count; the nearest of them stand for the others.
    """
    rows, columns = ((np.arange(size) + 0.5) / side - 0.5 for size in shape)
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.stack(
        [ndimage.map_coordinates(one, grid, order=1, mode="nearest") for one in fill_nearest_common(images, seen)]
    )


def fill_nearest_common(images: NDArray, seen: Mask) -> NDArray:
    """Images ``(image, row, column)`` with each unseen pixel given the value of the nearest seen one, if there is one.

    ``seen``: ``(row, column)``, for all images.
    """
    if seen.all() or not seen.any():
        return images
    nearest = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
    return images[:, nearest[0], nearest[1]]


def fill_nearest(values: NDArray, observed: Mask) -> NDArray:
    """``(band, row, column)`` with missing pixels taken from the nearest observed one; 0 in bands without any."""
    out = np.where(observed, values, 0)
    for band, seen in enumerate(observed):
        out[band] = fill_nearest_common(out[band : band + 1], seen)[0]
    return out
