"""*Shares*: the convex combination of estimates with the least squared error, from the products of their errors.

As shares sum to 1, the error of a mixture is the mixture of the errors: its mean square is ``s' G s``, with *G* the
mean products of the errors. Source: Lawson and Hanson, Solving least squares problems (1974), for non-negative least
squares; the sum is kept by a heavy equation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

_SMALLEST = 0.05  # a smaller share is not worth its expert's time
_HEAVY = 1e3
_WORTH = 0.99
_JITTER = 1e-9


def stacking_weights(products: NDArray[np.float64], costly: Sequence[int] = ()) -> list[float]:
    """Shares, not negative and summing to 1, of ``(expert, expert)`` mean products of errors.

    Never worse than the best single expert by these products; shares of less than 5 % are given to the others.
    ``costly``: experts that, one after the other, take a share only if they lower the error (RMSE) by 1 %, or if no other
    is as good alone.
    """
    count = len(products)
    kept = [place for place in range(count) if place not in costly]
    shares = _among(kept, products) if kept else None
    for place in costly:
        wider = _among([*kept, place], products)
        if shares is not None:
            error = _error(shares, products)
            if error <= products.diagonal()[place] and _error(wider, products) > _WORTH**2 * error:
                continue
        kept.append(place)
        shares = wider
    assert shares is not None  # nosec B101: there is an expert
    return [float(share) for share in shares]


def _among(places: Sequence[int], products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of all experts, 0 but for some."""
    out = np.zeros(len(products))
    out[list(places)] = _best(products[np.ix_(places, places)])
    return out


def _error(shares: NDArray[np.float64], products: NDArray[np.float64]) -> float:
    return float(shares @ products @ shares)


def _best(products: NDArray[np.float64]) -> NDArray[np.float64]:
    count = len(products)
    shares = minimize_on_simplex(products)
    kept = shares >= _SMALLEST
    if kept.any() and not kept.all():
        shares = np.zeros(count)
        shares[kept] = minimize_on_simplex(products[np.ix_(kept, kept)])
    return min([*np.eye(count), shares], key=lambda shares: _error(shares, products))


def minimize_on_simplex(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares, not negative and summing to 1, of least ``s' G s``; equal ones where no product is above 0."""
    count = len(products)
    size = float(np.trace(products)) / count
    if size <= 0:
        return np.full(count, 1.0 / count)
    root = np.linalg.cholesky(products / size + _JITTER * np.eye(count)).T
    system = np.vstack([root, np.full(count, _HEAVY)])
    found, _ = nnls(system, np.append(np.zeros(count), _HEAVY))
    return np.asarray(found / found.sum())


def minimize_bounded(gram: NDArray[np.float64], aim: NDArray[np.float64], most: float = np.inf) -> NDArray[np.float64]:
    """``min c' G c / 2 - a' c`` with ``0 <= c <= most``; a singular G is no harm, and what it knows nothing of is 0."""
    own = np.diag(gram)
    size = np.sqrt(np.where(own > 0, own, 1.0))
    scaled = gram / size[:, None] / size + 1e-6 * np.eye(len(gram))
    root = np.linalg.cholesky(scaled).T
    found = lsq_linear(root, np.linalg.solve(root.T, aim / size), (0.0, most * size), method="bvls")
    return np.asarray(found.x / size)
