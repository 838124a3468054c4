"""Non-local ridge: it removes noise, preserves signals of any strength, and knows the weight of each pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core_scenes import material_cube
from noisy_spectra import rmse

from dip_core.denoising.nl_ridge import LARGE_PATCHES, WEAK_NOISE, _combine, nl_ridge, nl_ridge_pair, ridge_pass
from dip_core.denoising.patch_groups import find_groups


def test_most_of_the_noise_is_removed():
    clean = material_cube(1)[0] * 20
    image = (clean + np.random.default_rng(0).normal(size=clean.shape))[None].astype(np.float32)
    estimate = nl_ridge(image, np.ones(clean.shape, bool)).images[0]
    assert rmse(estimate, clean) < 0.65  # most of the error is at edges of four noise deviations


@pytest.mark.parametrize("variance", [300.0, 900.0])
@pytest.mark.parametrize("shape", ["blob", "line"])
def test_one_bright_object_in_a_flat_image(shape, variance):
    """The groups on it hold a signal far above the image's own variance: their matrices are nearly singular."""
    y, x = np.mgrid[:64, :64]
    clean = np.exp(-((y - 30) ** 2 + (x - 34) ** 2) / 16) if shape == "blob" else (abs(x - 30) <= 1).astype(float)
    clean = clean * np.sqrt(variance / clean.var())
    image = (clean + np.random.default_rng(0).normal(size=clean.shape)).astype(np.float32)[None]
    assert rmse(nl_ridge(image, np.ones(clean.shape, bool)).images[0], clean) < 0.4


def test_a_strong_signal_is_preserved():
    """With noise of 1 part in 10,000 no signal is lost and no number overflows."""
    clean = material_cube(2) * 1e4
    image = (clean + np.random.default_rng(0).normal(size=clean.shape)).astype(np.float32)
    assert rmse(nl_ridge(image, np.ones(clean.shape[1:], bool)).images, clean) < 1.1


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 40), (17, 23)])
def test_images_smaller_than_a_search_window(shape):
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    estimate = nl_ridge(image, np.ones(shape, bool)).images
    assert estimate.shape == image.shape and np.isfinite(estimate).all()
    assert np.abs(estimate).max() <= np.abs(image).max() + 1e-5


def test_weak_images_get_larger_patches():
    """A strong image of 20 noise variances and a weak one of 0.1: each has the error of the better size."""
    clean = np.stack([material_cube(1)[0], material_cube(1)[0]])
    clean = (clean - clean.mean()) / clean.std() * np.sqrt([20.0, 0.1])[:, None, None]
    image = (clean + np.random.default_rng(0).normal(size=clean.shape)).astype(np.float32)
    observed = np.ones(clean.shape[1:], bool)
    single = (nl_ridge(image, observed, sizes=sizes) for sizes in (WEAK_NOISE, LARGE_PATCHES))
    pair, small, large = (result.images for result in (nl_ridge_pair(image, observed), *single))
    errors = [[rmse(result[channel], clean[channel]) for result in (pair, small, large)] for channel in (0, 1)]
    assert errors[0][1] < errors[0][2] and errors[1][1] > errors[1][2]
    for pair_error, *others in errors:
        assert pair_error < 1.05 * min(others)
    assert (nl_ridge_pair(image, ~observed).images == 0).all()


def test_unobserved_pixels_have_no_influence():
    clean = material_cube(1)[0] * 20
    observed = np.ones(clean.shape, bool)
    observed[20:40, 20:50] = False
    noise = np.random.default_rng(0).normal(size=clean.shape)
    first = np.where(observed, clean + noise, 1e6)[None].astype(np.float32)
    second = np.where(observed, clean + noise, -7.0)[None].astype(np.float32)
    estimate = nl_ridge(first, observed).images
    np.testing.assert_array_equal(estimate, nl_ridge(second, observed).images)
    assert (estimate[0][~observed] == 0).all()
    assert rmse(estimate[0][observed], clean[observed]) < 0.65


@pytest.mark.parametrize("with_pilot", [True, False])
def test_leverage_is_the_weight_of_a_pixel_in_its_own_estimate(with_pilot):
    """Checked for fixed weights, as with a pilot; the weights of the first stage change with the pixel."""
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.normal(size=(2, 40, 44)).astype(np.float32) * 3.0)
    observed = torch.ones(40, 44, dtype=torch.bool)
    groups = find_groups(image, observed, WEAK_NOISE, 18)
    pilot = image + torch.from_numpy(rng.normal(size=image.shape).astype(np.float32)) if with_pilot else None
    before, leverage = ridge_pass(image, pilot, groups, 7)
    assert leverage.shape == image.shape and 0.0 < float(leverage.min()) and float(leverage.max()) < 1.01
    if with_pilot:
        for pixel in [(0, 5, 7), (1, 20, 20), (1, 39, 0)]:
            changed = image.clone()
            changed[pixel] += 1.0
            after, _ = ridge_pass(changed, pilot, groups, 7)
            assert float(after[pixel] - before[pixel]) == pytest.approx(float(leverage[pixel]), rel=1e-3)


def test_smooth_images_have_a_low_leverage_and_rough_ones_a_high_one():
    rng = np.random.default_rng(0)
    smooth = 5.0 * np.hypot(*np.mgrid[-1:1:64j, -1:1:64j])
    rough = 5.0 * rng.normal(size=(64, 64))
    image = (np.stack([smooth, rough]) + rng.normal(size=(2, 64, 64))).astype(np.float32)
    for denoiser in (nl_ridge, nl_ridge_pair):
        result = denoiser(image, np.ones((64, 64), bool))
        low, high = result.leverage.mean(axis=(1, 2))
        assert 0.0 < low < 0.15 and 0.5 < high <= 1.0
        errors = np.square(result.images - np.stack([smooth, rough])).mean(axis=(1, 2))
        assert errors[0] < 0.25 and errors[1] > 0.5


def test_groups_of_a_signal_far_above_the_noise_are_solved_in_double_precision():
    """Squares of 1e5 noise deviations lose the noise in single precision."""
    generator = torch.Generator().manual_seed(0)
    patches = 3e4 * torch.randn(4, 49, 2, 1, generator=generator) + torch.randn(4, 49, 2, 40, generator=generator)
    patches = patches * torch.linspace(0.1, 3.0, 40)
    for part in _combine(patches, patches.clone(), strong=False):
        assert part.isfinite().all() and part.dtype == torch.float32
