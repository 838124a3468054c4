"""Steered ridge: learned filters that rotate with the image."""

from __future__ import annotations

import numpy as np
from fine_scenes import downsampled, enlarged, fields, rmse
from scipy import ndimage

from dip_core.imaging.psf import Psf
from dip_core.superresolution.steered_ridge import RidgeAccumulator, steered_ridge, steering


def test_filters_that_rotate_with_the_image_are_learned():
    """The truth is a sum of terms: sharp edges regain what a filter along them removed."""
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.normal(size=(1, 64, 64)), (0, 1.5, 1.5)).astype(np.float32)
    sharp = (smooth + 0.1 * ndimage.gaussian_laplace(smooth, (0, 1, 1))).astype(np.float32)
    steer = steering(sharp, 2, 0.01)
    padded = np.pad(smooth[0], 1, mode="symmetric")
    along = padded[2:, 1:-1] + padded[:-2, 1:-1] - padded[1:-1, 2:] - padded[1:-1, :-2]
    truth = (smooth + sharp) / 2 + 0.3 * steer.cosine * along + 0.2 * (sharp - smooth)
    accumulator = RidgeAccumulator(1)
    accumulator.add(truth, smooth, sharp, steer, np.ones((64, 64), bool))
    estimate = steered_ridge(smooth, sharp, steer, accumulator.coefficients())
    assert rmse(estimate, truth) < 0.1 * rmse((smooth + sharp) / 2, truth)


def test_without_data_the_estimate_is_the_mean_of_the_two():
    rng = np.random.default_rng(0)
    smooth, sharp = rng.normal(size=(2, 1, 20, 24)).astype(np.float32)
    coefficients = RidgeAccumulator(1).coefficients()
    assert not coefficients.any()
    estimate = steered_ridge(smooth, sharp, steering(sharp, 2, 0.01), coefficients)
    assert np.array_equal(estimate, (smooth + sharp) / 2)


def test_no_direction_is_preferred():
    psf = Psf(2)
    coarse, observed = downsampled(fields(2, 80, 80), psf)

    def run(values):
        return enlarged(["steered_ridge"], values, observed, psf)["steered_ridge"]

    straight = run(coarse)
    # The terms have no direction; the differences of total variation are forward ones.
    for changed, back in (
        (coarse.transpose(0, 2, 1), lambda image: image.transpose(0, 2, 1)),
        (coarse[:, ::-1], lambda image: image[:, ::-1]),
        (np.rot90(coarse, axes=(1, 2)), lambda image: np.rot90(image, -1, axes=(1, 2))),
    ):
        assert rmse(back(run(np.ascontiguousarray(changed))), straight) < 0.02 * coarse.std()
