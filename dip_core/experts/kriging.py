"""*Kriging*: the best linear unbiased prediction under a covariance fitted to the data.

Ordinary kriging in a local neighbourhood: the nearest observed pixels of each quadrant, so that both rims
of a gap have a say. Covariance ``c(h) = (1 - nugget) exp(-h / range)`` plus the nugget at ``h = 0``,
fitted to the semivariances of the window's observed pixels, all bands together (bands are standardised),
so that weights are computed once for all bands with one mask.

Source: Chiles and Delfiner, Geostatistics (Wiley 1999), chapter 3; the baseline of the GAP paper's Table 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..observation import Cube, Mask, Observation
from .laplace import fill_harmonic

PER_QUADRANT = 4
SEARCH_RADIUS = 20
_LAGS = (1, 2, 3, 4, 6, 8, 11, 15, 20)
_RANGES = np.geomspace(1.0, 200.0, 40)
_NUGGETS = np.array([0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
_CHUNK = 20_000


@dataclass(frozen=True)
class Variogram:
    """Range in pixels, and the share of the sill that is nugget (noise)."""

    range: float
    nugget: float

    def covariance(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance at distances in pixels, for a sill of 1."""
        smooth = (1.0 - self.nugget) * np.exp(-distance / self.range)
        return np.where(distance == 0.0, 1.0, smooth)


def kriging(observation: Observation) -> Cube:
    """Ordinary kriging of the target pixels; ``(band, row, column)``.

    Pixels with fewer than four observed pixels within 20 pixels get the harmonic value.
    """
    variogram = fit_variogram(observation)
    out = observation.values.astype(np.float64)
    for numbers, observed, target in observation.groups():
        if not target.any() or not observed.any():
            continue
        filled, reached = _krige(observation.values[numbers].astype(np.float64), observed, target, variogram)
        if not reached.all():
            done = target.copy()
            done[target] = reached
            filled = fill_harmonic(filled, observed | done, target & ~done)
        out[numbers] = filled
    return observation.keep_observed(out)


def fit_variogram(observation: Observation) -> Variogram:
    """Least squares fit to the semivariances at lags along rows and columns, weighted by ``1 / lag``."""
    semivariances, lags = [], []
    values, observed = observation.values, observation.observed
    for lag in _LAGS:
        squares = count = 0.0
        for axis in (1, 2):
            if values.shape[axis] <= lag:
                continue
            near = [slice(None)] * 3
            far = [slice(None)] * 3
            near[axis], far[axis] = slice(None, -lag), slice(lag, None)
            both = observed[tuple(near)] & observed[tuple(far)]
            squares += float(np.square(values[tuple(near)] - values[tuple(far)], dtype=np.float64)[both].sum())
            count += np.count_nonzero(both)
        if count >= 50:
            semivariances.append(squares / count / 2.0)
            lags.append(float(lag))
    if len(lags) < 3:
        return Variogram(10.0, 0.02)
    gamma, at = np.array(semivariances), np.array(lags)
    weights = 1.0 / at
    best = (np.inf, Variogram(10.0, 0.02))
    for nugget in _NUGGETS:
        for reach in _RANGES:
            shape = nugget + (1.0 - nugget) * (1.0 - np.exp(-at / reach))
            sill = float((weights * shape * gamma).sum() / (weights * shape * shape).sum())
            error = float((weights * np.square(gamma - sill * shape)).sum())
            if error < best[0]:
                best = (error, Variogram(float(reach), float(nugget)))
    return best[1]


def _krige(
    values: NDArray[np.float64], observed: Mask, target: Mask, variogram: Variogram
) -> tuple[NDArray[np.float64], Mask]:
    rows, columns = np.nonzero(target)
    reached = np.zeros(len(rows), bool)
    filled = values.copy()
    quadrants = _quadrant_offsets()
    padded_observed = np.pad(observed, SEARCH_RADIUS)
    padded_values = np.pad(values, ((0, 0), (SEARCH_RADIUS, SEARCH_RADIUS), (SEARCH_RADIUS, SEARCH_RADIUS)))
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        offsets, used = _neighbours(rows[part], columns[part], padded_observed, quadrants)
        enough = used.sum(axis=1) >= 4
        weights = _weights(offsets, used, variogram)
        at_rows = rows[part, None] + offsets[..., 0] + SEARCH_RADIUS
        at_columns = columns[part, None] + offsets[..., 1] + SEARCH_RADIUS
        estimate = np.einsum("bpk,pk->bp", padded_values[:, at_rows, at_columns], weights)
        reached[part] = enough
        filled[:, rows[part][enough], columns[part][enough]] = estimate[:, enough]
    return filled, reached


def _quadrant_offsets() -> list[NDArray[np.int64]]:
    """Offsets within the search radius by quadrant, nearest first; axes belong to one quadrant each."""
    span = np.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
    down, right = (part.ravel() for part in np.meshgrid(span, span, indexing="ij"))
    away = np.hypot(down, right)
    order = np.argsort(away, kind="stable")
    order = order[(away[order] > 0) & (away[order] <= SEARCH_RADIUS)]
    down, right = down[order], right[order]
    sides = ((down < 0) & (right >= 0), (down >= 0) & (right > 0), (down > 0) & (right <= 0), (down <= 0) & (right < 0))
    return [np.stack([down[side], right[side]], axis=1) for side in sides]


def _neighbours(
    rows: NDArray[np.int64], columns: NDArray[np.int64], padded: Mask, quadrants: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], Mask]:
    """Offsets ``(pixel, neighbour, 2)`` of the nearest observed pixels, and which of them exist."""
    count = len(rows)
    offsets = np.zeros((count, len(quadrants), PER_QUADRANT, 2), np.int64)
    used = np.zeros((count, len(quadrants), PER_QUADRANT), bool)
    for side, quadrant in enumerate(quadrants):
        # Most pixels find their neighbours close by; only the others search the whole radius.
        near = quadrant[: len(quadrant) // 4]
        rank = _ranks(rows, columns, padded, near)
        _take(offsets[:, side], used[:, side], rank, near, slice(None))
        far = np.flatnonzero(rank[:, -1] < PER_QUADRANT)
        if len(far):
            _take(offsets[:, side], used[:, side], _ranks(rows[far], columns[far], padded, quadrant), quadrant, far)
    shape = (count, len(quadrants) * PER_QUADRANT)
    return offsets.reshape(*shape, 2), used.reshape(shape)


def _ranks(
    rows: NDArray[np.int64], columns: NDArray[np.int64], padded: Mask, offsets: NDArray[np.int64]
) -> NDArray[np.int16]:
    """How many of the first offsets hold an observed pixel, ``(pixel, offset)``."""
    place = (rows + SEARCH_RADIUS) * padded.shape[1] + columns + SEARCH_RADIUS
    step = offsets[:, 0] * padded.shape[1] + offsets[:, 1]
    return np.cumsum(padded.ravel()[place[:, None] + step], axis=1, dtype=np.int16)


def _take(
    offsets: NDArray[np.int64], used: Mask, rank: NDArray[np.int16], quadrant: NDArray[np.int64], at: object
) -> None:
    for number in range(PER_QUADRANT):
        exists = rank[:, -1] > number
        place = np.argmax(rank > number, axis=1)
        offsets[at, number] = np.where(exists[:, None], quadrant[place], 0)  # type: ignore[index]
        used[at, number] = exists  # type: ignore[index]


def _weights(offsets: NDArray[np.int64], used: Mask, variogram: Variogram) -> NDArray[np.float64]:
    """Ordinary kriging weights ``(pixel, neighbour)``; they sum to 1, unused neighbours get 0.

    Solves ``C w = c0 - m 1`` with the multiplier ``m`` that makes the weights sum to 1.
    """
    points = offsets.astype(np.float64)
    between = np.hypot(*np.moveaxis(points[:, :, None] - points[:, None], -1, 0))
    matrix = variogram.covariance(between)
    both = used[:, :, None] & used[:, None]
    identity = np.eye(points.shape[1])
    matrix = np.where(both, matrix, 0.0) * (1.0 - identity) + identity * (1.0 + 1e-6)
    # The target has no nugget of its own: the noise-free surface is predicted.
    to_target = (1.0 - variogram.nugget) * np.exp(-np.hypot(points[..., 0], points[..., 1]) / variogram.range)
    right = np.stack([np.where(used, to_target, 0.0), used.astype(np.float64)], axis=-1)
    solved = np.linalg.solve(matrix, right)
    simple, ones = solved[..., 0], solved[..., 1]
    total = np.maximum(ones.sum(axis=1, keepdims=True), 1e-12)
    return np.where(used, simple + ones * (1.0 - simple.sum(axis=1, keepdims=True)) / total, 0.0)
