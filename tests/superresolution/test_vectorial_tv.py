"""Vectorial total variation: least variation among the consistent images."""

from __future__ import annotations

import numpy as np
from fine_scenes import downsampled, fields

from dip_core.imaging.back_projection import ConsistencyProjection
from dip_core.imaging.psf import Psf, enlarge_bicubic
from dip_core.superresolution.vectorial_tv import vectorial_tv


def variation(cube):
    return np.sqrt((np.diff(cube, axis=1)[:, :, :-1] ** 2 + np.diff(cube, axis=2)[:, :-1] ** 2).sum(axis=0)).sum()


def test_total_variation_is_minimal_among_consistent_images():
    psf = Psf(2)
    fine = fields().astype(np.float32)
    coarse = downsampled(fine, psf)[0].astype(np.float32)
    projection = ConsistencyProjection(psf, fine.shape[1:])
    start = projection.project(enlarge_bicubic(coarse, 2).astype(np.float32), projection.transform(coarse))
    image = vectorial_tv(coarse, start, projection)
    assert variation(image) < 0.97 * variation(start)
    rng = np.random.default_rng(0)
    zero = projection.transform(np.zeros_like(coarse))
    for _ in range(5):
        change = projection.project(rng.normal(0, 0.05, image.shape).astype(np.float32), zero)
        assert variation(image + change) > variation(image)
    assert np.abs(psf.operator(fine.shape[1:]).apply(image) - coarse).max() < 1e-3 * coarse.std()


def test_a_flat_image_stays_flat():
    flat = np.zeros((1, 8, 9), np.float32)
    projection = ConsistencyProjection(Psf(2), (16, 18))
    assert not vectorial_tv(flat, np.zeros((1, 16, 18), np.float32), projection).any()
