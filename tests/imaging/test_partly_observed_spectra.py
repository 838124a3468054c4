"""Eigen-images of pixels that only some bands observe: their error, and what weak ones keep."""

from __future__ import annotations

import dataclasses

import numpy as np

from dip_core.imaging.subspace import Subspace, find_subspace


def test_error_variance_of_partly_observed_pixels():
    """Spectra of known signal variances and noise 1, observed by all, some, few or none of the bands."""
    bands, pixels = 40, 20_000
    rng = np.random.default_rng(0)
    power = np.array([26.0, 5.0])
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(bands, 2)))
    plain = Subspace(np.zeros(bands), np.ones(bands), basis, np.ones(bands), 1.2)
    subspace = dataclasses.replace(plain, variance=power)
    observed = np.zeros((bands, 4, pixels), bool)
    for row, count in enumerate((bands, 20, 3, 0)):
        observed[:count, row] = True
    images = rng.normal(size=(2, 4, pixels)) * np.sqrt(power - 1.0)[:, None, None]
    values = np.tensordot(subspace.basis, images, 1) + rng.normal(size=observed.shape)
    projected, _ = subspace.project(values, observed)
    measured = np.square(projected - images).mean(axis=2)
    predicted = subspace.error_variance(observed)
    np.testing.assert_allclose(predicted, np.broadcast_to(predicted[:, :, :1], predicted.shape), rtol=1e-5)
    # The standard error of a mean of 20,000 squares is 1 %.
    np.testing.assert_allclose(predicted[:, :3, 0], measured[:, :3], rtol=0.05)
    np.testing.assert_allclose(predicted[:, 0], 1.0)
    assert (predicted[:, 2] > predicted[:, 1]).all() and (predicted[:, 1] > 1.2).all()


def test_weak_images_of_almost_complete_pixels_stay_as_they_are():
    """If one band of forty is missing, the weak eigen-image hardly changes; one band alone says almost nothing."""
    bands, shape = 40, (40, 50)
    rng = np.random.default_rng(2)
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(bands, 2)))
    images = rng.normal(size=(2, *shape)) * np.sqrt([20.0, 0.5])[:, None, None]
    values = (np.tensordot(basis, images, axes=1) + rng.normal(size=(bands, *shape))).astype(np.float32)
    subspace = find_subspace(values, np.ones(values.shape, bool), np.ones(bands))
    assert subspace.rank == 2
    whole, _ = subspace.project(values, np.ones(values.shape, bool))
    observed = np.ones(values.shape, bool)
    observed[3] = False
    almost, _ = subspace.project(values, observed)
    np.testing.assert_allclose(almost.std((1, 2)), whole.std((1, 2)), rtol=0.05)
    observed[:] = False
    observed[7] = True
    single, _ = subspace.project(values, observed)
    assert single[1].std() < 0.4 * whole[1].std()
