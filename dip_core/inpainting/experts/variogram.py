"""Covariance models of a stationary random field, and their fit to the semivariances of an image.

Source: Chiles and Delfiner, Geostatistics (Wiley 1999), chapter 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import k1

from ...arrays import Mask

_LAGS = (1, 2, 3, 4, 6, 8, 11, 15, 20)  # pixels
_RANGES = np.geomspace(1.0, 200.0, 40)
_NUGGETS = np.array([0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
_SMOOTHNESSES = (0.5, 1.0, 1.5)
_MIN_PAIRS = 50  # of a lag
_MIN_LAGS = 3


@dataclass(frozen=True)
class Variogram:
    """Matern's covariance with a sill of 1, and a nugget.

    ``range``: in pixels. ``nugget``: the share of the sill that is noise. ``smoothness``: 1/2 (exponential), 1
    (Whittle) or 3/2.
    """

    range: float
    nugget: float
    smoothness: float = 0.5

    def noise_free_covariance(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance of the noise-free field, ``(1 - nugget) m(h / range)``, at distances h in pixels."""
        return (1.0 - self.nugget) * matern(distance / self.range, self.smoothness)

    def covariance(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance of the observed values: the nugget is added at distance 0."""
        return np.where(distance == 0.0, 1.0, self.noise_free_covariance(distance))


DEFAULT_VARIOGRAM = Variogram(10.0, 0.02)  # if there are too few pairs for a fit


def matern(distance: NDArray[np.float64], smoothness: float) -> NDArray[np.float64]:
    """Matern's correlation at distances in ranges: ``exp(-h)``, ``h K1(h)`` or ``(1 + h) exp(-h)``."""
    if smoothness == 1.0:
        positive = np.maximum(distance, 1e-9)
        return np.where(distance > 0, positive * k1(positive), 1.0)
    decay = np.exp(-distance)
    return decay if smoothness == 0.5 else (1.0 + distance) * decay


def fit_variogram(values: NDArray, observed: Mask) -> Variogram:
    """Least squares fit to the semivariances of all bands ``(band, row, column)`` together, weighted by ``1 / lag``.

    Lags are taken along rows and columns. With too few observed pairs the result is `DEFAULT_VARIOGRAM`.
    """
    semivariances, lags = [], []
    for lag in _LAGS:
        squares = count = 0.0
        for axis in (0, 1):
            if observed.shape[axis] <= lag:
                continue
            first, second = [slice(None), slice(None)], [slice(None), slice(None)]
            first[axis], second[axis] = slice(None, -lag), slice(lag, None)
            both = observed[tuple(first)] & observed[tuple(second)]
            increments = values[:, first[0], first[1]] - values[:, second[0], second[1]]
            squares += float(np.square(increments, dtype=np.float64).sum(axis=0)[both].sum())
            count += len(values) * np.count_nonzero(both)
        if count >= _MIN_PAIRS:
            semivariances.append(squares / count / 2.0)
            lags.append(float(lag))
    if len(lags) < _MIN_LAGS:
        return DEFAULT_VARIOGRAM
    gamma = np.array(semivariances)
    increase = 1.0 - _correlations(tuple(lags))  # (smoothness, range, lag)
    nuggets = _NUGGETS[:, None, None, None]
    shape = nuggets + (1.0 - nuggets) * increase
    weights = 1.0 / np.array(lags)
    sill = (weights * shape * gamma).sum(axis=-1) / (weights * shape * shape).sum(axis=-1)
    error = (weights * np.square(gamma - sill[..., None] * shape)).sum(axis=-1)
    nugget, smoothness, range_ = np.unravel_index(int(np.argmin(error)), error.shape)
    return Variogram(float(_RANGES[range_]), float(_NUGGETS[nugget]), _SMOOTHNESSES[smoothness])


@lru_cache(maxsize=16)
def _correlations(lags: tuple[float, ...]) -> NDArray[np.float64]:
    """Correlations at the lags, ``(smoothness, range, lag)``."""
    scaled = np.array(lags) / _RANGES[:, None]
    return np.stack([matern(scaled, smoothness) for smoothness in _SMOOTHNESSES])
