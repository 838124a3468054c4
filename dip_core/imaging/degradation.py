"""Degradation: the separable operator that makes a coarse image from a fine one, as a sensor does.

``d(x) = R x C^T`` blurs and decimates rows and columns by an integer factor. A coarse pixel covers
``factor x factor`` fine pixels and is centred on them, so both images have the same extent. The matrices are explicit,
so the adjoint ``R^T y C`` is exact.

Kernels: ``bicubic`` is MATLAB's ``imresize`` with antialiasing, which produced the data of the DHP paper; ``lanczos``
is the ``Downsampler`` of Ulyanov et al. (Deep Image Prior), with which the DHP code optimises; ``gaussian`` is that of
the CASCADE paper, or a sensor's point spread function.

Sources: Keys, Cubic convolution interpolation (1981), with a = -1/2; Turkowski, Filters for common resampling tasks
(1990).
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

    The matrices are sparse (CSR, float64). Each matrix row sums to 1, so a constant image keeps its value.
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
        """`apply` as a differentiable function of tensors, with the device and precision of ``like``."""
        rows, columns = (
            torch.from_numpy(matrix.toarray()).to(like.dtype).to(like.device) for matrix in (self.rows, self.columns)
        )
        return lambda image: rows @ image @ columns.T


def bicubic_decimation(shape: tuple[int, int], factor: int) -> SeparableOperator:
    """Decimation of images of ``shape`` as ``imresize(x, 1 / factor, 'bicubic')``; 4 x factor taps."""
    return _operator(shape, lambda size: _decimation(size, factor, _cubic, 2.0, _mirror))


def lanczos_decimation(shape: tuple[int, int], factor: int) -> SeparableOperator:
    """Decimation with the Lanczos kernel of support 2, widened by the factor; edge pixels are repeated.

    For an even factor these are the half-phase taps of the authors' code. For an odd factor their taps are half a pixel
    off the coarse pixel's centre, and their result is one pixel smaller; here the taps are centred.
    """
    return _operator(shape, lambda size: _decimation(size, factor, _lanczos, 2.0, _repeat))


def gaussian_decimation(shape: tuple[int, int], factor: int, sigma: float) -> SeparableOperator:
    """Decimation after a Gaussian blur with a standard deviation of ``sigma`` fine pixels, truncated at 4 sigma.

    The CASCADE paper uses 3 pixels for all factors. It does not define the values outside the image; here the image is
    mirrored. Raises ValueError if ``sigma`` is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma is {sigma}: give a positive number of pixels.")

    # A narrower Gaussian would select the same pixels, but its values underflow.
    width = max(sigma, 0.125) / factor

    def kernel(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-0.5 * (distance / width) ** 2)

    return _operator(shape, lambda size: _decimation(size, factor, kernel, 4.0 * width, _mirror))


def bicubic_enlargement(shape: tuple[int, int], factor: int) -> SeparableOperator:
    """Enlargement of images of ``shape`` as ``imresize(x, factor, 'bicubic')``: the baseline, and CASCADE's input."""
    return _operator(shape, lambda size: _enlargement(size, factor))


def _operator(shape: tuple[int, int], matrix: Callable[[int], sparse.csr_matrix]) -> SeparableOperator:
    rows, columns = shape
    return SeparableOperator(matrix(rows), matrix(columns))


def _decimation(size: int, factor: int, kernel: Kernel, support: float, border: Border) -> sparse.csr_matrix:
    """The matrix of one axis, ``(ceil(size / factor), size)``; ``support``: radius of the kernel in coarse pixels."""
    _check_factor(factor)
    centres = factor * np.arange(math.ceil(size / factor), dtype=np.float64) + (factor - 1) / 2
    return _weights(centres, size, lambda distance: kernel(distance / factor), support * factor, border)


def _enlargement(size: int, factor: int) -> sparse.csr_matrix:
    """The matrix of one axis, ``(size x factor, size)``."""
    _check_factor(factor)
    centres = (np.arange(size * factor, dtype=np.float64) + 0.5) / factor - 0.5
    return _weights(centres, size, _cubic, 2.0, _mirror)


def _weights(
    centres: NDArray[np.float64], size: int, kernel: Kernel, support: float, border: Border
) -> sparse.csr_matrix:
    """One row of normalised weights per centre; ``border`` maps positions outside the image to pixels inside."""
    first = np.floor(centres - support).astype(np.int64)
    position = first[:, None] + np.arange(math.ceil(2 * support) + 2)
    weight = np.where(np.abs(centres[:, None] - position) <= support, kernel(centres[:, None] - position), 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    row = np.repeat(np.arange(len(centres)), position.shape[1])
    matrix = sparse.csr_matrix((weight.ravel(), (row, border(position, size).ravel())), shape=(len(centres), size))
    matrix.eliminate_zeros()
    return matrix


def _separable(rows: sparse.csr_matrix, columns: sparse.csr_matrix, image: NDArray) -> NDArray[np.float64]:
    flat = image.reshape(-1, *image.shape[-2:])
    out = np.empty((len(flat), rows.shape[0], columns.shape[0]))
    for number, plane in enumerate(flat):
        out[number] = (columns @ (rows @ plane).T).T
    return out.reshape(*image.shape[:-2], *out.shape[1:])


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' piecewise cubic with a = -1/2; 0 beyond a distance of 2."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d <= 1, near, np.where(d <= 2, far, 0.0))


def _lanczos(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sinc(d) sinc(d / 2)``; 0 beyond a distance of 2."""
    return np.where(np.abs(distance) < 2, np.sinc(distance) * np.sinc(distance / 2), 0.0)


def _mirror(position: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Positions mirrored at the image border, edge pixels included: ... 1 0 | 0 1 2 ..., as often as needed."""
    folded = position % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def _repeat(position: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.clip(position, 0, size - 1)


def _check_factor(factor: int) -> None:
    if factor < 1:
        raise ValueError(f"factor is {factor}: give an integer of at least 1.")
