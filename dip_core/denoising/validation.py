"""The *trial* of denoisers without the truth: values held out of the data, on which they are judged.

- *Hidden samples* (many bands): one band in ten of every pixel is hidden, another one in each pixel. What a denoiser
  says of a hidden sample comes from the pixel's other bands and from other pixels, whose noise is independent of the
  sample's. So the mean squared difference to the sample is the denoiser's error plus the noise of the sample, and
  the better of two denoisers is the one with the lower difference, whatever the noise level is.
- *Split noise* (few bands, which cannot stand in for each other): fresh noise e of the scene's level is added as
  ``y + a e`` for the denoiser and as ``y - e / a`` for the judge. For normal noise the two are independent.

The *error* is the mean squared difference less the noise variance of what was held out; it is an estimate of the
squared difference to the noise-free scene, in a task a little harder than the real one.

Sources: Batson and Royer, Noise2Self (2019), for hidden samples; Oliveira, Lei and Tibshirani, Unbiased risk
estimation in the normal means problem via coupled bootstrap (2021), for split noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.noise import MIN_REGRESSION_BANDS
from ..imaging.simplex_weights import minimize_bounded
from ..imaging.subspace import Subspace
from . import error_model
from .clipping import Limits, moments
from .error_model import ErrorModel

Crop = tuple[slice, slice, slice]

SIDE = 96  # pixels of the part of a scene that a trial takes
_FOLDS = 10
_SPLIT = 0.7
_LEAST_SLOPE = 0.5
_FEWEST = 200  # held-out values


@dataclass(frozen=True)
class Trial:
    """What a denoiser gets (values, observed, subspace), and the held-out samples that it is judged on.

    ``truth``: noisy values where ``judged``, with the noise variances ``noise`` ``(band,)``. ``kind``: how they were
    held out, in words; ``baseline``: the name and estimate of a simple alternative.
    """

    values: NDArray
    observed: Mask
    subspace: Subspace
    truth: NDArray
    judged: Mask
    noise: NDArray[np.float64]
    kind: str
    baseline_name: str
    baseline: Cube


@dataclass(frozen=True)
class Score:
    """The errors on the held-out samples. Arrays are ``(band,)``; squared errors are less the samples' own noise.

    ``power``: variance of the estimate. ``residual_ratio``: standard deviation of the held-out samples
    about the estimate, over that of their noise; 1 for a perfect estimate.
    """

    kind: str
    baseline_name: str
    count: NDArray[np.int64]
    error: NDArray[np.float64]
    baseline_error: NDArray[np.float64]
    power: NDArray[np.float64]
    residual_ratio: NDArray[np.float64]

    @property
    def rmse(self) -> float | None:
        """Root of the mean error over all samples, in the data's units; None where noise hides it."""
        return _root_mean(self.error, self.count)

    @property
    def baseline_rmse(self) -> float | None:
        """The same of the simple alternative."""
        return _root_mean(self.baseline_error, self.count)

    @property
    def r2(self) -> float | None:
        """Mean over bands of the share of the variance that is explained; bands without any are left out."""
        usable = (self.count > 0) & (self.power > 0)
        if not usable.any():
            return None
        return float(np.mean(1.0 - np.maximum(self.error[usable], 0.0) / self.power[usable]))


def middle(observed: Mask, side: int = SIDE) -> Crop:
    """The window of at most ``side`` pixels a side with most observed pixels; of equals the one nearest the middle."""
    seen = np.asarray(observed.any(axis=0))
    rows, columns = seen.shape
    tall, wide = min(side, rows), min(side, columns)
    best, place = -1.0, (0, 0)
    for top in np.unique(np.linspace(0, rows - tall, 9).astype(int)):
        for left in np.unique(np.linspace(0, columns - wide, 9).astype(int)):
            centred = 1.0 - np.hypot(top - (rows - tall) / 2, left - (columns - wide) / 2) / (rows + columns)
            share = float(seen[top : top + tall, left : left + wide].mean()) + 0.01 * centred
            if share > best:
                best, place = share, (int(top), int(left))
    return slice(None), slice(place[0], place[0] + tall), slice(place[1], place[1] + wide)


def hidden_samples(observed: Mask, rng: np.random.Generator) -> Mask:
    """Which samples ``(band, row, column)`` a trial of many bands hides: one band in ten, another one in each pixel."""
    turn = rng.integers(0, _FOLDS, observed.shape[1:])
    hidden = (np.arange(len(observed))[:, None, None] + turn) % _FOLDS == 0
    return np.asarray(hidden & observed)


def hold_out(
    values: NDArray,
    observed: Mask,
    subspace: Subspace,
    rng: np.random.Generator,
    hidden: Mask | None = None,
    plain: Subspace | None = None,
) -> Trial | None:
    """A trial on ``values`` ``(band, row, column)``; None where too little is observed.

    Of many bands, ``hidden``: the samples to hide, where they are chosen already; ``plain``: the subspace of the simple
    alternative, where it is another one.
    """
    if np.count_nonzero(observed) < _FEWEST:
        return None
    if len(values) >= MIN_REGRESSION_BANDS:
        return _without(values, observed, hidden_samples(observed, rng) if hidden is None else hidden, subspace, plain)
    return _split_noise(values, observed, subspace, rng)


def best_shares(test: Trial, estimates: Sequence[Cube], limits: Limits) -> NDArray[np.float64]:
    """Shares (not negative, sum 1) of one or two estimates with the least squared difference to held-out samples.

    Differences count in noise variances. With the share s of the second, ``|| e0 + s (e1 - e0) ||^2`` is least at
    ``s = - e0' (e1 - e0) / || e1 - e0 ||^2``.
    """
    if len(estimates) == 1:
        return np.ones(1)
    first, second = (moments(estimate, np.sqrt(test.noise), limits)[0] for estimate in estimates)
    sigma = test.subspace.sigma.astype(np.float32)[:, None, None]
    error = ((first - test.truth) / sigma)[test.judged].astype(np.float64)
    step = ((second - first) / sigma)[test.judged].astype(np.float64)
    length = float(step @ step)
    share = min(max(-float(error @ step) / length, 0.0), 1.0) if length > 0 else 0.0
    return np.array([1.0 - share, share])


def gains(test: Trial, estimate: Cube, limits: Limits) -> NDArray[np.float64]:
    """The factors (0 to 1) of the eigen-images with the least squared difference to held-out samples, ``(rank,)``.

    What a denoiser leaves of the noise in a weak eigen-image may exceed the signal that it finds there: a factor below
    1 is the better estimate (Wiener). ``min sum over samples of (E_b' G a_p - w_bp)^2`` for whitened samples w.
    """
    basis = test.subspace.basis.astype(np.float32)
    images = basis.T @ test.subspace.whiten(estimate).reshape(len(basis), -1)
    mean, _, slope = moments(estimate, np.sqrt(test.noise), limits)
    judged = test.judged & (slope > _LEAST_SLOPE)
    sample = estimate + np.where(judged, (test.truth - mean) / np.where(judged, slope, 1.0), 0.0)
    wanted = np.where(judged, test.subspace.whiten(sample), 0).reshape(len(basis), -1)
    counted = judged.reshape(len(basis), -1).astype(np.float32)
    right = ((basis.T @ wanted) * images).sum(axis=1, dtype=np.float64)
    gram = np.empty((len(images), len(images)))
    for row, image in enumerate(images):
        shared = (basis * basis[:, row : row + 1]).T @ counted  # sum over the judged bands of E_bi E_bj
        gram[row] = (shared * images * image).sum(axis=1, dtype=np.float64)
    return minimize_bounded(gram, right, 1.0)


def judge(test: Trial, estimate: Cube, spread: Cube, leverage: Cube | None, limits: Limits) -> tuple[ErrorModel, Score]:
    """The error model that the held-out samples support, and the scores.

    Where the data are clipped, an estimate x is compared with the samples as ``g(x)``, and the difference divided by
    the slope of g; samples that are clipped more often than not tell nothing and do not count.
    """
    mean, variance, slope = moments(estimate, np.sqrt(test.noise), limits)
    judged = test.judged & (slope > _LEAST_SLOPE)
    slope = np.where(judged, slope, 1.0)
    noise = np.where(judged, variance / np.square(slope), 0.0)
    square = np.where(judged, np.square((mean - test.truth) / slope), 0.0)
    simple = moments(test.baseline, np.sqrt(test.noise), limits)[0]
    base = np.where(judged, np.square((simple - test.truth) / slope), 0.0)
    count = judged.sum(axis=(1, 2))
    each = np.maximum(count, 1)
    error, level = square.sum(axis=(1, 2)) / each, noise.sum(axis=(1, 2)) / each
    power = np.array([float(own[here].var()) if here.any() else 0.0 for own, here in zip(estimate, judged)])
    score = Score(
        test.kind,
        test.baseline_name,
        count,
        error - level,
        base.sum(axis=(1, 2)) / each - level,
        power,
        np.sqrt(error / np.where(level > 0, level, 1.0)),
    )
    if not judged.any():
        return error_model.unknown(test.subspace, leverage is not None), score
    unit = np.square(test.subspace.sigma)[:, None, None]
    return error_model.learn(test.subspace, estimate, spread, leverage, square / unit, noise / unit, judged), score


def _without(values: NDArray, observed: Mask, hidden: Mask, subspace: Subspace, plain: Subspace | None) -> Trial:
    kept = observed & ~hidden
    plain = plain or subspace
    judged = observed & hidden & kept.any(axis=0)
    images, _ = plain.project(values, kept)
    return Trial(
        np.where(kept, values, 0),
        kept,
        subspace,
        values,
        judged,
        np.square(subspace.sigma),
        "one band in ten of every pixel was hidden",
        f"truncation to {plain.rank} principal components",
        plain.reconstruct(images),
    )


def _split_noise(values: NDArray, observed: Mask, subspace: Subspace, rng: np.random.Generator) -> Trial:
    from skimage.restoration import denoise_nl_means  # slow to load, and seldom wanted

    fresh = (rng.standard_normal(values.shape) * subspace.sigma[:, None, None]).astype(np.float32)
    given = np.where(observed, values + _SPLIT * fresh, 0)
    # The noise that was added is known, so its own variance is taken, not that of its distribution.
    added = np.square(fresh).sum(axis=(1, 2), where=observed) / np.maximum(observed.sum(axis=(1, 2)), 1) / _SPLIT**2
    growth = 1.0 + _SPLIT**2
    harder = replace(
        subspace, sigma=subspace.sigma * np.sqrt(growth), eigenvalues=1.0 + (subspace.eigenvalues - 1.0) / growth
    )
    baseline = np.stack(
        [
            denoise_nl_means(band, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True)
            for band, sigma in zip(given.astype(np.float64), harder.sigma)
        ]
    )
    return Trial(
        given,
        observed,
        harder,
        values - fresh / _SPLIT,
        observed,
        np.square(subspace.sigma) + added,
        "noise was split in two independent parts",
        "non-local means, band by band",
        baseline.astype(np.float32),
    )


def _root_mean(error: NDArray[np.float64], count: NDArray[np.int64]) -> float | None:
    mean = float((error * count).sum() / max(count.sum(), 1))
    return float(np.sqrt(mean)) if mean > 0 else None
