"""The *spectral subspace*: the few directions of the spectra that hold signal above the noise.

``y = mean + S (E z + n)``: S holds the noise level of each band, so that after division by it (*whitening*) the
noise n has variance 1 in every band; the columns of E are orthonormal, and z are the *eigen-images*, whose noise has
variance 1 too. The *rank* is the number of eigenvalues of the whitened covariance above the *noise edge*
``(1 + sqrt(B / N))^2``: the largest eigenvalue that noise alone has in B bands and N pixels; a few percent are added
because noise levels are estimates.

Sources: Marchenko and Pastur (1967) for the edge; Zhuang and Bioucas-Dias, FastHyDe (2018) for whitening before the
subspace; the masked least squares of pixels that some bands do not see is that of FastHyIn, with a ridge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from .noise import MIN_REGRESSION_BANDS, noise_levels, sample_spectra

_WORKING_FLOATS = 1 << 23  # 64 MiB of float64
_LEAST_SHARE = 0.4  # of a band's noise variance that the leverage correction may leave
_MARGIN = 1.02  # of pure noise, eigenvalues by estimated levels stay within 1 % of the edge


@dataclass(frozen=True)
class Subspace:
    """Mean spectrum and noise levels in the data's units ``(band,)``, basis ``(band, rank)``.

    ``eigenvalues``: all of the whitened covariance, falling; ``edge``: what noise alone reaches. ``power``: variance of
    the eigen-images, the noise's 1 included, and ``weak``: those that do not rise above the edge by themselves
    ``(rank,)``; None where the eigen-images are those of the leading eigenvalues.
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
        """Variance of the signal in each eigen-image, in noise variances; ``(rank,)``, positive."""
        power = self.eigenvalues[: self.rank] if self.variance is None else self.variance
        return np.maximum(power - 1.0, 1e-2)

    @property
    def leverage(self) -> NDArray[np.float64]:
        """The share of a band's noise that lies in the subspace, ``(band,)``."""
        return np.square(self.basis).sum(axis=1)

    def whiten(self, values: NDArray) -> Cube:
        """Values without mean spectrum, in noise standard deviations."""
        return ((values - self.mean[:, None, None]) / self.sigma[:, None, None]).astype(np.float32)

    def project(self, values: NDArray, observed: Mask) -> tuple[Cube, Mask]:
        """Eigen-images ``(rank, row, column)``, and which pixels have them ``(row, column)``.

        Where some bands do not see a pixel, what is most probable given those that do stands for them, so that weak
        eigen-images of almost complete pixels are hardly weaker; one that no band sees has none (0).
        """
        flat = self.whiten(np.where(observed, values, self.mean[:, None, None])).reshape(len(values), -1)
        images = (self.basis.T.astype(np.float32) @ flat).reshape(self.rank, -1)
        # Zeros stand for unseen bands in `flat`, so E' M y is there already.
        for own, turns, _, which in self._partly_seen(observed):
            images[:, own] = np.einsum("pij,jp->ip", turns.astype(np.float32)[which], images[:, own])
        return images.reshape(self.rank, *observed.shape[1:]), np.asarray(observed.any(axis=0))

    def error_variance(self, observed: Mask) -> Cube:
        """Variance of the error of the eigen-images that `project` makes, ``(rank, row, column)``.

        It is 1 where all bands see, elsewhere that of ``T E' M y``: ``(T G - I) L (T G - I)' + T G T'``.
        """
        variance = np.ones((self.rank, observed[0].size), np.float32)
        for own, turns, gram, which in self._partly_seen(observed):
            held = turns @ gram
            lost = held - np.eye(self.rank)
            found = np.einsum("mij,j,mij->mi", lost, self.signal_variance, lost) + np.einsum("mij,mij->mi", held, turns)
            variance[:, own] = found[which].T
        return variance.reshape(self.rank, *observed.shape[1:])

    def _partly_seen(
        self, observed: Mask
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
        """Pixels that some bands see and others do not: their flat numbers, and for each of their patterns of bands the
        matrices ``T`` and ``G`` ``(pattern, rank, rank)``; last, each pixel's pattern.

        ``T E' M y = E' M y + (I - G) (G + L^-1)^-1 E' M y`` with ``G = E' M E`` and the signal variances L.
        """
        partial = np.flatnonzero(observed.any(axis=0) & ~observed.all(axis=0))
        if not len(partial):
            return
        masks = observed.reshape(len(observed), -1)[:, partial].T
        packed = np.ascontiguousarray(np.packbits(masks, axis=1))
        _, first, which = np.unique(packed.view(f"V{packed.shape[1]}"), return_index=True, return_inverse=True)
        which = which.reshape(-1)
        order = np.argsort(which, kind="stable")
        squares = (self.basis[:, :, None] * self.basis[:, None]).reshape(len(observed), -1)
        size = max(1, _WORKING_FLOATS // self.rank**2)
        bounds = np.searchsorted(which[order], np.arange(0, len(first) + size, size))
        for start, low, high in zip(range(0, len(first), size), bounds[:-1], bounds[1:]):
            gram = (masks[first[start : start + size]].astype(np.float64) @ squares).reshape(-1, self.rank, self.rank)
            inverse = np.linalg.inv(gram + np.diag(1.0 / self.signal_variance))
            turns = np.eye(self.rank) + inverse - gram @ inverse
            for begin in range(low, high, size):
                own = order[begin : min(begin + size, high)]
                yield partial[own], turns, gram, which[own] - start

    def reconstruct(self, images: NDArray) -> Cube:
        """Values in the data's units from eigen-images; ``(band, row, column)``."""
        flat = (self.basis * self.sigma[:, None]).astype(np.float32) @ images.reshape(self.rank, -1)
        flat += self.mean[:, None].astype(np.float32)
        return flat.reshape(-1, *images.shape[1:])

    def apply_gains(self, values: NDArray, gains: NDArray[np.float64]) -> Cube:
        """Values of the subspace, in the data's units, with each eigen-image multiplied by its factor."""
        images = self.basis.T.astype(np.float32) @ self.whiten(values).reshape(len(values), -1)
        return self.reconstruct((gains.astype(np.float32)[:, None] * images).reshape(self.rank, *values.shape[1:]))

    def select(self, kept: NDArray[np.bool_]) -> Subspace:
        """Only some of the directions."""
        weak = None if self.weak is None else self.weak[kept]
        return replace(self, basis=self.basis[:, kept], variance=self.signal_variance[kept] + 1.0, weak=weak)


def find_subspace(
    values: NDArray,
    observed: Mask,
    sigma: NDArray[np.float64] | None = None,
    estimated: NDArray[np.float64] | None = None,
) -> Subspace:
    """The subspace of ``values`` ``(band, row, column)``, fitted to the pixels that all bands see.

    ``sigma``: known noise levels ``(band,)``; where it is None they are estimated, starting from ``estimated``, which
    are those of `noise.noise_levels`. Raises ValueError where no pixel is seen by all bands.
    """
    complete = np.asarray(observed.all(axis=0))
    if not complete.any():
        raise ValueError("No pixel is observed in all bands.")
    if sigma is not None:
        noise = np.asarray(sigma, np.float64)
    else:
        noise = noise_levels(values, observed) if estimated is None else estimated
    found = _fit(values, complete, noise)
    if sigma is None and len(values) >= MIN_REGRESSION_BANDS:
        # What predicts a band is noisy itself: with signal variances l its residual has 1 / (1 - sum l / (1 + l) E^2)
        # times the band's noise variance.
        shares = np.square(found.basis) @ (found.signal_variance / (1.0 + found.signal_variance))
        noise = noise * np.sqrt(np.maximum(1.0 - shares, _LEAST_SHARE))
        found = _fit(values, complete, noise)
        # Noise that neighbouring pixels share escapes the diagonal detail, but not the eigenvalues: most of many
        # bands' are noise.
        bulk = float(np.median(found.eigenvalues))
        if bulk > _MARGIN:
            found = _fit(values, complete, noise * np.sqrt(bulk))
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
