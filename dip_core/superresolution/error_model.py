"""Error model of super-resolution: the expected error by band and local roughness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask

_BINS = 8
_MIN_PIXELS = 50  # of a band with more than one bin


@dataclass(frozen=True)
class RoughnessErrorModel:
    """RMSE by band in bins of roughness: bin centres and errors, both ``(band, bin)``, in the data's units."""

    centres: NDArray[np.float64]
    errors: NDArray[np.float64]

    def deviation(self, image: Cube, factor: int) -> Cube:
        """One standard deviation of the error at each pixel, ``(band, row, column)``."""
        rough = rms_gradient(image, factor)
        out = np.empty(image.shape, np.float32)
        for band, (centres, errors) in enumerate(zip(self.centres, self.errors)):
            # A flat surface has no error; below the lowest bin the error falls with the roughness.
            out[band] = np.interp(rough[band], np.append(0.0, centres), np.append(0.0, errors))
        return out

    def of_band(self, band: int) -> RoughnessErrorModel:
        """The model of one band."""
        return replace(self, centres=self.centres[band : band + 1], errors=self.errors[band : band + 1])


def rms_gradient(image: NDArray, factor: int) -> NDArray[np.float64]:
    """Root mean square gradient around each pixel of ``(band, row, column)``; errors are large where it is large."""
    out = np.empty(image.shape)
    for band, plane in enumerate(image.astype(np.float64)):
        down = np.gradient(plane, axis=0) if plane.shape[0] > 1 else np.zeros_like(plane)
        right = np.gradient(plane, axis=1) if plane.shape[1] > 1 else np.zeros_like(plane)
        out[band] = np.sqrt(ndimage.uniform_filter(down**2 + right**2, 2 * factor + 1, mode="nearest"))
    return out


def fit_roughness_error_model(
    truths: Sequence[Cube], compared: Sequence[Mask], estimates: Sequence[Cube], factor: int
) -> RoughnessErrorModel:
    """Fit the model to windows with a known truth: RMSE in bins with equally many pixels, monotonic in roughness.

    All sequences hold one array ``(band, row, column)`` per window. NaN for bands without compared pixels.
    """
    rough = [rms_gradient(image, factor) for image in estimates]
    bands = len(truths[0])
    centres, errors = np.zeros((bands, _BINS)), np.zeros((bands, _BINS))
    for band in range(bands):
        band_roughness = np.concatenate([part[band][mask[band]] for part, mask in zip(rough, compared)])
        squares = np.concatenate(
            [
                np.square(image[band].astype(np.float64) - truth[band])[mask[band]]
                for image, truth, mask in zip(estimates, truths, compared)
            ]
        )
        if squares.size < _MIN_PIXELS:
            errors[band] = np.sqrt(squares.mean()) if squares.size else np.nan
            continue
        bins = np.array_split(np.argsort(band_roughness, kind="stable"), _BINS)
        centres[band] = [band_roughness[part].mean() for part in bins]
        errors[band] = np.maximum.accumulate([np.sqrt(squares[part].mean()) for part in bins])
    return RoughnessErrorModel(centres, errors)
