"""Consistency of a super-resolved raster with its input: the result, downsampled, against the input."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.windows import Window
from scipy import ndimage

from ..imaging.psf import Psf
from ..imaging.resampling import fill_nearest
from ..raster.band_selection import SelectedScene
from ..runtime.blocks import band_groups

_STRIP_ROWS = 64  # input rows that are compared at a time


def consistency_rmse(selected: SelectedScene, written: str, psf: Psf) -> float:
    """RMSE between the input and the file ``written``, downsampled with the point spread function, in the data's units.

    Pixels close to missing ones do not count, because the input was observed with values that are not known there. NaN
    if no pixel counts.
    """
    rows, columns = selected.scene.grid.shape
    f, radius, total, count = psf.factor, psf.radius, 0.0, 0
    with rasterio.open(written) as file:
        for start in range(0, rows, _STRIP_ROWS):
            end = min(start + _STRIP_ROWS, rows)
            top, bottom = max(start - radius, 0), min(end + radius, rows)
            all_values, all_observed = selected.read(Window(0, top, columns, bottom - top))
            fine_window = Window(0, top * f, columns * f, (bottom - top) * f)
            downsample = psf.operator(((bottom - top) * f, columns * f))
            for bands in band_groups(len(all_values), int(fine_window.width * fine_window.height)):
                values, observed = all_values[bands], all_observed[bands]
                numbers = [band + 1 for band in selected.bands[bands]]
                fine = file.read(numbers, window=fine_window).astype(np.float64)
                fine_observed = np.repeat(np.repeat(observed, f, axis=1), f, axis=2)
                downsampled = downsample.apply(fill_nearest(fine, fine_observed))
                near = np.ones((1, 2 * radius + 1, 2 * radius + 1), bool)
                counted = ~ndimage.binary_dilation(~observed, near)
                counted[:, : start - top] = False
                counted[:, end - top :] = False
                total += float(np.square(downsampled - values)[counted].sum())
                count += int(np.count_nonzero(counted))
    return float(np.sqrt(total / count)) if count else float("nan")
