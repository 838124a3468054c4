"""Inverses of batches of matrices, of all sizes and in both precisions."""

from __future__ import annotations

import pytest
import torch

from dip_core.denoising.batched_inverse import inverse


@pytest.mark.parametrize("size", [5, 20, 21, 64])
def test_matrices_of_any_size_are_inverted(size):
    parts = torch.randn((7, size, 3), generator=torch.Generator().manual_seed(size))
    matrices = parts @ parts.transpose(-1, -2) * 100 + 49 * torch.eye(size)  # three strong directions
    expected = torch.linalg.inv(matrices.double())
    assert float((inverse(matrices) - expected).abs().max()) < 1e-3 * float(expected.abs().max())
    torch.testing.assert_close(inverse(matrices.double()), expected)
