"""Stacking weights: the convex combination of estimates with the least squared error.

The weights w are not negative and sum to 1, so the error of the combination is the combination of the errors: its mean
square is ``w' G w``, with G the mean products of the errors. Source: Lawson and Hanson, Solving least squares problems
(1974), for non-negative least squares; a heavily weighted equation keeps the sum at 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

_MIN_WEIGHT = 0.05  # an expert with a smaller weight does not justify its computing time
_MAX_ERROR_RATIO = 0.99  # of RMSE, that a costly expert must reach to get a weight
_SUM_WEIGHT = 1e3
_RIDGE = 1e-9
_BOUNDED_RIDGE = 1e-6


def stacking_weights(products: NDArray[np.float64], costly: Sequence[int] = ()) -> list[float]:
    """Weights of experts, from the mean products of their errors ``(expert, expert)``.

    Their error is at most that of the best single expert, by these products. Weights of less than 5 % become 0, and the
    others are fitted again. ``costly``: experts that, in this order, get a weight only if it lowers the RMSE by 1 %, or
    if no combination of the others is as good as they are alone.
    """
    count = len(products)
    kept = [place for place in range(count) if place not in costly]
    weights = _best_weights(kept, products) if kept else None
    for place in costly:
        extended = _best_weights([*kept, place], products)
        if weights is not None:
            error = _error(weights, products)
            gains = _error(extended, products) <= _MAX_ERROR_RATIO**2 * error
            if error <= products.diagonal()[place] and not gains:
                continue
        kept.append(place)
        weights = extended
    assert weights is not None  # nosec B101: there is at least one expert
    return [float(weight) for weight in weights]


def minimize_on_simplex(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """The w >= 0 with sum 1 that minimise ``w' G w``, G = ``products``; equal ones if G has no positive trace."""
    count = len(products)
    scale = float(np.trace(products)) / count
    if scale <= 0:
        return np.full(count, 1.0 / count)
    root = np.linalg.cholesky(products / scale + _RIDGE * np.eye(count)).T
    system = np.vstack([root, np.full(count, _SUM_WEIGHT)])
    found, _ = nnls(system, np.append(np.zeros(count), _SUM_WEIGHT))
    return np.asarray(found / found.sum())


def minimize_bounded(
    gram: NDArray[np.float64], linear: NDArray[np.float64], upper: float = np.inf
) -> NDArray[np.float64]:
    """The c with ``0 <= c <= upper`` that minimise ``c' G c / 2 - b' c``, G = ``gram``, b = ``linear``.

    G may be singular; coefficients on which it does not depend are 0.
    """
    diagonal = np.diag(gram)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = gram / scale[:, None] / scale + _BOUNDED_RIDGE * np.eye(len(gram))
    root = np.linalg.cholesky(scaled).T
    found = lsq_linear(root, np.linalg.solve(root.T, linear / scale), (0.0, upper * scale), method="bvls")
    return np.asarray(found.x / scale)


def _best_weights(places: Sequence[int], products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights ``(expert,)``, 0 outside ``places``: those of the best combination, or of a better single expert."""
    among = products[np.ix_(places, places)]
    weights = minimize_on_simplex(among)
    kept = weights >= _MIN_WEIGHT
    if kept.any() and not kept.all():
        weights = np.zeros(len(places))
        weights[kept] = minimize_on_simplex(among[np.ix_(kept, kept)])
    out = np.zeros(len(products))
    out[list(places)] = min([*np.eye(len(places)), weights], key=lambda one: _error(one, among))
    return out


def _error(weights: NDArray[np.float64], products: NDArray[np.float64]) -> float:
    return float(weights @ products @ weights)
