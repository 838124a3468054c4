"""Mixed noise: impulses, dead lines and stripes."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube
from noisy_spectra import everywhere, rmse

from dip_core.denoising.model import denoise
from dip_core.denoising.options import DenoiseOptions
from dip_core.denoising.outliers import find_outliers
from dip_core.imaging.subspace import find_subspace


def test_mixed_noise_is_denoised_nearly_as_well_as_normal_noise():
    clean = material_cube(30, 56, 56)
    values = add_noise(clean, 0.05)
    rng = np.random.default_rng(3)
    damaged = values.copy()
    impulses = rng.random(values.shape) < 0.02
    damaged[impulses] = rng.choice([-0.5, 1.5], impulses.sum())
    damaged[4, :, 20] = 0.0
    damaged[9, 33] = 0.0
    damaged[15, :, 50:52] += 0.12
    observed = everywhere(values)
    undamaged, _, _ = denoise(values, observed, DenoiseOptions("fast"))
    uncorrected, _, _ = denoise(damaged, observed, DenoiseOptions("fast"))
    corrected, _, model = denoise(damaged, observed, DenoiseOptions("fast", "mixed"))
    assert rmse(corrected, clean) < 1.25 * rmse(undamaged, clean)
    assert rmse(corrected, clean) < 0.6 * rmse(uncorrected, clean)
    for line in (np.s_[4, :, 20], np.s_[9, 33], np.s_[15, :, 50:52]):
        assert rmse(corrected[line], clean[line]) < 0.05
    np.testing.assert_allclose(model.subspace.sigma, 0.05, rtol=0.15)


def test_normal_noise_has_no_outliers():
    values = add_noise(material_cube(30), 0.1)
    outliers = find_outliers(values, everywhere(values), find_subspace(values, everywhere(values)))
    assert outliers.mean() < 1e-4  # 7 in a million expected, and a rare extreme of the median filter


@pytest.mark.parametrize("bands", [6, 24])
def test_a_pixel_that_is_an_outlier_in_every_band_has_a_large_deviation(bands):
    """Nothing is known about it: its error is that of a guess, not 0."""
    rows, columns = np.mgrid[0:64, 0:64] / 64.0
    fields = np.stack([np.sin(9 * rows) * np.cos(7 * columns), rows > 0.4])
    clean = 5.0 * np.tensordot(np.random.default_rng(0).random((bands, 2)), fields, 1)
    values = clean + np.random.default_rng(1).normal(size=clean.shape)
    values[:, 30, 30] = 60.0
    _, deviation, _ = denoise(values, everywhere(values), DenoiseOptions("fast", "mixed"))
    assert np.isfinite(deviation).all()
    assert np.sqrt(np.mean(deviation[:, 30, 30] ** 2)) > 2.0 * np.sqrt(np.mean(deviation**2))
