"""*Principal images*: a cube seen along the few directions of its spectra that hold nearly all of its detail.

Unlike the eigen-images of `subspace`, they are not weighed by the noise: what is enlarged is the image as it was
observed, its noise included. What they leave over is small and enlarged by interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from .noise import sample_spectra

_MOST = 10  # a rank of 10 loses nothing against 20 on four scenes; 5 loses up to 0.03 dB
_LEAST_SHARE = 1e-6  # of the variance, below which an image is noise of the arithmetic
MIN_COMPLETE_PIXELS = 50  # pixels seen by all bands for a basis of their own

MaskedPixels = tuple[NDArray, Mask]  # a window's pixels and observed pixels, (band, row, column)


@dataclass(frozen=True)
class PrincipalComponents:
    """Mean and standard deviation of each band ``(band,)``, in the data's units; orthonormal basis ``(band, rank)``."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    basis: NDArray[np.float64]

    def project(self, values: NDArray) -> Cube:
        """Principal images ``(rank, row, column)`` of values ``(band, row, column)`` without missing pixels."""
        flat = ((values - self.mean[:, None, None]) / self.scale[:, None, None]).reshape(len(values), -1)
        return (self.basis.T @ flat).astype(np.float32).reshape(-1, *values.shape[1:])

    def reconstruct(self, images: NDArray) -> NDArray[np.float64]:
        """What images without a mean are worth in the data's units, ``(band, row, column)``."""
        flat = (self.basis * self.scale[:, None]) @ images.reshape(len(images), -1).astype(np.float64)
        return flat.reshape(-1, *images.shape[1:])


def fit_principal_components(pieces: Sequence[MaskedPixels]) -> PrincipalComponents:
    """The principal images of windows of one scene, from pixels that all bands see if there are enough."""
    complete = [np.asarray(observed.all(axis=0)) for _, observed in pieces]
    if sum(int(np.count_nonzero(seen)) for seen in complete) < MIN_COMPLETE_PIXELS:
        complete = [np.ones_like(seen) for seen in complete]
    samples = [sample_spectra(values, seen) for (values, _), seen in zip(pieces, complete) if seen.any()]
    sample = np.concatenate(samples, axis=1).astype(np.float64)
    mean, scale = sample.mean(axis=1), sample.std(axis=1)
    scale = np.where(scale > 0, scale, 1.0)
    sample = (sample - mean[:, None]) / scale[:, None]
    variances, vectors = np.linalg.eigh(sample @ sample.T)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    rank = max(1, min(_MOST, int(np.count_nonzero(variances > _LEAST_SHARE * variances.sum()))))
    return PrincipalComponents(mean, scale, vectors[:, :rank].copy())
