"""What error a denoiser is expected to make: by the leverage, by held-out samples, and by how much these can tell."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dip_core.denoising import error_model
from dip_core.denoising import model as denoising
from dip_core.denoising.error_model import ErrorModel
from dip_core.denoising.model import Estimate, Settings, denoise
from dip_core.denoising.nl_ridge import WEAK, find_groups, nl_ridge, nl_ridge_pair, ridge_pass
from dip_core.imaging.subspace import Subspace

BANDS, SIDE = 40, 64


@pytest.fixture
def space() -> Subspace:
    """Two directions of 40 bands, noise of level 1."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(BANDS, 2)))
    return Subspace(np.zeros(BANDS), np.ones(BANDS), basis, np.ones(BANDS), 1.2)


@pytest.fixture
def leverage() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.05, 0.4, (2, SIDE, SIDE)).astype(np.float32)


def learned(space, leverage, level, noise, scale=1.0, seed=2) -> ErrorModel:
    """From samples of that much noise (a variance) and of errors of ``level scale_b`` times the leverage's variance."""
    rng = np.random.default_rng(seed)
    expected = np.tensordot(np.square(space.basis), leverage, 1) * level * np.reshape(scale, (-1, 1, 1))
    error = rng.normal(size=expected.shape) * np.sqrt(expected)
    square = np.square(error + rng.normal(size=expected.shape) * np.sqrt(noise))
    nothing = np.zeros(expected.shape, np.float32)
    everywhere = np.ones(expected.shape, bool)
    return error_model.learn(space, nothing, nothing[0], leverage, square, np.full(expected.shape, noise), everywhere)


@pytest.mark.parametrize("pilot", [True, False])
def test_leverage_is_the_weight_of_a_pixel_in_its_own_estimate(pilot):
    """With weights that do not move, as those of a fixed pilot; those of the first stage move with the pixel."""
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.normal(size=(2, 40, 44)).astype(np.float32) * 3.0)
    seen = torch.ones(40, 44, dtype=torch.bool)
    groups = find_groups(image, seen, WEAK, 18)
    guide = image + torch.from_numpy(rng.normal(size=image.shape).astype(np.float32)) if pilot else None
    before, leverage = ridge_pass(image, guide, groups, 7)
    assert leverage.shape == image.shape and 0.0 < float(leverage.min()) and float(leverage.max()) < 1.01
    if pilot:
        for place in [(0, 5, 7), (1, 20, 20), (1, 39, 0)]:
            moved = image.clone()
            moved[place] += 1.0
            after, _ = ridge_pass(moved, guide, groups, 7)
            assert float(after[place] - before[place]) == pytest.approx(float(leverage[place]), rel=1e-3)


def test_smooth_images_have_a_low_leverage_and_rough_ones_a_high_one():
    rng = np.random.default_rng(0)
    smooth = 5.0 * np.hypot(*np.mgrid[-1:1:64j, -1:1:64j])
    rough = 5.0 * rng.normal(size=(64, 64))
    noisy = (np.stack([smooth, rough]) + rng.normal(size=(2, 64, 64))).astype(np.float32)
    for expert in (nl_ridge, nl_ridge_pair):
        found = expert(noisy, np.ones((64, 64), bool))
        low, high = found.leverage.mean(axis=(1, 2))
        assert 0.0 < low < 0.15 and 0.5 < high <= 1.0
        errors = np.square(found.images - np.stack([smooth, rough])).mean(axis=(1, 2))
        assert errors[0] < 0.25 and errors[1] > 0.5


def test_samples_that_can_tell_the_error_decide_on_it(space, leverage):
    """Their noise is as small as the error: three times the leverage is found, though half of that is usual."""
    model = learned(space, leverage, 3.0, 0.01)
    assert model.coefficients[0] == pytest.approx(3.0, rel=0.05) and model.coefficients[1] < 1e-3
    np.testing.assert_allclose(model.scale, 1.0, atol=0.4)


def test_noise_does_not_decide_on_the_error(space, leverage):
    """Samples a thousand times as noisy as the error: what is usual stands, for all bands alike."""
    for seed in range(3):
        model = learned(space, leverage, 1.4, 10.0, seed=seed)
        assert 1.0 < model.coefficients[0] < 1.8
        np.testing.assert_allclose(model.scale, 1.0, atol=0.1)


def test_an_error_of_the_noise_level_is_not_taken_for_one_of_the_estimate(space, leverage):
    """Samples 5 % noisier than they are said to be: a fit by itself would find five times the error."""
    rng = np.random.default_rng(0)
    own = np.tensordot(np.square(space.basis), leverage, 1)
    square = np.square(rng.normal(size=own.shape)) * (1.4 * own + 1.05)
    nothing = np.zeros(own.shape, np.float32)
    model = error_model.learn(space, nothing, nothing[0], leverage, square, np.ones(own.shape), own > 0)
    alone = (square - 1.0).mean() / own.mean()
    assert alone > 5.0 and np.square(model.typical).mean() / own.mean() < 2.0


def test_a_band_that_errs_more_has_a_scale_of_its_own(space, leverage):
    scale = np.where(np.arange(BANDS) == 7, 4.0, 1.0)
    model = learned(space, leverage, 1.4, 0.01, scale)
    assert model.scale[7] == pytest.approx(4.0, rel=0.3) and np.delete(model.scale, 7).max() < 1.5


def test_a_band_without_samples_is_expected_to_err_as_the_others_do(space, leverage):
    square = np.full((BANDS, SIDE, SIDE), 1.1)
    judged = np.ones(square.shape, bool)
    judged[3] = False
    nothing = np.zeros(square.shape, np.float32)
    for known in (leverage, None):
        model = error_model.learn(space, nothing, nothing[0], known, square, np.ones(square.shape), judged)
        assert model.typical[3] == pytest.approx(np.sqrt(np.mean(model.typical**2)), rel=0.3) and model.scale[3] == 1.0


def test_networks_have_no_leverage_and_go_by_roughness(space):
    """The error is 0.05 where the estimate is flat and 0.5 where it is not."""
    rng = np.random.default_rng(0)
    estimate = np.zeros((BANDS, SIDE, SIDE), np.float32)
    estimate[:, :, SIDE // 2 :] = rng.normal(size=(BANDS, SIDE, SIDE // 2)) * 2.0
    variance = np.where(np.arange(SIDE) < SIDE // 2, 0.05, 0.5) * np.ones(estimate.shape)
    square = np.square(rng.normal(size=estimate.shape)) * (variance + 0.01)
    noise, nothing = np.full(estimate.shape, 0.01), np.zeros((SIDE, SIDE), np.float32)
    model = error_model.learn(space, estimate, nothing, None, square, noise, np.ones(estimate.shape, bool))
    assert not model.by_leverage
    deviation = model.deviation(space, estimate, nothing, None)
    assert deviation.shape == estimate.shape
    flat, rough = (np.sqrt(np.mean(part**2)) for part in (deviation[:, :, :28], deviation[:, :, 36:]))
    assert flat == pytest.approx(np.sqrt(0.05), rel=0.3) and rough == pytest.approx(np.sqrt(0.5), rel=0.15)


def test_a_mean_has_the_mean_leverage_and_a_shrunk_image_a_shrunk_one(space, leverage):
    """An expert that has none counts as one like the others; where no other has a share, there is none."""
    image = np.ones((BANDS, SIDE, SIDE), np.float32)
    two = [Estimate(image, leverage), Estimate(3.0 * image, 3.0 * leverage)]
    mean, spread, found = denoising._mixed(two, np.array([0.75, 0.25]), space)
    np.testing.assert_allclose(mean, 1.5, rtol=1e-6)
    np.testing.assert_allclose(spread, 0.75 * 0.25 + 0.25 * 2.25, rtol=1e-5)
    np.testing.assert_allclose(found, 1.5 * leverage, rtol=1e-5)
    with_network = [Estimate(image, leverage), Estimate(image)]
    np.testing.assert_allclose(denoising._mixed(with_network, np.array([0.6, 0.4]), space)[2], leverage, rtol=1e-5)
    assert denoising._mixed(with_network, np.array([0.0, 1.0]), space)[2] is None
    half = denoising._shrunk(leverage, np.array([0.5, 1.0]))
    np.testing.assert_allclose(half, leverage * np.array([0.5, 1.0])[:, None, None], rtol=1e-6)


def test_the_error_of_pixels_that_few_bands_see_is_known(space):
    """Spectra of known signal variances and noise 1, seen by all, some, few or none of the bands."""
    rng = np.random.default_rng(0)
    power = np.array([26.0, 5.0])
    known = dataclasses.replace(space, variance=power)
    seen = np.zeros((BANDS, 4, 20_000), bool)
    for row, count in enumerate((BANDS, 20, 3, 0)):
        seen[:count, row] = True
    images = rng.normal(size=(2, 4, 20_000)) * np.sqrt(power - 1.0)[:, None, None]
    values = np.tensordot(known.basis, images, 1) + rng.normal(size=seen.shape)
    found, _ = known.project(values, seen)
    wanted = np.square(found - images).mean(axis=2)
    noise = known.error_variance(seen)
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:, :, :1], noise.shape), rtol=1e-5)
    # Means of 20,000 squares are right to 1 % (one standard deviation).
    np.testing.assert_allclose(noise[:, :3, 0], wanted[:, :3], rtol=0.05)
    np.testing.assert_allclose(noise[:, 0], 1.0)
    assert (noise[:, 2] > noise[:, 1]).all() and (noise[:, 1] > 1.2).all()


def test_deviations_mean_what_they_say_where_few_bands_see():
    """A block of pixels that 5 of 40 bands see, in a scene that is complete elsewhere."""
    rows, columns = np.mgrid[0:64, 0:64] / 64.0
    fields = np.stack([np.sin(9 * rows) * np.cos(7 * columns), rows > 0.4, np.hypot(rows, columns) > 0.8])
    clean = np.tensordot(np.random.default_rng(0).random((BANDS, 3)), fields, 1)
    seen = np.ones(clean.shape, bool)
    seen[5:, 24:40, 24:40] = False
    values = clean + 0.3 * np.random.default_rng(1).normal(size=clean.shape)
    estimate, deviation, _ = denoise(np.where(seen, values, 0), seen, Settings("fast", "gaussian", sigma=0.3))
    ratio = np.abs(estimate - clean)[:, 24:40, 24:40] / deviation[:, 24:40, 24:40]
    assert 0.55 < np.mean(ratio <= 1) < 0.9 and 0.85 < np.mean(ratio <= 2)


@pytest.mark.parametrize("bands", [6, 24])
def test_a_pixel_that_is_an_outlier_in_every_band_has_a_large_deviation(bands):
    """Nothing is known of it: its error is that of a guess, not 0."""
    rows, columns = np.mgrid[0:64, 0:64] / 64.0
    fields = np.stack([np.sin(9 * rows) * np.cos(7 * columns), rows > 0.4])
    clean = 5.0 * np.tensordot(np.random.default_rng(0).random((bands, 2)), fields, 1)
    values = clean + np.random.default_rng(1).normal(size=clean.shape)
    values[:, 30, 30] = 60.0
    _, deviation, _ = denoise(values, np.ones(clean.shape, bool), Settings("fast", "mixed"))
    assert np.isfinite(deviation).all()
    assert np.sqrt(np.mean(deviation[:, 30, 30] ** 2)) > 2.0 * np.sqrt(np.mean(deviation**2))


def test_deviation_follows_the_leverage(space, leverage):
    model = error_model.unknown(space, by_leverage=True)
    nothing = np.zeros((BANDS, SIDE, SIDE), np.float32)
    one = model.deviation(space, nothing, nothing[0], leverage)
    np.testing.assert_allclose(model.deviation(space, nothing, nothing[0], 4.0 * leverage), 2.0 * one, rtol=1e-5)
    np.testing.assert_allclose(one**2, 1.4 * np.tensordot(np.square(space.basis), leverage, 1), rtol=1e-4)


def test_deviations_mean_what_they_say_under_strong_noise():
    """Sixty bands of noise as large as the whole range: the samples of a band say nothing of its error."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:96, 0:96] / 96.0
    fields = np.stack([np.sin(9 * rows) * np.cos(7 * columns), rows > 0.4, np.hypot(rows, columns) > 0.8])
    clean = np.tensordot(rng.random((60, 3)), fields, 1)
    clean = (clean - clean.min()) / np.ptp(clean)
    for seed in range(3):
        values = clean + np.random.default_rng(10 + seed).normal(size=clean.shape)
        estimate, deviation, _ = denoise(values, np.ones(clean.shape, bool), Settings("fast", "gaussian", seed=seed))
        ratio = np.abs(estimate - clean) / deviation
        assert 0.6 < np.mean(ratio <= 1) < 0.9 and np.mean(ratio <= 2) > 0.93
