"""*Vectorial total variation*: of all images that agree with the observation, the one with the least variation.

``min sum over pixels of |grad x|`` subject to ``d(x) = y``, where ``|grad x|`` is the length of all principal images'
gradients together, so that they have their edges at the same places. By the primal-dual method, whose step towards
the observation is exact.

Sources: Rudin, Osher and Fatemi (1992); Blomgren and Chan, Color TV (1998) for the coupling of channels; Chambolle
and Pock, A first-order primal-dual algorithm (2011).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube
from ..imaging.back_projection import ConsistencyProjection

_ROUNDS = 80  # after 80 rounds three scenes are within 0.03 dB of where 250 bring them
_STEP = 0.02  # of the images' root mean square length; it sets the pace, not the minimum


def vectorial_tv(images: Cube, start: Cube, agreement: ConsistencyProjection, rounds: int = _ROUNDS) -> Cube:
    """Fine images ``(rank, row, column)`` from coarse ones and a first estimate ``start`` that agrees with them."""
    rotated = agreement.transform(images)
    length = float(np.sqrt(np.square(start).sum(axis=0).mean()))
    if not length > 0:
        return start
    primal, dual = np.float32(_STEP * length), np.float32(1 / (8 * _STEP * length))
    found, ahead = start.copy(), start
    down, right = np.zeros_like(start), np.zeros_like(start)
    for _ in range(rounds):
        down[:, :-1] += dual * (ahead[:, 1:] - ahead[:, :-1])
        right[:, :, :-1] += dual * (ahead[:, :, 1:] - ahead[:, :, :-1])
        size = np.maximum(1, np.sqrt(np.einsum("krc,krc->rc", down, down) + np.einsum("krc,krc->rc", right, right)))
        down /= size
        right /= size
        after = agreement.project(found + primal * _divergence(down, right), rotated)
        ahead = 2 * after - found
        found = after
    return found


def _divergence(down: Cube, right: Cube) -> NDArray[np.float32]:
    """The negative adjoint of the forward differences, whose last row and column are 0."""
    out = down + right
    out[:, 1:] -= down[:, :-1]
    out[:, :, 1:] -= right[:, :, :-1]
    return out
