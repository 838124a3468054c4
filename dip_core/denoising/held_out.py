"""Held-out data for the validation of denoisers: hidden samples or split noise (see `validation`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.noise import MIN_REGRESSION_BANDS
from ..imaging.subspace import Subspace

Crop = tuple[slice, slice, slice]

VALIDATION_SIDE = 96  # pixels: the largest side of the window that is validated on
_FOLDS = 10  # one sample in so many is hidden
_NOISE_SPLIT = 0.7  # a of split noise
_MIN_SAMPLES = 200
_POSITIONS = 9  # candidates of a window's first row, and of its first column


@dataclass(frozen=True)
class HeldOutData:
    """Input of a denoiser (``values``, ``observed``, ``subspace``), and the held-out samples to compare with.

    ``samples``: noisy values ``(band, row, column)``, held out where ``mask``; ``noise``: their noise variances
    ``(band,)``. ``description``: how they were held out. ``baseline_name``, ``baseline``: a simple alternative.
    """

    values: NDArray
    observed: Mask
    subspace: Subspace
    samples: NDArray
    mask: Mask
    noise: NDArray[np.float64]
    description: str
    baseline_name: str
    baseline: Cube


def most_observed_crop(observed: Mask, side: int = VALIDATION_SIDE) -> Crop:
    """The crop of at most ``side`` x ``side`` pixels with the most observed ones, as near the centre as possible.

    ``observed``: ``(band, row, column)``; a pixel counts if any band observes it.
    """
    any_observed = np.asarray(observed.any(axis=0))
    rows, columns = any_observed.shape
    height, width = min(side, rows), min(side, columns)
    best, corner = -1.0, (0, 0)
    for top in np.unique(np.linspace(0, rows - height, _POSITIONS).astype(int)):
        for left in np.unique(np.linspace(0, columns - width, _POSITIONS).astype(int)):
            distance = np.hypot(top - (rows - height) / 2, left - (columns - width) / 2)
            centrality = 1.0 - distance / (rows + columns)
            rating = float(any_observed[top : top + height, left : left + width].mean()) + 0.01 * centrality
            if rating > best:
                best, corner = rating, (int(top), int(left))
    return slice(None), slice(corner[0], corner[0] + height), slice(corner[1], corner[1] + width)


def draw_hidden_samples(observed: Mask, rng: np.random.Generator) -> Mask:
    """The samples to hide, ``(band, row, column)``: one band in ten, different bands in different pixels."""
    offset = rng.integers(0, _FOLDS, observed.shape[1:])
    hidden = (np.arange(len(observed))[:, None, None] + offset) % _FOLDS == 0
    return np.asarray(hidden & observed)


def hold_out(
    values: NDArray,
    observed: Mask,
    subspace: Subspace,
    rng: np.random.Generator,
    hidden: Mask | None = None,
    plain: Subspace | None = None,
) -> HeldOutData | None:
    """Held-out data of ``values`` ``(band, row, column)``; None if too few samples are observed.

    With many bands, ``hidden``: the samples to hide, if they are drawn already; ``plain``: the subspace of the
    baseline, if it is another one.
    """
    if np.count_nonzero(observed) < _MIN_SAMPLES:
        return None
    if len(values) < MIN_REGRESSION_BANDS:
        return _split_noise(values, observed, subspace, rng)
    if hidden is None:
        hidden = draw_hidden_samples(observed, rng)
    return _hide_samples(values, observed, hidden, subspace, plain or subspace)


def _hide_samples(values: NDArray, observed: Mask, hidden: Mask, subspace: Subspace, plain: Subspace) -> HeldOutData:
    kept = observed & ~hidden
    images, _ = plain.project(values, kept)
    return HeldOutData(
        np.where(kept, values, 0),
        kept,
        subspace,
        values,
        observed & hidden & kept.any(axis=0),
        np.square(subspace.sigma),
        "one band in ten of every pixel was hidden",
        f"truncation to {plain.rank} principal components",
        plain.reconstruct(images),
    )


def _split_noise(values: NDArray, observed: Mask, subspace: Subspace, rng: np.random.Generator) -> HeldOutData:
    from skimage.restoration import denoise_nl_means  # slow to load and rarely needed

    fresh = (rng.standard_normal(values.shape) * subspace.sigma[:, None, None]).astype(np.float32)
    noisier = np.where(observed, values + _NOISE_SPLIT * fresh, 0)
    # The added noise is known, so its own variance is used instead of that of its distribution.
    pixels = np.maximum(observed.sum(axis=(1, 2)), 1)
    added = np.square(fresh).sum(axis=(1, 2), where=observed) / pixels / _NOISE_SPLIT**2
    growth = 1.0 + _NOISE_SPLIT**2
    harder = replace(
        subspace, sigma=subspace.sigma * np.sqrt(growth), eigenvalues=1.0 + (subspace.eigenvalues - 1.0) / growth
    )
    baseline = np.stack(
        [
            denoise_nl_means(band, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True)
            for band, sigma in zip(noisier.astype(np.float64), harder.sigma)
        ]
    ).reshape(values.shape)  # the function drops the axis of an image of one column
    return HeldOutData(
        noisier,
        observed,
        harder,
        values - fresh / _NOISE_SPLIT,
        observed,
        np.square(subspace.sigma) + added,
        "noise was split in two independent parts",
        "non-local means, band by band",
        baseline.astype(np.float32),
    )
