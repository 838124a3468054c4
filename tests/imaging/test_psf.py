"""The point spread function: its operators and the default width of the Gaussian."""

from __future__ import annotations

import numpy as np

from dip_core.imaging.degradation import gaussian_decimation
from dip_core.imaging.psf import Psf, enlarge_bicubic


def test_gaussian_is_that_of_the_cascade_paper():
    fine = np.random.default_rng(0).normal(size=(1, 24, 24))
    expected = gaussian_decimation((24, 24), 2, 3.0).apply(fine)
    np.testing.assert_allclose(Psf(2, "gaussian", 3.0).operator((24, 24)).apply(fine), expected)
    assert Psf(4, "gaussian").gaussian_sigma == 2.0


def test_only_wide_blurs_are_damped():
    assert Psf(2, "gaussian").damping == 0 < Psf(2, "gaussian", 3.0).damping
    assert Psf(2).damping == Psf(2, "lanczos").damping == 0


def test_enlargement_keeps_a_constant():
    enlarged = enlarge_bicubic(np.full((2, 3, 4), 7.0), 3)
    assert enlarged.shape == (2, 9, 12)
    np.testing.assert_allclose(enlarged, 7.0)
