"""The signal subspace: its rank is that of the signal, and eigen-images are complete, with noise of variance 1."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube

from dip_core.imaging.subspace import find_subspace


def all_observed(values):
    return np.ones(values.shape, bool)


def rmse(a, b):
    return float(np.sqrt(np.mean(np.square(a - b))))


@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_rank_is_that_of_the_signal(sigma):
    values = add_noise(material_cube(), sigma)
    assert find_subspace(values, all_observed(values)).rank == 3


def test_pure_noise_has_rank_one():
    values = np.random.default_rng(0).normal(size=(40, 60, 60))
    assert find_subspace(values, all_observed(values)).rank == 1


def test_reconstruction_inverts_projection():
    clean = material_cube()
    values = add_noise(clean, 1e-4)
    space = find_subspace(values, all_observed(values))
    images, observed = space.project(values, all_observed(values))
    assert observed.all() and images.shape[0] == space.rank
    assert rmse(space.reconstruct(images), clean) < 1e-4  # projection removes most of the noise


def test_noise_of_eigen_images_has_variance_one():
    clean = material_cube()
    values = add_noise(clean, np.linspace(0.05, 0.2, 30))
    space = find_subspace(values, all_observed(values))
    difference = space.project(values, all_observed(values))[0] - space.project(clean, all_observed(values))[0]
    np.testing.assert_allclose(difference.std(axis=(1, 2)), 1.0, rtol=0.06)


def test_pixels_missing_in_some_bands_are_estimated_from_the_others():
    clean = material_cube()
    values = add_noise(clean, 0.02)
    observed = all_observed(values)
    observed[:12, 10:20, 10:20] = False
    space = find_subspace(values, observed)
    estimate = space.reconstruct(space.project(values, observed)[0])
    # The noise of 18 of 30 bands in 3 directions is about 0.02 sqrt(3 / 18); worse conditioning doubles it.
    assert rmse(estimate[:12, 10:20, 10:20], clean[:12, 10:20, 10:20]) < 0.02


def test_pixels_without_any_observed_band_have_no_eigen_images():
    values = add_noise(material_cube(), 0.02)
    observed = all_observed(values)
    observed[:, 5, 5] = False
    images, found = find_subspace(values, observed).project(values, observed)
    assert not found[5, 5] and np.count_nonzero(~found) == 1 and not images[:, 5, 5].any()


def test_a_subspace_needs_a_complete_pixel():
    observed = np.ones((2, 3, 3), bool)
    observed[0] = False
    with pytest.raises(ValueError, match="No pixel is observed in all bands"):
        find_subspace(np.ones((2, 3, 3)), observed)
