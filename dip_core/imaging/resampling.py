"""Block averages of images, their interpolation, and filling of missing pixels from the nearest observed one.

A *block* is a square of pixels that is one pixel of a coarser grid; at the lower and right border it may be incomplete.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Mask


def block_sums(images: NDArray, side: int) -> NDArray[np.float64]:
    """Sums over blocks of ``side`` x ``side`` pixels of images ``(image, row, column)``."""
    count, rows, columns = images.shape
    padded = np.pad(images.astype(np.float64), ((0, 0), (0, -rows % side), (0, -columns % side)))
    return padded.reshape(count, padded.shape[1] // side, side, padded.shape[2] // side, side).sum(axis=(2, 4))


def enlarge_blocks(images: NDArray, observed: Mask, side: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Bilinear interpolation of block images ``(image, row, column)`` between block centres.

    ``observed`` ``(row, column)``: valid blocks; the others first get the value of the nearest valid one. ``shape``:
    rows and columns of the result, in pixels.
    """
    rows, columns = ((np.arange(size) + 0.5) / side - 0.5 for size in shape)
    grid = np.meshgrid(rows, columns, indexing="ij")
    filled = fill_nearest_common(images, observed)
    return np.stack([ndimage.map_coordinates(image, grid, order=1, mode="nearest") for image in filled])


def fill_nearest_common(images: NDArray, observed: Mask) -> NDArray:
    """Images ``(image, row, column)`` with missing pixels filled from the nearest observed one.

    ``observed``: one mask ``(row, column)`` for all images; an empty mask changes nothing.
    """
    if observed.all() or not observed.any():
        return images
    nearest = ndimage.distance_transform_edt(~observed, return_distances=False, return_indices=True)
    return images[:, nearest[0], nearest[1]]


def fill_nearest(values: NDArray, observed: Mask) -> NDArray:
    """Bands ``(band, row, column)`` with missing pixels filled from the nearest observed one; 0 in empty bands.

    ``observed``: one mask per band.
    """
    out = np.where(observed, values, 0)
    for band, band_observed in enumerate(observed):
        out[band] = fill_nearest_common(out[band : band + 1], band_observed)[0]
    return out
