"""Steered ridge: the error of two simple enlargements, predicted by filters learned on the image's downsampled copy.

Back-projected interpolation *u* and vectorial total variation *v* have opposite errors: the first blurs edges and
rings, the second flattens texture. The estimate is their mean plus linear 7 x 7 filters of each. The filters are
learned in closed form where the truth is known: on the image itself, enlarged from its downsampled copy. *Steering*
adapts them to the image: besides constant filters there are filters that grow with the strength of the local gradients,
and filters that rotate with their direction.

Rotating or mirroring an image must not change the result. So the *terms* of the regression are only those
combinations of the 7 x 7 pixels that are invariant, or that change like cosine and sine of twice the angle. This leaves
30 coefficients of 49 x 4 and makes training on rotated copies unnecessary.

Sources: Shocher et al., Zero-shot super-resolution (2018), for learning on the downsampled copy; Romano, Isidoro and
Milanfar, RAISR (2017), for filters selected by the structure tensor. Symmetric terms and two sources: our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube

_RADIUS = 3  # pixels: half of a filter
_TENSOR_SIGMA = 0.4  # coarse pixels over which gradients are averaged
_MIN_STRENGTH = 0.1  # of the mean strength; the directions of weaker gradients are damped
_PENALTY = 1e-3
_MIN_PIXELS_PER_COEFFICIENT = 4
_FEW_PIXELS_PENALTY = 0.1  # additional penalty, times coefficients per pixel

SignedOffsets = list[tuple[int, int, int]]  # (row, column, sign)


@dataclass(frozen=True)
class Steering:
    """Strength of the gradients in 0..1; cosine and sine of twice their angle, times coherence; ``(row, column)``."""

    strength: NDArray[np.float32]
    cosine: NDArray[np.float32]
    sine: NDArray[np.float32]


def structure_tensor(images: Cube, factor: int) -> NDArray[np.float64]:
    """The structure tensor ``(xx + yy, xx - yy, 2 xy)`` of all images together, ``(3, row, column)``."""
    down, right = np.gradient(images, axis=1), np.gradient(images, axis=2)
    squares = np.square(down).sum(axis=0), np.square(right).sum(axis=0)
    parts = (squares[0] + squares[1], squares[0] - squares[1], 2 * (down * right).sum(axis=0))
    return np.stack([ndimage.gaussian_filter(part.astype(np.float64), _TENSOR_SIGMA * factor) for part in parts])


def steering(images: Cube, factor: int, typical_strength: float) -> Steering:
    """Steering of fine images ``(rank, row, column)``.

    ``typical_strength``: the scene's mean of the structure tensor's first component at this resolution.
    """
    strength, difference, product = structure_tensor(images, factor)
    typical_strength = max(typical_strength, 1e-30)
    damped = strength + _MIN_STRENGTH * typical_strength
    parts = strength / (strength + typical_strength), difference / damped, product / damped
    return Steering(*(part.astype(np.float32) for part in parts))


def regression_terms(smooth: NDArray, sharp: NDArray, steer: Steering) -> NDArray[np.float32]:
    """All terms of the two enlargements ``(row, column)`` of one image; ``(term, row, column)``."""
    terms = []
    for image in (smooth, sharp):
        padded = np.pad(image, _RADIUS, mode="symmetric")

        def mean(offsets: SignedOffsets, padded: NDArray = padded) -> NDArray:
            rows, columns = smooth.shape
            total = np.zeros(smooth.shape, np.float32)
            for down, right, sign in offsets:
                part = padded[_RADIUS + down : _RADIUS + down + rows, _RADIUS + right : _RADIUS + right + columns]
                total += part if sign > 0 else -part
            return total / np.float32(len(offsets))

        for offsets in _INVARIANT:
            difference = mean(offsets) - image
            terms += [difference, difference * steer.strength]
        terms += [mean(offsets) * steer.cosine for offsets in _COSINE]
        terms += [mean(offsets) * steer.sine for offsets in _SINE]
    contrast = sharp - smooth
    return np.stack([*terms, contrast, contrast * steer.strength])


class RidgeAccumulator:
    """Sums of the ridge regression of ``rank`` images over pixels with a known truth."""

    def __init__(self, rank: int) -> None:
        count = 2 * (2 * len(_INVARIANT) + len(_COSINE) + len(_SINE) + 1)
        self._gram, self._target = np.zeros((rank, count, count)), np.zeros((rank, count))
        self._pixels = 0

    def add(self, truth: Cube, smooth: Cube, sharp: Cube, steer: Steering, usable: NDArray[np.bool_]) -> None:
        """Add images ``(rank, row, column)``, at the ``usable`` pixels ``(row, column)``."""
        for index in range(len(truth)):
            terms = regression_terms(smooth[index], sharp[index], steer)[:, usable]
            error = (truth[index] - (smooth[index] + sharp[index]) / 2)[usable]
            self._gram[index] += terms @ terms.T
            self._target[index] += terms @ error
        self._pixels += int(np.count_nonzero(usable))

    def coefficients(self, pixels_per_sample: float = 1.0) -> NDArray[np.float64]:
        """The coefficients ``(rank, term)``; 0 if there are too few pixels.

        ``pixels_per_sample``: number of correlated pixels that count as one.
        """
        out = np.zeros_like(self._target)
        count = out.shape[1]
        if self._pixels < _MIN_PIXELS_PER_COEFFICIENT * count * pixels_per_sample:
            return out
        penalty = _PENALTY + _FEW_PIXELS_PENALTY * count * pixels_per_sample / self._pixels
        for index, (gram, target) in enumerate(zip(self._gram, self._target)):
            size = np.sqrt(np.diag(gram))
            size = np.where(size > 1e-6 * size.max(initial=0.0), size, np.inf)
            scaled = gram / size[:, None] / size + penalty * np.eye(count)
            out[index] = np.linalg.solve(scaled, target / size) / size
        return out


def steered_ridge(smooth: Cube, sharp: Cube, steer: Steering, coefficients: NDArray[np.float64]) -> Cube:
    """The estimate ``(rank, row, column)``; the mean of the two enlargements if all coefficients are 0."""
    out = (smooth + sharp) / 2
    if coefficients.any():
        for index, weights in enumerate(coefficients):
            terms = regression_terms(smooth[index], sharp[index], steer)
            out[index] += np.tensordot(weights.astype(np.float32), terms, axes=1)
    return out.astype(np.float32)


def _orbits() -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Sets of offsets that rotations by 90 degrees and mirrors map onto themselves, with the larger and smaller one."""
    for far in range(1, _RADIUS + 1):
        for near in range(far + 1):
            corners = {(far, near), (near, far)}
            yield (
                far,
                near,
                sorted({(a * down, b * right) for down, right in corners for a in (1, -1) for b in (1, -1)}),
            )


# Sums that a quarter turn leaves unchanged, or whose sign it changes like cosine and sine of twice the angle.
_INVARIANT: list[SignedOffsets] = [[(d, r, 1) for d, r in points] for _, _, points in _orbits()]
_COSINE: list[SignedOffsets] = [
    [(d, r, 1 if abs(d) > abs(r) else -1) for d, r in points] for far, near, points in _orbits() if far != near
]
_SINE: list[SignedOffsets] = [
    [(d, r, 1 if d * r > 0 else -1) for d, r in points] for _, near, points in _orbits() if near
]
