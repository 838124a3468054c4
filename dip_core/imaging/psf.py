"""The *optics*: how a fine image becomes the coarse one that was observed, and how an image is made to agree with it.

``y = M d(x)``, with the mask M. *Back-projection* changes an image by as little as possible so that ``M d(x) = y``
holds: it adds ``d^T z`` with ``(M d d^T M) z = y - M d(x)``, by conjugate gradients. Psf that blur more than a
sensor's lose detail below the noise, and no image of sound values agrees with every noisy pixel; a damping
``(M d d^T M + c) z`` then leaves the lost detail alone. Where no pixel is missing, ``d d^T`` is a Kronecker product
of two small matrices, and `ConsistencyProjection` applies the same change by their eigenvectors, fast enough for every step of an
iteration.

Source: Irani and Peleg, Improving resolution by image registration (1991), for back-projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import Mask
from . import degradation

_ROUNDS = 40
_ENOUGH = 1e-5  # of a band's standard deviation
_BROAD = 0.6  # coarse pixels of sigma up to which all detail of the coarse image is above a tenth of its contrast
_DAMPING = 1e-3  # lets noise grow 16 times at most, 1 / (2 sqrt(damping))
_SINGLE = 1e-6  # what single precision resolves of the operator's highest gain (squared)


@dataclass(frozen=True)
class Psf:
    """``factor``, the point spread function (``bicubic``, ``gaussian``, ``lanczos``), and the Gaussian's sigma.

    ``sigma``: in fine pixels.
    """

    factor: int
    kernel: str = "bicubic"
    sigma: float | None = None

    def operator(self, shape: tuple[int, int]) -> degradation.SeparableOperator:
        """The operator on fine images of ``shape``."""
        if self.kernel == "gaussian":
            return degradation.gaussian_decimation(shape, self.factor, self.gaussian_sigma)
        return {"bicubic": degradation.bicubic_decimation, "lanczos": degradation.lanczos_decimation}[self.kernel](
            shape, self.factor
        )

    @property
    def gaussian_sigma(self) -> float:
        """The Gaussian's sigma; unless given, half a coarse pixel: 0.3 at the coarse Nyquist frequency."""
        return self.sigma if self.sigma is not None else self.factor / 2

    @property
    def damping(self) -> float:
        """The damping of back-projection: none for a sensor's optics, some where the blur is broader."""
        return _DAMPING if self.kernel == "gaussian" and self.gaussian_sigma > _BROAD * self.factor else 0.0

    @property
    def radius(self) -> int:
        """How far, in coarse pixels, a coarse pixel sees."""
        return int(np.ceil(4 * self.gaussian_sigma / self.factor)) + 1 if self.kernel == "gaussian" else 3


class ConsistencyProjection:
    """Brings fine images of ``shape`` into agreement with coarse ones that have no missing pixel."""

    def __init__(self, optics: Psf, shape: tuple[int, int]) -> None:
        operator = optics.operator(shape)
        rows, columns = (matrix.toarray() for matrix in (operator.rows, operator.columns))
        (row_gains, row_basis), (column_gains, column_basis) = (
            np.linalg.eigh(matrix @ matrix.T) for matrix in (rows, columns)
        )
        gains = row_gains[:, None] * column_gains
        self._step = _tensor(1.0 / (gains + max(optics.damping, _SINGLE) * gains.max()))
        self._row_basis, self._column_basis = _tensor(row_basis.T), _tensor(column_basis)
        self._rows, self._columns = _tensor(row_basis.T @ rows), _tensor(column_basis.T @ columns)

    def transform(self, values: NDArray) -> NDArray[np.float32]:
        """Coarse images in the basis that `project` compares in; to be computed once."""
        return (self._row_basis @ _tensor(values) @ self._column_basis).numpy()

    def project(self, image: NDArray[np.float32], rotated: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image nearest to ``image`` ``(..., row, column)`` that agrees, in single precision."""
        wanted = (_tensor(rotated) - self._rows @ _tensor(image) @ self._columns.T) * self._step
        return image + (self._rows.T @ wanted @ self._columns).numpy()


def _tensor(array: NDArray) -> Tensor:
    """In single precision. torch multiplies, for its threads are ours to set, and do not spin on a busy machine."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def enlarge_bicubic(values: NDArray, factor: int) -> NDArray[np.float64]:
    """Bicubic enlargement of ``(band, row, column)``: the baseline."""
    return degradation.bicubic_enlargement((values.shape[-2], values.shape[-1]), factor).apply(values)


def back_project(
    image: NDArray,
    values: NDArray,
    observed: Mask,
    operator: degradation.SeparableOperator,
    damping: float = 0.0,
    rounds: int = _ROUNDS,
) -> NDArray[np.float64]:
    """The image nearest to ``image`` whose degraded version is ``values`` where these are observed.

    ``damping``: a share of the operator's highest gain (squared); 0 for exact agreement.
    """
    flat = np.ones((1, *values.shape[1:]))
    added = damping * float(operator.apply(operator.adjoint(flat)).max()) if damping else 0.0
    residual = np.where(observed, values - operator.apply(image), 0.0)
    enough = observed.sum(axis=(1, 2)) * np.square(_ENOUGH * band_deviation(values, observed))
    direction, solution = residual.copy(), np.zeros_like(residual)
    power = np.square(residual).sum(axis=(1, 2))
    for _ in range(rounds):
        going = power > enough
        if not going.any():
            break
        mapped = np.where(observed, operator.apply(operator.adjoint(direction)), 0.0) + added * direction
        curvature = (direction * mapped).sum(axis=(1, 2))
        step = np.where(going & (curvature > 0), power / np.where(curvature > 0, curvature, 1.0), 0.0)[:, None, None]
        solution += step * direction
        residual -= step * mapped
        after = np.square(residual).sum(axis=(1, 2))
        direction = residual + (after / np.where(power > 0, power, 1.0))[:, None, None] * direction
        power = after
    return image + operator.adjoint(solution)


def band_deviation(values: NDArray, observed: Mask) -> NDArray[np.float64]:
    """Standard deviation of each band's observed pixels, 0 for none."""
    return np.array([float(band[seen].std()) if seen.any() else 0.0 for band, seen in zip(values, observed)])
