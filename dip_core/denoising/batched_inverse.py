"""Inverses of batches of small symmetric positive definite matrices."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

_MAX_SMALL_ROWS = 20  # larger matrices are inverted block by block


def inverse(matrices: Tensor) -> Tensor:
    """Inverses of symmetric positive definite matrices ``(..., row, column)``.

    In single precision, larger matrices are inverted block by block in double precision: library routines are many
    times faster for very small matrices, but the error of the blocks grows with the square of the condition number.
    """
    if matrices.shape[-1] > _MAX_SMALL_ROWS and matrices.dtype == torch.float32:
        with contextlib.suppress(torch.linalg.LinAlgError):
            return _blockwise_inverse(matrices.double()).float()
        matrices = matrices.double()
    return torch.cholesky_inverse(torch.linalg.cholesky(matrices))


def _blockwise_inverse(matrices: Tensor) -> Tensor:
    """``[P Q; Q' R]^-1 = [P^-1 + W S W', -W S; -S W', S]`` with ``W = P^-1 Q`` and ``S = (R - Q' W)^-1``."""
    rows = matrices.shape[-1]
    if rows <= _MAX_SMALL_ROWS:
        return torch.cholesky_inverse(torch.linalg.cholesky(matrices))
    half = (rows + 1) // 2
    first = _blockwise_inverse(matrices[..., :half, :half].contiguous())
    corner = matrices[..., :half, half:]
    w = first @ corner
    s = _blockwise_inverse(matrices[..., half:, half:] - corner.transpose(-1, -2) @ w)
    w_s = w @ s
    out = torch.empty_like(matrices)
    out[..., :half, :half] = first + w_s @ w.transpose(-1, -2)
    out[..., :half, half:] = -w_s
    out[..., half:, :half] = -w_s.transpose(-1, -2)
    out[..., half:, half:] = s
    return out
