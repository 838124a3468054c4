"""Back-projection: the smallest change of a fine image that makes it consistent with the observed coarse image.

The change ``d^T z`` with ``(M d d^T M) z = y - M d(x)`` gives ``M d(x) = y``; conjugate gradients solve for z. A wide
blur removes detail below the noise, so that exact consistency would amplify the noise; a damping c,
``(M d d^T M + c) z``, leaves that detail unchanged. Without missing pixels ``d d^T`` is a Kronecker product of two
small matrices, and `ConsistencyProjection` solves with their eigenvectors, fast enough for each step of an iteration.

Source: Irani and Peleg, Improving resolution by image registration (1991).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import Mask
from . import degradation
from .psf import Psf

_MAX_ITERATIONS = 40
_TOLERANCE = 1e-5  # of a band's standard deviation
_MIN_DAMPING = 1e-6  # what single precision resolves of the operator's highest gain (squared)


class ConsistencyProjection:
    """Back-projection of fine images of ``shape`` (rows, columns) onto coarse images without missing pixels."""

    def __init__(self, psf: Psf, shape: tuple[int, int]) -> None:
        operator = psf.operator(shape)
        rows, columns = (matrix.toarray() for matrix in (operator.rows, operator.columns))
        (row_gains, row_basis), (column_gains, column_basis) = (
            np.linalg.eigh(matrix @ matrix.T) for matrix in (rows, columns)
        )
        gains = row_gains[:, None] * column_gains
        self._step = _tensor(1.0 / (gains + max(psf.damping, _MIN_DAMPING) * gains.max()))
        self._row_basis, self._column_basis = _tensor(row_basis.T), _tensor(column_basis)
        self._rows, self._columns = _tensor(row_basis.T @ rows), _tensor(column_basis.T @ columns)

    def transform(self, values: NDArray) -> NDArray[np.float32]:
        """Coarse images ``(..., row, column)`` in the eigenbasis, as `project` needs them; compute this once."""
        return (self._row_basis @ _tensor(values) @ self._column_basis).numpy()

    def project(self, image: NDArray[np.float32], transformed: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image closest to ``image`` ``(..., row, column)`` that is consistent with the ``transformed`` ones."""
        z = (_tensor(transformed) - self._rows @ _tensor(image) @ self._columns.T) * self._step
        return image + (self._rows.T @ z @ self._columns).numpy()


def back_project(
    image: NDArray,
    values: NDArray,
    observed: Mask,
    operator: degradation.SeparableOperator,
    damping: float = 0.0,
    iterations: int = _MAX_ITERATIONS,
) -> NDArray[np.float64]:
    """The image closest to ``image`` ``(band, row, column)`` whose degraded version is ``values`` where ``observed``.

    ``damping``: relative to the operator's highest gain (squared); 0 for exact consistency. ``iterations``: limit of
    the conjugate gradients, which stop at a residual of 1e-5 standard deviations of the band.
    """
    flat = np.ones((1, *values.shape[1:]))
    added = damping * float(operator.apply(operator.adjoint(flat)).max()) if damping else 0.0
    residual = np.where(observed, values - operator.apply(image), 0.0)
    tolerance = observed.sum(axis=(1, 2)) * np.square(_TOLERANCE * band_deviation(values, observed))
    direction, solution = residual.copy(), np.zeros_like(residual)
    power = np.square(residual).sum(axis=(1, 2))
    for _ in range(iterations):
        active = power > tolerance
        if not active.any():
            break
        mapped = np.where(observed, operator.apply(operator.adjoint(direction)), 0.0) + added * direction
        curvature = (direction * mapped).sum(axis=(1, 2))
        step = np.where(active & (curvature > 0), power / np.where(curvature > 0, curvature, 1.0), 0.0)[:, None, None]
        solution += step * direction
        residual -= step * mapped
        new_power = np.square(residual).sum(axis=(1, 2))
        direction = residual + (new_power / np.where(power > 0, power, 1.0))[:, None, None] * direction
        power = new_power
    return image + operator.adjoint(solution)


def band_deviation(values: NDArray, observed: Mask) -> NDArray[np.float64]:
    """Standard deviation of each band's observed pixels ``(band,)``; 0 without any."""
    return np.array([float(band[mask].std()) if mask.any() else 0.0 for band, mask in zip(values, observed)])


def _tensor(array: NDArray) -> Tensor:
    """The array in single precision; torch does the products because its number of threads is under our control."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
