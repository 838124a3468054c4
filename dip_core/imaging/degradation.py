"""The *degradation*: how a fine image becomes the coarse one that a sensor delivers, as a separable operator.

``d(x) = R x C^T`` blurs and *decimates* rows and columns by a whole *factor*. A coarse pixel covers
``factor x factor`` fine ones and is centred on them, so both images have the same extent. The matrices are
explicit, so the adjoint ``R^T y C`` is exact. `bicubic` is MATLAB's ``imresize`` with antialiasing, which the
DHP paper's data were made with; `lanczos2` is the kernel that its authors optimise with (the ``Downsampler`` of
Ulyanov et al., Deep Image Prior); `gaussian` is the CASCADE paper's, or a sensor's point spread function.

Source of the kernels: Keys, Cubic convolution interpolation (1981), with a = -1/2; Turkowski, Filters for
common resampling tasks (1990).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

Kernel = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Border = Callable[[NDArray[np.int64], int], NDArray[np.int64]]


@dataclass(frozen=True)
class SeparableOperator:
    """A separable linear operator on images: ``rows`` (out rows, in rows) and ``columns`` (out columns, in columns).

    The matrices are sparse (CSR, float64), and every row sums to 1: a constant image keeps its value.
    """

    rows: sparse.csr_matrix
    columns: sparse.csr_matrix

    def apply(self, image: NDArray) -> NDArray[np.float64]:
        """``R x C^T`` of ``(..., in rows, in columns)``."""
        return _separable(self.rows, self.columns, image)

    def adjoint(self, image: NDArray) -> NDArray[np.float64]:
        """``R^T y C`` of ``(..., out rows, out columns)``; ``<apply(x), y> = <x, adjoint(y)>``."""
        return _separable(self.rows.T.tocsr(), self.columns.T.tocsr(), image)

    def as_torch(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """`apply` for tensors, differentiable, on the device and with the precision of ``like``."""
        rows, columns = (
            torch.from_numpy(matrix.toarray()).to(like.dtype).to(like.device) for matrix in (self.rows, self.columns)
        )
        return lambda image: rows @ image @ columns.T


def bicubic_decimation(shape: tuple[int, int], factor: int) -> SeparableOperator:
    """Decimation of an image of ``shape`` as ``imresize(x, 1 / factor, 'bicubic')``; 4 x factor taps."""
    return _both(shape, lambda size: _decimation(size, factor, _cubic, 2.0, _mirrored))


def lanczos_decimation(shape: tuple[int, int], factor: int) -> SeparableOperator:
    """Decimation with the Lanczos kernel of support 2, widened by the factor; the rim is repeated.

    For an even factor these are the half-phase taps of the authors' code. For an odd one its taps lie half a
    pixel beside the coarse pixel's centre and its result is one pixel short; here they are centred.
    """
    return _both(shape, lambda size: _decimation(size, factor, _lanczos, 2.0, _repeated))


def gaussian_decimation(shape: tuple[int, int], factor: int, sigma: float) -> SeparableOperator:
    """Decimation after a Gaussian blur with a standard deviation of ``sigma`` fine pixels, cut off at 4 sigma.

    The CASCADE paper takes 3 pixels for every factor. It does not say what stands beyond the rim; here the
    image is mirrored.
    """
    if not sigma > 0:
        raise ValueError(f"sigma is {sigma}: give a positive number of pixels.")

    # A narrower bell takes the nearest pixels all the same, and its values underflow.
    width = max(sigma, 0.125) / factor

    def bell(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-0.5 * (distance / width) ** 2)

    return _both(shape, lambda size: _decimation(size, factor, bell, 4.0 * width, _mirrored))


def bicubic_enlargement(shape: tuple[int, int], factor: int) -> SeparableOperator:
    """Enlargement of an image of ``shape`` as ``imresize(x, factor, 'bicubic')``: the baseline, and CASCADE's input."""
    return _both(shape, lambda size: _enlargement(size, factor))


def _both(shape: tuple[int, int], matrix: Callable[[int], sparse.csr_matrix]) -> SeparableOperator:
    rows, columns = shape
    return SeparableOperator(matrix(rows), matrix(columns))


def _decimation(size: int, factor: int, kernel: Kernel, support: float, border: Border) -> sparse.csr_matrix:
    """One axis: ``(ceil(size / factor), size)``. ``support``: where the kernel ends, in coarse pixels."""
    _whole(factor)
    centres = factor * np.arange(math.ceil(size / factor), dtype=np.float64) + (factor - 1) / 2
    return _weights(centres, size, lambda distance: kernel(distance / factor), support * factor, border)


def _enlargement(size: int, factor: int) -> sparse.csr_matrix:
    """One axis: ``(size x factor, size)``."""
    _whole(factor)
    centres = (np.arange(size * factor, dtype=np.float64) + 0.5) / factor - 0.5
    return _weights(centres, size, _cubic, 2.0, _mirrored)


def _weights(
    centres: NDArray[np.float64], size: int, kernel: Kernel, support: float, border: Border
) -> sparse.csr_matrix:
    """A row of normalised weights for each centre; samples beyond the rim are taken from inside by ``border``."""
    first = np.floor(centres - support).astype(np.int64)
    place = first[:, None] + np.arange(math.ceil(2 * support) + 2)
    weight = np.where(np.abs(centres[:, None] - place) <= support, kernel(centres[:, None] - place), 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    row = np.repeat(np.arange(len(centres)), place.shape[1])
    matrix = sparse.csr_matrix((weight.ravel(), (row, border(place, size).ravel())), shape=(len(centres), size))
    matrix.eliminate_zeros()
    return matrix


def _separable(rows: sparse.csr_matrix, columns: sparse.csr_matrix, image: NDArray) -> NDArray[np.float64]:
    flat = image.reshape(-1, *image.shape[-2:])
    out = np.empty((len(flat), rows.shape[0], columns.shape[0]))
    for number, plane in enumerate(flat):
        out[number] = (columns @ (rows @ plane).T).T
    return out.reshape(*image.shape[:-2], *out.shape[1:])


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' piecewise cubic with a = -1/2, 0 beyond 2."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d <= 1, near, np.where(d <= 2, far, 0.0))


def _lanczos(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sinc(d) sinc(d / 2)``, 0 beyond 2."""
    return np.where(np.abs(distance) < 2, np.sinc(distance) * np.sinc(distance / 2), 0.0)


def _mirrored(place: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Reflection in the rim's outer edge: ... 1 0 | 0 1 2 ... , as often as needed."""
    folded = place % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def _repeated(place: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.clip(place, 0, size - 1)


def _whole(factor: int) -> None:
    if factor < 1:
        raise ValueError(f"factor is {factor}: give a whole number of at least 1.")
