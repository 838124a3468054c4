"""Signal covariance: the covariance between the spectra of pixels that look similar.

Noise is independent between pixels. So in

    ``C = sum over p != q of k_pq w_p w_q' / N``

of whitened spectra *w* the noise has mean 0, while in the covariance of the pixels with themselves it adds variance 1
in every direction. Weak directions of the signal, which noise hides or rotates there, are visible in C. The weights
are those of a bilateral filter, ``exp(-|a_p - a_q|^2 / (2 h^2) - |p - q|^2 / (2 s^2))`` within a window, with *a* the
denoised eigen-images of the directions found so far, normalised to ``k_pq / sqrt(d_p d_q)`` with ``d_p = sum over q of
k_pq``.

The eigenvalues of C that are noise follow Wigner's semicircle about 0. Its radius follows from the quartiles, because
most directions of many bands contain only noise. Directions beyond the radius contain signal.

Sources: Green et al., A transformation for ordering multispectral data in terms of image quality (1988), for
neighbours in the search for a subspace; Tomasi and Manduchi (1998) for the weights. Their combination is our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import EllipsisType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import Cube, Mask
from ..imaging.noise import sample_spectra
from ..imaging.subspace import Subspace

Index = tuple[EllipsisType, slice, slice]

_SIMILARITY_VARIANCE = 2.0  # h squared, in noise variances
_DISTANCE_SIGMA = 4.0  # s, in pixels
_WINDOW_RADIUS = 10  # pixels
_SEMICIRCLE_QUARTILE = 0.404  # of the radius: half of a semicircle lies within
_NOISE_MARGIN = 1.2  # radii that contain the noise
_MIN_SIMILAR_PIXELS = 4.0  # that a typical pixel must have
_MAX_NEW_DIRECTIONS = 6


def signal_covariance(whitened: Cube, guide: Cube, observed: Mask) -> tuple[NDArray[np.float64], float]:
    """``C`` in noise variances ``(band, band)``, and the typical number of similar pixels (the sum of their weights).

    ``whitened``: spectra whose noise has variance 1 ``(band, row, column)``. ``guide``: images that define similarity
    ``(channel, row, column)``, in noise deviations. ``observed`` ``(row, column)``: other pixels are not used.
    """
    bands, rows, columns = whitened.shape
    mask = torch.from_numpy(observed.astype(np.float32))
    similarity = torch.from_numpy(np.ascontiguousarray(guide, np.float32))
    total = torch.full((rows, columns), 1e-3)
    for here, there, weight in _pairs(similarity, mask):
        total[here] += weight
        total[there] += weight
    scale = total.rsqrt() * mask
    spectra = torch.from_numpy(np.ascontiguousarray(whitened, np.float32)) * scale
    sums = torch.zeros_like(spectra)
    for here, there, weight in _pairs(similarity, mask):
        sums[here].addcmul_(spectra[there], weight)
    half = (sums.reshape(bands, -1) @ spectra.reshape(bands, -1).T).double().numpy()
    similar_pixels = float(total[mask > 0].median()) if observed.any() else 0.0
    return np.asarray((half + half.T) / max(float(mask.sum()), 1.0)), similar_pixels


def add_weak_directions(subspace: Subspace, values: NDArray, observed: Mask, guide: Cube, crop: tuple) -> Subspace:
    """The directions of the signal covariance, and those of the subspace that they do not contain.

    ``values``, ``observed`` ``(band, row, column)``: the data of the subspace. ``guide``: denoised eigen-images of
    their part ``crop``, from which the signal covariance is computed. Returns the subspace unchanged if the noise is
    so low that hardly any pixels are similar within it.
    """
    whitened = subspace.whiten(values[crop])
    covariance, similar_pixels = signal_covariance(whitened, guide, np.asarray(observed[crop].all(axis=0)))
    if similar_pixels < _MIN_SIMILAR_PIXELS:
        return subspace
    eigenvalues, vectors = np.linalg.eigh(covariance)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    lower, median, upper = np.percentile(eigenvalues, [25, 50, 75])
    edge = _NOISE_MARGIN * (upper - lower) / 2.0 / _SEMICIRCLE_QUARTILE
    variance = 1.0 + eigenvalues - median
    rank = min(int(np.count_nonzero(variance > 1.0 + edge)), subspace.rank + _MAX_NEW_DIRECTIONS)
    directions = vectors[:, :rank]
    # Materials outside the crop, and signal that neighbours do not share, show in the pixels' own covariance.
    sample = sample_spectra(values, np.asarray(observed.all(axis=0)))
    sample = (sample - subspace.mean[:, None]) / subspace.sigma[:, None]
    remainder = sample - directions @ (directions.T @ sample)
    remaining, own = np.linalg.eigh(remainder @ remainder.T / sample.shape[1])
    further = remaining > subspace.noise_edge
    if not rank and not further.any():
        return subspace
    basis = np.concatenate([directions, own[:, further]], axis=1)
    power = np.concatenate([variance[:rank], remaining[further]])
    order = np.argsort(-power, kind="stable")
    basis = basis[:, order]
    sample_variance = np.square(basis.T @ sample).mean(axis=1)
    return replace(subspace, basis=basis, variance=power[order], weak=sample_variance <= subspace.noise_edge)


def _pairs(guide: Tensor, mask: Tensor) -> Iterator[tuple[Index, Index, Tensor]]:
    """Each pair of pixels within the window once: for each shift, the indices of both pixels and the pairs' weights."""
    rows, columns = mask.shape
    for down in range(min(_WINDOW_RADIUS, rows - 1) + 1):
        for right in range(-min(_WINDOW_RADIUS, columns - 1), min(_WINDOW_RADIUS, columns - 1) + 1):
            if down == 0 and right <= 0:
                continue
            here = ..., slice(0, rows - down), slice(max(0, -right), min(columns, columns - right))
            there = ..., slice(down, rows), slice(max(0, right), min(columns, columns + right))
            exponent = (guide[there] - guide[here]).square_().sum(dim=0)
            exponent.div_(-2.0 * _SIMILARITY_VARIANCE)
            exponent.sub_((down * down + right * right) / (2.0 * _DISTANCE_SIGMA**2))
            yield here, there, exponent.exp_() * mask[here] * mask[there]
