"""Methods of other libraries: they inpaint and denoise simple images."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import peers

SIGMA = 0.4


def skip_without_library(name: str) -> None:
    if "tensorly" in name:
        pytest.importorskip("tensorly", reason="tensorly is missing")


@pytest.mark.parametrize("per_band", [False, True])
@pytest.mark.parametrize("name", peers.INPAINTERS)
def test_inpainting_fills_smooth_images_and_keeps_observed_pixels(name, per_band):
    skip_without_library(name)
    rows, columns = np.mgrid[:32, :32] / 32
    clean = np.stack([rows + band * columns for band in range(1, 6)])
    observed = np.ones(clean.shape, bool)
    observed[:, :, 10:13] = False
    if per_band:
        observed[0, :, 13] = False
    filled = peers.INPAINTERS[name](np.where(observed, clean, 0.0).astype(np.float32), observed)
    np.testing.assert_allclose(filled[observed], clean[observed], atol=1e-6)
    assert np.abs(filled - clean).max() < 0.1


@pytest.mark.parametrize("name", peers.DENOISERS)
def test_denoising_removes_noise(name):
    skip_without_library(name)
    rows, columns = np.mgrid[:32, :32] / 32
    clean = np.stack([rows + band * columns / 8 for band in range(1, 9)])
    noisy = clean + np.random.default_rng(0).normal(0.0, SIGMA, clean.shape)
    image = peers.DENOISERS[name](noisy, SIGMA)
    assert np.std(image - clean) < 0.7 * np.std(noisy - clean)
