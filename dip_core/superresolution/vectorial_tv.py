"""Vectorial total variation: of all images consistent with the observation, the one with the least total variation.

``min sum over pixels of |grad x|`` subject to ``d(x) = y``, where ``|grad x|`` is the length of the gradients of all
principal images together, so that they share the positions of edges. Solved by the primal-dual method with an exact
projection onto the consistent images.

Sources: Rudin, Osher and Fatemi (1992); Blomgren and Chan, Color TV (1998), for the coupling of channels; Chambolle
and Pock, A first-order primal-dual algorithm (2011).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube
from ..imaging.back_projection import ConsistencyProjection

_ITERATIONS = 80
_STEP = 0.02  # relative to the images' root mean square length; affects the speed, not the minimum


def vectorial_tv(images: Cube, start: Cube, projection: ConsistencyProjection, iterations: int = _ITERATIONS) -> Cube:
    """Fine images ``(rank, row, column)`` from coarse ``images`` and a consistent first estimate ``start``."""
    transformed = projection.transform(images)
    length = float(np.sqrt(np.square(start).sum(axis=0).mean()))
    if not length > 0:
        return start
    primal_step, dual_step = np.float32(_STEP * length), np.float32(1 / (8 * _STEP * length))
    current, extrapolated = start.copy(), start
    down, right = np.zeros_like(start), np.zeros_like(start)
    for _ in range(iterations):
        down[:, :-1] += dual_step * (extrapolated[:, 1:] - extrapolated[:, :-1])
        right[:, :, :-1] += dual_step * (extrapolated[:, :, 1:] - extrapolated[:, :, :-1])
        size = np.maximum(1, np.sqrt(np.einsum("krc,krc->rc", down, down) + np.einsum("krc,krc->rc", right, right)))
        down /= size
        right /= size
        following = projection.project(current + primal_step * _divergence(down, right), transformed)
        extrapolated = 2 * following - current
        current = following
    return current


def _divergence(down: Cube, right: Cube) -> NDArray[np.float32]:
    """The negative adjoint of the forward differences, whose last row and column are 0."""
    out = down + right
    out[:, 1:] -= down[:, :-1]
    out[:, :, 1:] -= right[:, :, :-1]
    return out
