"""The signal subspace: the few directions of the spectra whose signal is above the noise.

``y = mean + S (E z + n)``: S holds the noise level of each band, so that after division by it (*whitening*) the noise n
has variance 1 in each band. The columns of E are orthonormal; z are the *eigen-images*, with noise of variance 1 too.
The *rank* is the number of eigenvalues of the whitened covariance above the *noise edge* ``(1 + sqrt(B / N))^2``, the
largest eigenvalue of pure noise in B bands and N pixels, plus 2 % because noise levels are estimates.

Sources: Marchenko and Pastur (1967) for the edge; Zhuang and Bioucas-Dias, FastHyDe (2018), for whitening before the
subspace; their FastHyIn, with a ridge, for pixels that are missing in some bands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from .noise import MIN_REGRESSION_BANDS, noise_levels, sample_spectra

_WORKING_FLOATS = 1 << 23  # 64 MiB of float64
_MIN_VARIANCE_SHARE = 0.4  # of a band's noise variance that the leverage correction must leave
_MARGIN = 1.02  # eigenvalues of pure noise with estimated levels stay within 1 % of the edge


class NoCompletePixel(ValueError):
    """No pixel is observed in all bands."""


@dataclass(frozen=True)
class Subspace:
    """Mean spectrum and noise levels in the data's units ``(band,)``, and the basis E ``(band, rank)``.

    ``eigenvalues``: all of the whitened covariance, in descending order. ``variance`` ``(rank,)``: of the eigen-images,
    noise included; ``weak`` ``(rank,)``: eigen-images that do not exceed the edge by themselves. Both are None if the
    eigen-images belong to the leading eigenvalues.
    """

    mean: NDArray[np.float64]
    sigma: NDArray[np.float64]
    basis: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    noise_edge: float
    variance: NDArray[np.float64] | None = None
    weak: NDArray[np.bool_] | None = None

    @property
    def rank(self) -> int:
        """Number of eigen-images."""
        return self.basis.shape[1]

    @property
    def signal_variance(self) -> NDArray[np.float64]:
        """Variance of the signal in each eigen-image ``(rank,)``, in noise variances; positive."""
        variance = self.eigenvalues[: self.rank] if self.variance is None else self.variance
        return np.maximum(variance - 1.0, 1e-2)

    @property
    def leverage(self) -> NDArray[np.float64]:
        """The share of each band's noise variance inside the subspace, ``(band,)``."""
        return np.square(self.basis).sum(axis=1)

    def whiten(self, values: NDArray) -> Cube:
        """Values ``(band, row, column)`` minus the mean spectrum, in noise standard deviations."""
        return ((values - self.mean[:, None, None]) / self.sigma[:, None, None]).astype(np.float32)

    def project(self, values: NDArray, observed: Mask) -> tuple[Cube, Mask]:
        """Eigen-images ``(rank, row, column)``, and the pixels that have them ``(row, column)``.

        Pixels that are missing in some bands get their most probable eigen-images given the other bands, so that weak
        eigen-images of almost complete pixels keep their strength. Pixels without any observed band get 0.
        """
        flat = self.whiten(np.where(observed, values, self.mean[:, None, None])).reshape(len(values), -1)
        images = (self.basis.T.astype(np.float32) @ flat).reshape(self.rank, -1)
        # Missing values are 0 in `flat`, so `images` is E' M y.
        for pixels, transforms, _, pattern in self._incomplete_pixels(observed):
            images[:, pixels] = np.einsum("pij,jp->ip", transforms.astype(np.float32)[pattern], images[:, pixels])
        return images.reshape(self.rank, *observed.shape[1:]), np.asarray(observed.any(axis=0))

    def error_variance(self, observed: Mask) -> Cube:
        """Variance of the error of the eigen-images from `project`, ``(rank, row, column)``.

        It is 1 for complete pixels; otherwise that of ``T E' M y``: ``(T G - I) L (T G - I)' + T G T'``.
        """
        variance = np.ones((self.rank, observed[0].size), np.float32)
        for pixels, transforms, gram, pattern in self._incomplete_pixels(observed):
            kept = transforms @ gram
            lost = kept - np.eye(self.rank)
            found = np.einsum("mij,j,mij->mi", lost, self.signal_variance, lost) + np.einsum(
                "mij,mij->mi", kept, transforms
            )
            variance[:, pixels] = found[pattern].T
        return variance.reshape(self.rank, *observed.shape[1:])

    def _incomplete_pixels(
        self, observed: Mask
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
        """Batches of pixels that are missing in some bands, but not in all.

        Yields their flat indexes, the matrices T and G ``(pattern, rank, rank)`` of each pattern of observed bands, and
        the pattern of each pixel. ``T E' M y = E' M y + (I - G) (G + L^-1)^-1 E' M y`` with ``G = E' M E`` and the
        signal variances L.
        """
        incomplete = np.flatnonzero(observed.any(axis=0) & ~observed.all(axis=0))
        if not len(incomplete):
            return
        masks = observed.reshape(len(observed), -1)[:, incomplete].T
        packed = np.ascontiguousarray(np.packbits(masks, axis=1))
        _, first, pattern = np.unique(packed.view(f"V{packed.shape[1]}"), return_index=True, return_inverse=True)
        pattern = pattern.reshape(-1)
        order = np.argsort(pattern, kind="stable")
        squares = (self.basis[:, :, None] * self.basis[:, None]).reshape(len(observed), -1)
        size = max(1, _WORKING_FLOATS // self.rank**2)
        bounds = np.searchsorted(pattern[order], np.arange(0, len(first) + size, size))
        for start, low, high in zip(range(0, len(first), size), bounds[:-1], bounds[1:]):
            gram = (masks[first[start : start + size]].astype(np.float64) @ squares).reshape(-1, self.rank, self.rank)
            inverse = np.linalg.inv(gram + np.diag(1.0 / self.signal_variance))
            transforms = np.eye(self.rank) + inverse - gram @ inverse
            for begin in range(low, high, size):
                batch = order[begin : min(begin + size, high)]
                yield incomplete[batch], transforms, gram, pattern[batch] - start

    def reconstruct(self, images: NDArray) -> Cube:
        """Values ``(band, row, column)`` in the data's units from eigen-images ``(rank, row, column)``."""
        flat = (self.basis * self.sigma[:, None]).astype(np.float32) @ images.reshape(self.rank, -1)
        flat += self.mean[:, None].astype(np.float32)
        return flat.reshape(-1, *images.shape[1:])

    def apply_gains(self, values: NDArray, gains: NDArray[np.float64]) -> Cube:
        """The part of ``values`` in the subspace, with each eigen-image multiplied by its gain ``(rank,)``."""
        images = self.basis.T.astype(np.float32) @ self.whiten(values).reshape(len(values), -1)
        return self.reconstruct((gains.astype(np.float32)[:, None] * images).reshape(self.rank, *values.shape[1:]))

    def select(self, kept: NDArray[np.bool_]) -> Subspace:
        """The subspace of the eigen-images that are ``kept`` ``(rank,)``."""
        weak = None if self.weak is None else self.weak[kept]
        return replace(self, basis=self.basis[:, kept], variance=self.signal_variance[kept] + 1.0, weak=weak)


def find_subspace(
    values: NDArray,
    observed: Mask,
    sigma: NDArray[np.float64] | None = None,
    estimated: NDArray[np.float64] | None = None,
) -> Subspace:
    """The subspace of ``values`` ``(band, row, column)``, fitted to the pixels that are observed in all bands.

    ``sigma``: known noise levels ``(band,)``; None: they are estimated, starting from ``estimated`` if given (the
    result of `noise.noise_levels`). Raises NoCompletePixel if no pixel is observed in all bands.
    """
    complete = np.asarray(observed.all(axis=0))
    if not complete.any():
        raise NoCompletePixel("No pixel is observed in all bands.")
    if sigma is not None:
        noise = np.asarray(sigma, np.float64)
    else:
        noise = noise_levels(values, observed) if estimated is None else estimated
    found = _fit(values, complete, noise)
    if sigma is None and len(values) >= MIN_REGRESSION_BANDS:
        # The predictors of a band are noisy too: with signal variances l, the variance of its residual is
        # 1 / (1 - sum l / (1 + l) E^2) times its noise variance.
        shares = np.square(found.basis) @ (found.signal_variance / (1.0 + found.signal_variance))
        noise = noise * np.sqrt(np.maximum(1.0 - shares, _MIN_VARIANCE_SHARE))
        found = _fit(values, complete, noise)
        # Noise that is correlated between neighbouring pixels is missing in the diagonal detail, but not in the
        # eigenvalues, most of which are noise if there are many bands.
        median = float(np.median(found.eigenvalues))
        if median > _MARGIN:
            found = _fit(values, complete, noise * np.sqrt(median))
    return found


def _fit(values: NDArray, complete: Mask, sigma: NDArray[np.float64]) -> Subspace:
    sample = sample_spectra(values, complete)
    bands, pixels = sample.shape
    mean = sample.mean(axis=1)
    sample = (sample - mean[:, None]) / sigma[:, None]
    eigenvalues, vectors = np.linalg.eigh(sample @ sample.T / pixels)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    edge = _MARGIN * (1.0 + np.sqrt(bands / pixels)) ** 2
    rank = max(1, int(np.count_nonzero(eigenvalues > edge)))
    return Subspace(mean, sigma, vectors[:, :rank].copy(), eigenvalues, float(edge))
