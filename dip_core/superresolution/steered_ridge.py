"""The *steered ridge*: what two simple enlargements miss, predicted by filters learned on the image's own coarser copy.

Back-projected interpolation *u* and vectorial total variation *v* err in opposite ways: one leaves edges soft and
rings, the other makes texture flat. The estimate is their mean plus linear filters (7 x 7) of each, learned in closed
form where the truth is known: on the image itself, enlarged from its own coarser copy. *Steering* makes the filters
follow the image: beside the plain ones there are filters that grow with the strength of the local gradients, and
filters that turn with their direction.

What is true of an image is true of the turned and mirrored one. Only combinations of the 7 x 7 pixels that respect
this are *terms* of the regression: those that no turn changes, and two kinds that change as the direction's cosine and
sine (of twice its angle) do. That leaves 30 coefficients of 49 x 4 and makes training on turned copies needless.

Sources: Shocher et al., Zero-shot super-resolution (2018), for the coarser copy as a teacher; Romano, Isidoro and
Milanfar, RAISR (2017), for filters chosen by the structure tensor; the symmetric terms and the two sources are our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube

_REACH = 3
_SMOOTH = 0.4  # coarse pixels over which gradients are gathered
_FLAT = 0.1  # of the mean strength, below which a direction is not trusted
_PENALTY = 1e-3
_FEWEST = 4  # pixels for each coefficient, below which nothing is learned
_FEW = 0.1  # more penalty for coefficients that few pixels have to teach

Combination = list[tuple[int, int, int]]


@dataclass(frozen=True)
class Steering:
    """Strength of the gradients in 0..1; cosine and sine of twice their angle, times coherence; ``(row, column)``."""

    strength: NDArray[np.float32]
    cosine: NDArray[np.float32]
    sine: NDArray[np.float32]


def tensor(images: Cube, factor: int) -> NDArray[np.float64]:
    """The structure tensor ``(xx + yy, xx - yy, 2 xy)`` of all images together, ``(3, row, column)``."""
    down, right = np.gradient(images, axis=1), np.gradient(images, axis=2)
    both = np.square(down).sum(axis=0), np.square(right).sum(axis=0)
    parts = (both[0] + both[1], both[0] - both[1], 2 * (down * right).sum(axis=0))
    return np.stack([ndimage.gaussian_filter(part.astype(np.float64), _SMOOTH * factor) for part in parts])


def steering(images: Cube, factor: int, typical: float) -> Steering:
    """``typical``: the scene's mean strength (`tensor`'s first part) at this resolution."""
    strength, difference, product = tensor(images, factor)
    typical = max(typical, 1e-30)
    trusted = strength + _FLAT * typical
    parts = strength / (strength + typical), difference / trusted, product / trusted
    return Steering(*(part.astype(np.float32) for part in parts))


def terms(smooth: NDArray, sharp: NDArray, steer: Steering) -> NDArray[np.float32]:
    """All terms of one image's two enlargements ``(row, column)``; ``(term, row, column)``."""
    out = []
    for image in (smooth, sharp):
        around = np.pad(image, _REACH, mode="symmetric")

        def gathered(found: Combination, around: NDArray = around) -> NDArray:
            rows, columns = smooth.shape
            total = np.zeros(smooth.shape, np.float32)
            for down, right, sign in found:
                part = around[_REACH + down : _REACH + down + rows, _REACH + right : _REACH + right + columns]
                total += part if sign > 0 else -part
            return total / np.float32(len(found))

        for found in _PLAIN:
            away = gathered(found) - image
            out += [away, away * steer.strength]
        out += [gathered(found) * steer.cosine for found in _COSINE]
        out += [gathered(found) * steer.sine for found in _SINE]
    difference = sharp - smooth
    return np.stack([*out, difference, difference * steer.strength])


class Teacher:
    """Gathers what pixels with a known truth say about the coefficients of ``rank`` images."""

    def __init__(self, rank: int) -> None:
        count = 2 * (2 * len(_PLAIN) + len(_COSINE) + len(_SINE) + 1)
        self._gram, self._aim = np.zeros((rank, count, count)), np.zeros((rank, count))
        self._pixels = 0

    def add(self, truth: Cube, smooth: Cube, sharp: Cube, steer: Steering, known: NDArray[np.bool_]) -> None:
        """Images ``(rank, row, column)`` and the pixels ``(row, column)`` whose truth counts."""
        for place in range(len(truth)):
            chosen = terms(smooth[place], sharp[place], steer)[:, known]
            missed = (truth[place] - (smooth[place] + sharp[place]) / 2)[known]
            self._gram[place] += chosen @ chosen.T
            self._aim[place] += chosen @ missed
        self._pixels += int(np.count_nonzero(known))

    def coefficients(self, samples: float = 1.0) -> NDArray[np.float64]:
        """``(rank, term)``; 0 where too few pixels were seen. ``samples``: how many pixels tell no more than one."""
        out = np.zeros_like(self._aim)
        count = out.shape[1]
        if self._pixels < _FEWEST * count * samples:
            return out
        penalty = _PENALTY + _FEW * count * samples / self._pixels
        for place, (gram, aim) in enumerate(zip(self._gram, self._aim)):
            size = np.sqrt(np.diag(gram))
            size = np.where(size > 1e-6 * size.max(initial=0.0), size, np.inf)
            scaled = gram / size[:, None] / size + penalty * np.eye(count)
            out[place] = np.linalg.solve(scaled, aim / size) / size
        return out


def steered_ridge(smooth: Cube, sharp: Cube, steer: Steering, coefficients: NDArray[np.float64]) -> Cube:
    """The estimate ``(rank, row, column)``; the mean of the two enlargements where nothing was learned."""
    out = (smooth + sharp) / 2
    if coefficients.any():
        for place, weights in enumerate(coefficients):
            out[place] += np.tensordot(weights.astype(np.float32), terms(smooth[place], sharp[place], steer), axes=1)
    return out.astype(np.float32)


def _orbits() -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """The pixels around a pixel in sets that turns and mirrors carry into each other."""
    for far in range(1, _REACH + 1):
        for near in range(far + 1):
            corners = {(far, near), (near, far)}
            yield (
                far,
                near,
                sorted({(a * down, b * right) for down, right in corners for a in (1, -1) for b in (1, -1)}),
            )


# How the sum over a set changes with a quarter turn: not at all, or by its sign as cosine and sine of 2 angles do.
_PLAIN: list[Combination] = [[(d, r, 1) for d, r in points] for _, _, points in _orbits()]
_COSINE: list[Combination] = [
    [(d, r, 1 if abs(d) > abs(r) else -1) for d, r in points] for far, near, points in _orbits() if far != near
]
_SINE: list[Combination] = [
    [(d, r, 1 if d * r > 0 else -1) for d, r in points] for _, near, points in _orbits() if near
]
