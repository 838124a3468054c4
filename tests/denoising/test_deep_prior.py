"""The networks as denoisers: the lean one on eigen-images, the papers' on bands."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube
from noisy_spectra import everywhere, rmse

from dip_core.denoising.deep_prior import denoise_bands, denoise_eigen_images
from dip_core.denoising.model import denoise
from dip_core.denoising.options import DenoiseOptions


def test_the_lean_network_denoises_and_ignores_unobserved_pixels():
    clean = material_cube(2, 32, 32) * 20
    observed = np.ones(clean.shape[1:], bool)
    observed[:4, :6] = False
    image = np.where(observed, clean + np.random.default_rng(0).normal(size=clean.shape), 0).astype(np.float32)
    estimate = denoise_eigen_images(image, observed, seed=1, iterations=100, seeds=1)
    assert rmse(estimate[:, observed], clean[:, observed]) < 0.8  # of a noise deviation, after few iterations
    assert (estimate[:, ~observed] == 0).all()


def test_the_same_seed_gives_the_same_estimate():
    image = add_noise(material_cube(2, 20, 20) * 20, 1.0).astype(np.float32)
    observed = np.ones(image.shape[1:], bool)
    first, again, other = (denoise_eigen_images(image, observed, seed=seed, iterations=3) for seed in (1, 1, 9))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["paper_2d", "paper_3d"])
def test_the_papers_networks_run_on_the_bands(name):
    clean = material_cube(3, 16, 16)
    observed = everywhere(clean)
    observed[:, :5, :5] = False
    values = np.where(observed, add_noise(clean, 0.02), np.nan)
    estimate, deviation, model = denoise(values, observed, DenoiseOptions(name, iterations=1))
    assert model.weights == {name: 1.0} and model.score is not None
    assert np.isfinite(estimate).all() and (deviation > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper_2d", "paper_3d"])
def test_the_papers_networks_learn(name):
    clean = material_cube(4, 24, 24)
    values = add_noise(clean, 0.02)
    observed = everywhere(values)
    observed[:, :5, :5] = False
    values = np.where(observed, values, np.nan)
    errors = [
        rmse(denoise_bands(values, observed, name, iterations=count)[observed], clean[observed]) for count in (2, 25)
    ]
    assert errors[1] < 0.7 * errors[0]
