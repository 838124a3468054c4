"""The statistics of windows of a residual, and the shrinkage of spectra."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.denoising.residual_noise import clipping_level, remove_impulses, subtract_stripes
from dip_core.denoising.residual_scan import band_windows, statistics, window_sums
from dip_core.denoising.spectral_shrinkage import shrink_spectrum


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 6, 9, 16, 17, 31, 40, 63])
def test_statistics_are_the_sums_of_their_windows(bands):
    spectra = np.random.default_rng(0).normal(size=(bands, 3, 2)).astype(np.float32)
    windows, found = band_windows(bands), statistics(spectra)
    assert len(found) == len(windows.start) and (windows.width > 0).all() and windows.width[-1] == bands
    for start, stop, own in zip(windows.start, windows.stop, found):
        np.testing.assert_allclose(own, np.square(spectra[start:stop]).sum(axis=0), rtol=1e-5)


def test_window_sums_keep_the_variance_of_noise():
    residual = np.random.default_rng(0).normal(size=(4, 20, 30)).astype(np.float32)
    sums = window_sums(residual, 3)
    assert sums.shape == (4, 18, 28)
    np.testing.assert_allclose(sums[1, 4, 5], residual[1, 4:7, 5:8].sum() / 3, rtol=1e-5)


def test_shrinkage_keeps_features_and_removes_noise():
    rng = np.random.default_rng(1)
    truth = np.zeros(100)
    truth[40:45] = [3.0, 6.0, 7.0, 6.0, 3.0]
    kept = np.mean([shrink_spectrum(truth + rng.normal(size=100)) for _ in range(50)], axis=0)
    assert 0.8 < kept[40:45].sum() / truth.sum() < 1.05 and np.abs(kept[:30]).max() < 0.3
    assert np.mean([np.square(shrink_spectrum(rng.normal(size=100))).sum() for _ in range(50)]) < 10


def test_single_samples_are_impulses_and_neighbours_support_each_other():
    residual = np.zeros((6, 9, 9), np.float32)
    residual[2, 3, 3] = 9.0
    residual[1:4, 7, 7] = -6.0
    assert remove_impulses(residual) == pytest.approx(1 / residual.size)
    assert not residual[:, 3, 3].any() and (residual[1:4, 7, 7] == -6).all()
    line = np.zeros((6, 9, 9), np.float32)
    line[2, :, 3] = 5.0
    remove_impulses(line, line > 0)
    assert not line.any()


def test_stripes_are_subtracted_and_noise_stays():
    noise = np.random.default_rng(0).normal(size=(3, 60, 50)).astype(np.float32)
    striped, seen = noise.copy(), np.ones(noise.shape, bool)
    striped[1, :, 20] += 4.0
    striped[2, 30] -= 3.0
    subtract_stripes(striped, seen)
    assert abs(np.median(striped[1, :, 20])) < 0.1 and abs(np.median(striped[2, 30])) < 0.1
    np.testing.assert_array_equal(striped[0], noise[0])


def test_frequent_impulses_lower_the_clipping_level():
    assert clipping_level(100, 1e-5) == 5.0 and clipping_level(100, 4e-3) == 4.0 and clipping_level(100, 0.05) == 3.0
