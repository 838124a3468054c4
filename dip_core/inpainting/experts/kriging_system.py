"""The equations of ordinary kriging: weights and variances of neighbour configurations.

``C w = c0 + m 1`` with the multiplier ``m`` that makes the weights sum to 1; the variance of the error is
``C(0) - w . c0 + m``. The noise-free value is predicted, so the target has no nugget.

Source: Chiles and Delfiner, Geostatistics (Wiley 1999), chapter 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .kriging_neighbours import SEARCH_RADIUS, WINDOW_PIXELS, WINDOW_SIDE, slices
from .variogram import Variogram

_NO_NEIGHBOUR = 2 * (2 * SEARCH_RADIUS) ** 2 + 1  # a squared distance that no two pixels of the window have
_WORKING_FLOATS = 1 << 18  # of the systems that are solved at once: 2 MiB, which fits in a cache
_DIAGONAL_LOADING = 1e-6

Solution = tuple[NDArray[np.float64], NDArray[np.float64]]  # weights and variances


def kriging_weights(configurations: NDArray[np.int16], variograms: Sequence[Variogram]) -> list[NDArray[np.float64]]:
    """Weights ``(configuration, neighbour)`` for each variogram; they sum to 1 and are 0 for missing neighbours.

    ``configurations``: as in `Neighbourhood`.
    """
    distinct = list(dict.fromkeys(variograms))  # variograms are fitted on a grid, so several may be equal
    out = [np.empty(configurations.shape) for _ in distinct]
    for part, solutions in _solve(configurations, distinct):
        for weights, (solution, _) in zip(out, solutions):
            weights[part] = solution
    by_variogram = dict(zip(distinct, out))
    # Copies, because the caller may correct the weights of each component.
    return [
        by_variogram[variogram].copy() if variogram in variograms[:number] else by_variogram[variogram]
        for number, variogram in enumerate(variograms)
    ]


def kriging_variances(configurations: NDArray[np.int16], variogram: Variogram) -> NDArray[np.float64]:
    """Variance of the error of ordinary kriging ``(configuration,)`` for a sill of 1, if the variogram is true."""
    out = np.empty(len(configurations))
    for part, [(_, variances)] in _solve(configurations, [variogram]):
        out[part] = variances
    return np.maximum(out, 0.0)


@lru_cache(maxsize=3)
def _squared_distances(neighbours: int) -> NDArray[np.int16]:
    """Squared distance between any two positions; `_NO_NEIGHBOUR`, with covariance 0, for missing neighbours."""
    row, column = np.divmod(np.arange(WINDOW_PIXELS), WINDOW_SIDE)
    out = np.full((WINDOW_PIXELS + neighbours, WINDOW_PIXELS + neighbours), _NO_NEIGHBOUR, np.int16)
    out[:WINDOW_PIXELS, :WINDOW_PIXELS] = np.square(row[:, None] - row) + np.square(column[:, None] - column)
    np.fill_diagonal(out, 0)
    return out


def _solve(
    configurations: NDArray[np.int16], variograms: Sequence[Variogram]
) -> Iterator[tuple[slice, list[Solution]]]:
    """Solve the systems part by part; yields the part and the solution for each variogram."""
    distances = np.sqrt(np.arange(_NO_NEIGHBOUR, dtype=np.float64))
    covariances = [np.append(variogram.covariance(distances), 0.0) for variogram in variograms]
    size = configurations.shape[1]
    squared_distances = _squared_distances(size)
    centre = SEARCH_RADIUS * WINDOW_SIDE + SEARCH_RADIUS
    for part in slices(len(configurations), max(1, _WORKING_FLOATS // size**2)):
        neighbours = configurations[part]
        between = squared_distances[neighbours[:, :, None], neighbours[:, None]]
        to_centre = squared_distances[neighbours, centre]
        exists = neighbours < WINDOW_PIXELS
        solutions = []
        for variogram, covariance in zip(variograms, covariances):
            matrix = covariance[between]
            matrix[:, np.arange(size), np.arange(size)] += _DIAGONAL_LOADING
            with_target = np.where(exists, np.where(to_centre > 0, covariance[to_centre], 1.0 - variogram.nugget), 0.0)
            solved = np.linalg.solve(matrix, np.stack([with_target, exists.astype(np.float64)], axis=-1))
            simple, ones = solved[..., 0], solved[..., 1]
            total = np.maximum(ones.sum(axis=1, keepdims=True), 1e-12)
            multiplier = (1.0 - simple.sum(axis=1, keepdims=True)) / total
            weights = np.where(exists, simple + ones * multiplier, 0.0)
            variances = 1.0 - variogram.nugget - (weights * with_target).sum(axis=1) + multiplier[:, 0]
            solutions.append((weights, variances))
        yield part, solutions
