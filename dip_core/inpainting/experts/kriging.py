"""*Kriging*: the best linear unbiased prediction under a covariance fitted to the data.

Bands with one mask are turned to *factors*, which are uncorrelated at one pixel and in the steps to the next, and so
almost everywhere; each is kriged with a covariance of its own. They are found among the leading principal components
(with few bands, they are these), and what these leave over is kriged with a common covariance. Ordinary kriging in a
local neighbourhood of 8 observed pixels a quadrant. Covariance ``(1 - nugget) m(h / range)`` plus the nugget at
``h = 0``, with Matern's ``m`` of *smoothness* 1/2 (exponential), 1 (Whittle) or 3/2, fitted to the semivariances; a
factor's weights are computed once for every setting of neighbours. Where few settings recur, as in stripes and dead
lines, 12 a quadrant are taken and the weights are corrected by what the scene itself shows (`learned_weights`).

Source: Chiles and Delfiner, Geostatistics (Wiley 1999), chapters 2.5, 3 and 5.6; Switzer and Green, Min/max
autocorrelation factors for multivariate spatial imagery (1984); the baseline of the GAP paper's Table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import k1

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from .kriging_learned_weights import correct, recurring
from .kriging_neighbours import PLACES, SEARCH_RADIUS, SPAN, Neighbourhood, parts
from .laplace import fill_harmonic

_FAR = 2 * (2 * SEARCH_RADIUS) ** 2 + 1
_LAGS = (1, 2, 3, 4, 6, 8, 11, 15, 20)
_RANGES = np.geomspace(1.0, 200.0, 40)
_NUGGETS = np.array([0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
_SMOOTHNESSES = (0.5, 1.0, 1.5)
_PER_QUADRANT_RECURRING = 12
_OWN_VARIOGRAMS = 32  # factors with a covariance of their own
_MANY_BANDS = 20  # with fewer, principal components are the better factors (on Landsat scenes, by up to 1 %)
_LEAST_POWER = 1e-9  # of the strongest component, below which one is rounding
_FEWEST_PAIRS = 50
_WORKING_FLOATS = 1 << 18  # of the systems that are solved at once: 2 MiB, which a cache holds


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
    for numbers, observed, target in observation.bands_by_mask():
        if target.any() and observed.any():
            out[numbers] = _fill(out[numbers], observed, target)
    return observation.keep_observed(out)


def _fill(values: NDArray[np.float64], observed: Mask, target: Mask) -> NDArray[np.float64]:
    """Fill bands ``(band, row, column)`` of one mask."""
    places = Neighbourhood(observed, target)
    again = recurring(places)
    if again:
        places = Neighbourhood(observed, target, _PER_QUADRANT_RECURRING)
    forth, back = _factors(values, observed)
    leading = np.tensordot(forth, values, axes=1)
    surfaces = [*leading[:, None]]
    if len(forth) < len(values):
        surfaces.append(values - np.tensordot(back, leading, axes=1))
    # Some bands are enough to learn the covariance of the rest.
    fitted = [fit_variogram(surface[:: len(surface) // _OWN_VARIOGRAMS + 1], observed) for surface in surfaces]
    weights = kriging_weights(places.settings, fitted)
    if again:
        correct(places, leading, weights[: len(forth)], observed)
    found = [places.apply(surface, own) for surface, own in zip(surfaces, weights)]
    filled = values.copy()
    filled[:, target] = back @ np.concatenate(found[: len(forth)])
    if len(forth) < len(values):
        filled[:, target] += found[-1]
    if not places.reached.all():
        done = target.copy()
        done[target] = places.reached
        filled = fill_harmonic(filled, observed | done, target & ~done)
    return filled


def _factors(values: NDArray[np.float64], observed: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The factors of ``(band, row, column)`` that get a covariance of their own: bands to factors, and back."""
    spectra = values[:, observed]
    if len(values) == 1 or spectra.shape[1] < 2:
        return np.eye(len(values)), np.eye(len(values))
    power, vectors = np.linalg.eigh(np.cov(spectra))
    kept = np.flatnonzero(power > _LEAST_POWER * max(power[-1], 1e-300))[::-1][:_OWN_VARIOGRAMS]
    if not len(kept):  # constant
        return np.eye(len(values)), np.eye(len(values))
    if len(values) < _MANY_BANDS:
        return vectors[:, kept].T, vectors[:, kept]
    size, vectors = np.sqrt(power[kept]), vectors[:, kept]
    white = (vectors / size).T
    images = np.tensordot(white, values, axes=1)
    steps, pairs = np.zeros((len(kept), len(kept))), 0
    for near, far in (
        ((..., slice(None, -1), slice(None)), (..., slice(1, None), slice(None))),
        ((..., slice(None, -1)), (..., slice(1, None))),
    ):
        both = observed[near] & observed[far]
        step = (images[near] - images[far])[:, both]
        steps, pairs = steps + step @ step.T, pairs + step.shape[1]
    turn = np.linalg.eigh(steps / max(pairs, 1))[1]
    return turn.T @ white, (vectors * size) @ turn


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


@lru_cache(maxsize=3)
def _between(neighbours: int) -> NDArray[np.int16]:
    """Squared distance of any two places; of an unused neighbour to others `_FAR`, whose covariance is 0."""
    down, right = np.divmod(np.arange(PLACES), SPAN)
    out = np.full((PLACES + neighbours, PLACES + neighbours), _FAR, np.int16)
    out[:PLACES, :PLACES] = np.square(down[:, None] - down) + np.square(right[:, None] - right)
    np.fill_diagonal(out, 0)
    return out


def kriging_weights(settings: NDArray[np.int16], variograms: Sequence[Variogram]) -> list[NDArray[np.float64]]:
    """Ordinary kriging weights ``(setting, neighbour)`` for each variogram; they sum to 1, unused ones are 0."""
    unlike = list(dict.fromkeys(variograms))  # fits lie on a grid, so several surfaces may share one
    out = [np.empty(settings.shape) for _ in unlike]
    for part, solved in _solve(settings, unlike):
        for weights, (own, _) in zip(out, solved):
            weights[part] = own
    found = dict(zip(unlike, out))
    # Each surface's weights are its own, for they may be corrected later.
    return [found[one].copy() if one in variograms[:number] else found[one] for number, one in enumerate(variograms)]


def kriging_variances(settings: NDArray[np.int16], variogram: Variogram) -> NDArray[np.float64]:
    """The variance of the error of ordinary kriging, in sills, ``(setting,)``, were the covariance the true one."""
    out = np.empty(len(settings))
    for part, [(_, own)] in _solve(settings, [variogram]):
        out[part] = own
    return np.maximum(out, 0.0)


def _solve(
    settings: NDArray[np.int16], variograms: Sequence[Variogram]
) -> Iterator[tuple[slice, list[tuple[NDArray[np.float64], NDArray[np.float64]]]]]:
    """Weights and variances of some settings after the other, for each variogram.

    ``C w = c0 + m 1`` with the multiplier ``m`` that makes the weights sum to 1; the variance is
    ``C(0) - w . c0 + m``. The target has no nugget of its own: the noise-free surface is predicted.
    """
    distances = np.sqrt(np.arange(_FAR, dtype=np.float64))
    tables = [np.append(variogram.covariance(distances), 0.0) for variogram in variograms]
    size = settings.shape[1]
    between = _between(size)
    middle = SEARCH_RADIUS * SPAN + SEARCH_RADIUS
    for part in parts(len(settings), max(1, _WORKING_FLOATS // size**2)):
        own = settings[part]
        squared, away = between[own[:, :, None], own[:, None]], between[own, middle]
        used = own < PLACES
        found = []
        for variogram, table in zip(variograms, tables):
            matrix = table[squared]
            matrix[:, np.arange(size), np.arange(size)] += 1e-6
            to_target = np.where(used, np.where(away > 0, table[away], 1.0 - variogram.nugget), 0.0)
            solved = np.linalg.solve(matrix, np.stack([to_target, used.astype(np.float64)], axis=-1))
            simple, ones = solved[..., 0], solved[..., 1]
            total = np.maximum(ones.sum(axis=1, keepdims=True), 1e-12)
            multiplier = (1.0 - simple.sum(axis=1, keepdims=True)) / total
            weights = np.where(used, simple + ones * multiplier, 0.0)
            left = 1.0 - variogram.nugget - (weights * to_target).sum(axis=1) + multiplier[:, 0]
            found.append((weights, left))
        yield part, found
