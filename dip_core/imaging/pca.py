"""Principal components of a cube's spectra, for super-resolution.

Unlike the eigen-images of `subspace` they are not weighted by the noise, because the image is enlarged together with
its noise. The part of the image outside the components is small, and is interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from .noise import sample_spectra

_MAX_RANK = 10
_MIN_VARIANCE_SHARE = 1e-6  # a component with less of the variance is rounding noise
MIN_COMPLETE_PIXELS = 50  # pixels observed in all bands, to use only these

MaskedPixels = tuple[NDArray, Mask]  # pixels and observed pixels of a window, (band, row, column)


@dataclass(frozen=True)
class PrincipalComponents:
    """Mean and standard deviation of each band ``(band,)``, in the data's units; orthonormal basis ``(band, rank)``."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    basis: NDArray[np.float64]

    def project(self, values: NDArray) -> Cube:
        """Component images ``(rank, row, column)`` of ``values`` ``(band, row, column)`` without missing pixels."""
        flat = ((values - self.mean[:, None, None]) / self.scale[:, None, None]).reshape(len(values), -1)
        return (self.basis.T @ flat).astype(np.float32).reshape(-1, *values.shape[1:])

    def reconstruct(self, images: NDArray) -> NDArray[np.float64]:
        """Component images ``(rank, row, column)`` in the data's units ``(band, row, column)``, without the mean."""
        flat = (self.basis * self.scale[:, None]) @ images.reshape(len(images), -1).astype(np.float64)
        return flat.reshape(-1, *images.shape[1:])


def fit_principal_components(windows: Sequence[MaskedPixels]) -> PrincipalComponents:
    """The principal components of windows of one scene, at most 10.

    Uses the pixels that are observed in all bands, or all pixels if there are fewer than 50 of these.
    """
    complete = [np.asarray(observed.all(axis=0)) for _, observed in windows]
    if sum(int(np.count_nonzero(mask)) for mask in complete) < MIN_COMPLETE_PIXELS:
        complete = [np.ones_like(mask) for mask in complete]
    samples = [sample_spectra(values, mask) for (values, _), mask in zip(windows, complete) if mask.any()]
    sample = np.concatenate(samples, axis=1).astype(np.float64)
    mean, scale = sample.mean(axis=1), sample.std(axis=1)
    scale = np.where(scale > 0, scale, 1.0)
    sample = (sample - mean[:, None]) / scale[:, None]
    variances, vectors = np.linalg.eigh(sample @ sample.T)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    rank = max(1, min(_MAX_RANK, int(np.count_nonzero(variances > _MIN_VARIANCE_SHARE * variances.sum()))))
    return PrincipalComponents(mean, scale, vectors[:, :rank].copy())
