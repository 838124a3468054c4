"""*Kriging*: the best linear unbiased prediction under a covariance fitted to the data.

Bands with one mask are rotated to their *principal components*, which are uncorrelated and of unlike roughness; each
of the leading components is kriged with a covariance of its own, the rest with a common one. Ordinary kriging in a
local neighbourhood: the nearest observed pixels of each quadrant, so that both rims of a gap have a say. Covariance
``(1 - nugget) m(h / range)`` plus the nugget at ``h = 0``, with Matern's ``m`` of *smoothness* 1/2 (exponential), 1
(Whittle) or 3/2, fitted to the semivariances. Pixels whose neighbours lie alike have the same weights; these are
computed once.

Source: Chiles and Delfiner, Geostatistics (Wiley 1999), chapters 2.5, 3 and 5.6; the baseline of the GAP paper's
Table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import k1

from ..observation import Cube, Mask, Observation
from .laplace import fill_harmonic

PER_QUADRANT = 8
SEARCH_RADIUS = 20
_SPAN = 2 * SEARCH_RADIUS + 1
_PLACES = _SPAN**2
_FAR = 2 * (2 * SEARCH_RADIUS) ** 2 + 1
_LAGS = (1, 2, 3, 4, 6, 8, 11, 15, 20)
_RANGES = np.geomspace(1.0, 200.0, 40)
_NUGGETS = np.array([0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
_SMOOTHNESSES = (0.5, 1.0, 1.5)
_OWN_VARIOGRAMS = 24  # principal components with a covariance of their own
_FEWEST_PAIRS = 50
_CHUNK = 20_000
_WORKING_FLOATS = 1 << 22  # of the systems that are solved at once: 32 MiB


@dataclass(frozen=True)
class Variogram:
    """Range in pixels, the share of the sill that is nugget (noise), and Matern's smoothness (1/2, 1 or 3/2)."""

    range: float
    nugget: float
    smoothness: float = 0.5

    def surface(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance of the noise-free surface at distances in pixels, for a sill of 1."""
        return (1.0 - self.nugget) * matern(distance / self.range, self.smoothness)

    def covariance(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance of what is observed: at distance 0 the nugget is added."""
        return np.where(distance == 0.0, 1.0, self.surface(distance))


def matern(distance: NDArray[np.float64], smoothness: float) -> NDArray[np.float64]:
    """Matern's correlation at distances in ranges: ``exp(-h)``, ``h K1(h)`` or ``(1 + h) exp(-h)``."""
    if smoothness == 1.0:
        away = np.maximum(distance, 1e-9)
        return np.where(distance > 0, away * k1(away), 1.0)
    decay = np.exp(-distance)
    return decay if smoothness == 0.5 else (1.0 + distance) * decay


def kriging(observation: Observation) -> Cube:
    """Ordinary kriging of the target pixels; ``(band, row, column)``.

    Pixels with fewer than four observed pixels within 20 pixels get the harmonic value.
    """
    out = observation.values.astype(np.float64)
    for numbers, observed, target in observation.groups():
        if target.any() and observed.any():
            out[numbers] = _fill(out[numbers], observed, target)
    return observation.keep_observed(out)


def _fill(values: NDArray[np.float64], observed: Mask, target: Mask) -> NDArray[np.float64]:
    """Fill bands ``(band, row, column)`` of one mask."""
    places = Neighbourhood(observed, target)
    axes = _principal_axes(values[:, observed])
    parts = [np.tensordot(axis, values, axes=1)[None] for axis in axes]
    if len(axes) < len(values):
        parts.append(values - np.tensordot(axes.T, np.concatenate(parts), axes=1))
    # Some bands are enough to learn the covariance of the rest.
    fitted = [fit_variogram(part[:: len(part) // _OWN_VARIOGRAMS + 1], observed) for part in parts]
    found = places.krige(parts, fitted)
    filled = values.copy()
    filled[:, target] = axes.T @ np.concatenate(found[: len(axes)])
    if len(axes) < len(values):
        filled[:, target] += found[-1]
    if not places.reached.all():
        done = target.copy()
        done[target] = places.reached
        filled = fill_harmonic(filled, observed | done, target & ~done)
    return filled


def _principal_axes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The leading axes of ``(band, pixel)`` that get a covariance of their own, one a row."""
    if len(values) == 1:
        return np.ones((1, 1))
    vectors = np.linalg.eigh(np.cov(values) if values.shape[1] > 1 else np.eye(len(values)))[1]
    return vectors[:, ::-1].T[:_OWN_VARIOGRAMS]


def fit_variogram(values: NDArray, observed: Mask) -> Variogram:
    """Least squares fit to the semivariances of ``(band, row, column)`` together, weighted by ``1 / lag``.

    Lags lie along rows and columns. A short range without nugget stands in where too few pairs are observed.
    """
    semivariances, lags = [], []
    for lag in _LAGS:
        squares = count = 0.0
        for axis in (0, 1):
            if observed.shape[axis] <= lag:
                continue
            near, far = [slice(None), slice(None)], [slice(None), slice(None)]
            near[axis], far[axis] = slice(None, -lag), slice(lag, None)
            both = observed[tuple(near)] & observed[tuple(far)]
            steps = values[:, near[0], near[1]] - values[:, far[0], far[1]]
            squares += float(np.square(steps, dtype=np.float64).sum(axis=0)[both].sum())
            count += len(values) * np.count_nonzero(both)
        if count >= _FEWEST_PAIRS:
            semivariances.append(squares / count / 2.0)
            lags.append(float(lag))
    if len(lags) < 3:
        return Variogram(10.0, 0.02)
    gamma = np.array(semivariances)
    rises = 1.0 - _correlations(tuple(lags))  # (smoothness, range, lag)
    nuggets = _NUGGETS[:, None, None, None]
    shape = nuggets + (1.0 - nuggets) * rises
    weights = 1.0 / np.array(lags)
    sill = (weights * shape * gamma).sum(axis=-1) / (weights * shape * shape).sum(axis=-1)
    error = (weights * np.square(gamma - sill[..., None] * shape)).sum(axis=-1)
    nugget, smoothness, reach = np.unravel_index(int(np.argmin(error)), error.shape)
    return Variogram(float(_RANGES[reach]), float(_NUGGETS[nugget]), _SMOOTHNESSES[smoothness])


@lru_cache(maxsize=16)
def _correlations(lags: tuple[float, ...]) -> NDArray[np.float64]:
    """Correlations at lags, ``(smoothness, range, lag)``."""
    scaled = np.array(lags) / _RANGES[:, None]
    return np.stack([matern(scaled, smoothness) for smoothness in _SMOOTHNESSES])


class Neighbourhood:
    """The neighbours of all target pixels, and which target pixels have enough of them.

    ``reached``: ``(target pixel,)``. A *setting* is a way in which neighbours lie: their places, as in `_between`.
    """

    def __init__(self, observed: Mask, target: Mask) -> None:
        self._rows, self._columns = np.nonzero(target)
        quadrants = _quadrant_offsets()
        padded = np.pad(observed, SEARCH_RADIUS)
        places = [
            _places(*_neighbours(self._rows[part], self._columns[part], padded, quadrants))
            for part in _parts(len(self._rows), _CHUNK)
        ]
        packed = np.concatenate(places)
        _, first, which = np.unique(packed.view(f"V{packed.strides[0]}"), return_index=True, return_inverse=True)
        self.settings, self._setting = packed[first], which.reshape(-1)
        self.reached: Mask = ((packed < _PLACES).sum(axis=1) >= 4).astype(bool)

    def krige(
        self, surfaces: Sequence[NDArray[np.float64]], variograms: Sequence[Variogram]
    ) -> list[NDArray[np.float64]]:
        """Estimates ``(band, target pixel)`` of surfaces ``(band, row, column)``; 0 where a pixel is not reached."""
        weights = _weights(self.settings, variograms)
        return [self._apply(surface, own) for surface, own in zip(surfaces, weights)]

    def _apply(self, values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        size = self.settings.shape[1]
        padded = np.pad(values, ((0, 0), (SEARCH_RADIUS, SEARCH_RADIUS), (SEARCH_RADIUS, SEARCH_RADIUS)))
        width = padded.shape[2]
        flat = padded.reshape(len(values), -1)
        start = self._rows * width + self._columns
        down, right = np.divmod(np.minimum(self.settings, _PLACES - 1).astype(np.int64), _SPAN)
        step = down * width + right
        out = np.empty((len(values), len(start)))
        for part in _parts(len(start), max(1, _WORKING_FLOATS // (size * len(values)))):
            setting = self._setting[part]
            out[:, part] = np.einsum("bpk,pk->bp", flat[:, start[part, None] + step[setting]], weights[setting])
        return np.where(self.reached, out, 0.0)


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


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


def _places(offsets: NDArray[np.int64], used: Mask) -> NDArray[np.int16]:
    """Neighbours as numbers of places in the search window, row by row; the k-th, where unused, as ``_PLACES + k``."""
    inside = (offsets[..., 0] + SEARCH_RADIUS) * _SPAN + offsets[..., 1] + SEARCH_RADIUS
    return np.where(used, inside, _PLACES + np.arange(offsets.shape[1])).astype(np.int16)


@lru_cache(maxsize=2)
def _between(neighbours: int) -> NDArray[np.int16]:
    """Squared distance of any two places; of an unused neighbour to others `_FAR`, whose covariance is 0."""
    down, right = np.divmod(np.arange(_PLACES), _SPAN)
    out = np.full((_PLACES + neighbours, _PLACES + neighbours), _FAR, np.int16)
    out[:_PLACES, :_PLACES] = np.square(down[:, None] - down) + np.square(right[:, None] - right)
    np.fill_diagonal(out, 0)
    return out


def _weights(settings: NDArray[np.int16], variograms: Sequence[Variogram]) -> list[NDArray[np.float64]]:
    """Ordinary kriging weights ``(setting, neighbour)`` for each variogram; they sum to 1, unused ones are 0.

    Solves ``C w = c0 - m 1`` with the multiplier ``m`` that makes the weights sum to 1.
    """
    distances = np.sqrt(np.arange(_FAR, dtype=np.float64))
    tables = [np.append(variogram.covariance(distances), 0.0) for variogram in variograms]
    size = settings.shape[1]
    between = _between(size)
    middle = SEARCH_RADIUS * _SPAN + SEARCH_RADIUS
    out = [np.empty(settings.shape) for _ in variograms]
    for part in _parts(len(settings), max(1, _WORKING_FLOATS // size**2)):
        own = settings[part]
        squared, away = between[own[:, :, None], own[:, None]], between[own, middle]
        used = own < _PLACES
        for variogram, table, weights in zip(variograms, tables, out):
            matrix = table[squared]
            matrix[:, np.arange(size), np.arange(size)] += 1e-6
            # The target has no nugget of its own: the noise-free surface is predicted.
            to_target = np.where(away > 0, table[away], 1.0 - variogram.nugget)
            right = np.stack([np.where(used, to_target, 0.0), used.astype(np.float64)], axis=-1)
            solved = np.linalg.solve(matrix, right)
            simple, ones = solved[..., 0], solved[..., 1]
            total = np.maximum(ones.sum(axis=1, keepdims=True), 1e-12)
            weights[part] = np.where(used, simple + ones * (1.0 - simple.sum(axis=1, keepdims=True)) / total, 0.0)
    return out
