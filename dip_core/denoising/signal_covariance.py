"""The *signal covariance*: what the spectra of pixels have in common with those of pixels that look alike.

Noise is independent between pixels. So in

    ``C = sum over p != q of k_pq w_p w_q' / N``

of whitened spectra *w* the noise has mean 0, while in the covariance of the pixels with themselves it fills every
direction with variance 1. Weak directions of the signal, which noise hides or turns in the latter, stand out in C.
The weights are those of a bilateral filter, ``exp(-|a_p - a_q|^2 / (2 h^2) - |p - q|^2 / (2 s^2))`` within a window,
with *a* the denoised eigen-images of the directions that are known already, and then shared fairly,
``k_pq / sqrt(d_p d_q)`` with ``d_p = sum over q of k_pq``.

The eigenvalues of C that are noise spread evenly about 0, as Wigner's semicircle; its radius follows from the
quartiles, since most directions of many bands hold noise only. Directions beyond the radius hold signal.

Sources: Green et al., A transformation for ordering multispectral data in terms of image quality (1988), for the use
of neighbours in finding a subspace; Tomasi and Manduchi (1998) for the weights. Their combination is our own.
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

Place = tuple[EllipsisType, slice, slice]

_LIKENESS = 2.0  # h squared, in noise variances
_NEAR = 4.0  # s, in pixels
_REACH = 10  # pixels
_QUARTILE = 0.404  # of a semicircle's radius: half of it lies within
_MARGIN = 1.2  # radii that noise stays within
_FEWEST_ALIKE = 4.0  # pixels that a typical one must resemble
_MOST_NEW = 6  # directions more than the covariance of the pixels themselves shows


def signal_covariance(whitened: Cube, guide: Cube, seen: Mask) -> tuple[NDArray[np.float64], float]:
    """``C`` in noise variances ``(band, band)``, and how many pixels a typical one resembles: the sum of their weights.

    ``whitened``: spectra whose noise has variance 1 ``(band, row, column)``; ``guide``: what likeness is judged on
    ``(channel, row, column)``, in noise deviations. Pixels that are not ``seen`` ``(row, column)`` take no part.
    """
    bands, rows, columns = whitened.shape
    known = torch.from_numpy(seen.astype(np.float32))
    likeness = torch.from_numpy(np.ascontiguousarray(guide, np.float32))
    total = torch.full((rows, columns), 1e-3)
    for here, there, weight in _pairs(likeness, known):
        total[here] += weight
        total[there] += weight
    share = total.rsqrt() * known
    spectra = torch.from_numpy(np.ascontiguousarray(whitened, np.float32)) * share
    gathered = torch.zeros_like(spectra)
    for here, there, weight in _pairs(likeness, known):
        gathered[here].addcmul_(spectra[there], weight)
    half = (gathered.reshape(bands, -1) @ spectra.reshape(bands, -1).T).double().numpy()
    alike = float(total[known > 0].median()) if seen.any() else 0.0
    return np.asarray((half + half.T) / max(float(known.sum()), 1.0)), alike


def with_weak_directions(subspace: Subspace, values: NDArray, observed: Mask, guide: Cube, crop: tuple) -> Subspace:
    """The subspace with the directions of the signal covariance, and those of its own that they lack.

    ``values``, ``observed`` ``(band, row, column)``: what the subspace was found on. ``guide``: denoised
    eigen-images of their part ``crop``, whose signal covariance is taken. Where the noise is so low that hardly a pixel
    resembles another within it, there is nothing to be gained.
    """
    whitened = subspace.whiten(values[crop])
    covariance, alike = signal_covariance(whitened, guide, np.asarray(observed[crop].all(axis=0)))
    if alike < _FEWEST_ALIKE:
        return subspace
    found, vectors = np.linalg.eigh(covariance)
    found, vectors = found[::-1], vectors[:, ::-1]
    lower, middle, upper = np.percentile(found, [25, 50, 75])
    edge = _MARGIN * (upper - lower) / 2.0 / _QUARTILE
    variance = 1.0 + found - middle
    rank = min(int(np.count_nonzero(variance > 1.0 + edge)), subspace.rank + _MOST_NEW)
    chosen = vectors[:, :rank]
    # Materials that the crop lacks, and signal that neighbours do not share: seen in the pixels themselves.
    sample = sample_spectra(values, np.asarray(observed.all(axis=0)))
    sample = (sample - subspace.mean[:, None]) / subspace.sigma[:, None]
    rest_of_it = sample - chosen @ (chosen.T @ sample)
    rest, own = np.linalg.eigh(rest_of_it @ rest_of_it.T / sample.shape[1])
    further = rest > subspace.noise_edge
    if not rank and not further.any():
        return subspace
    basis = np.concatenate([chosen, own[:, further]], axis=1)
    power = np.concatenate([variance[:rank], rest[further]])
    order = np.argsort(-power, kind="stable")
    basis = basis[:, order]
    by_itself = np.square(basis.T @ sample).mean(axis=1)
    return replace(subspace, basis=basis, variance=power[order], weak=by_itself <= subspace.noise_edge)


def _pairs(guide: Tensor, known: Tensor) -> Iterator[tuple[Place, Place, Tensor]]:
    """Every shift of half the window once: the pixels here, those there, and the weights of the pairs."""
    rows, columns = known.shape
    for down in range(min(_REACH, rows - 1) + 1):
        for right in range(-min(_REACH, columns - 1), min(_REACH, columns - 1) + 1):
            if down == 0 and right <= 0:
                continue
            here = ..., slice(0, rows - down), slice(max(0, -right), min(columns, columns - right))
            there = ..., slice(down, rows), slice(max(0, right), min(columns, columns + right))
            apart = (guide[there] - guide[here]).square_().sum(dim=0)
            apart = apart.div_(-2.0 * _LIKENESS).sub_((down * down + right * right) / (2.0 * _NEAR**2))
            yield here, there, apart.exp_() * known[here] * known[there]
