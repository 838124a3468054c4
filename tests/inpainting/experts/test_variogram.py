"""Covariance models and their fit."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps
from gap_cases import random_field
from scipy import ndimage, special

from dip_core.inpainting.experts.variogram import DEFAULT_VARIOGRAM, fit_variogram, matern

EVERYWHERE = np.ones((256, 256), bool)


@pytest.mark.parametrize(("range_", "nugget"), [(4.0, 0.0), (10.0, 0.0), (6.0, 0.2)])
def test_the_variogram_is_recovered(range_, nugget):
    fitted = fit_variogram(random_field(range_, nugget)[None], EVERYWHERE)
    # In one field of 256 x 256 pixels the range varies by a fifth; the fit's own grid has steps of 14 %.
    assert fitted.range == pytest.approx(range_, rel=0.4)
    assert fitted.nugget == pytest.approx(nugget, abs=0.06)
    assert fitted.smoothness == 0.5


def test_a_smooth_surface_gets_a_smooth_covariance():
    field = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(256, 256)), 4, mode="wrap")
    assert fit_variogram(field[None] / field.std(), EVERYWHERE).smoothness > 0.5


@pytest.mark.parametrize("smoothness", [0.5, 1.0, 1.5])
def test_matern_is_the_textbook_formula(smoothness):
    """``2^(1-s) / Gamma(s) h^s K_s(h)``."""
    h = np.array([0.3, 1.0, 4.0])
    expected = 2 ** (1 - smoothness) / special.gamma(smoothness) * h**smoothness * special.kv(smoothness, h)
    np.testing.assert_allclose(matern(h, smoothness), expected)
    assert matern(np.zeros(1), smoothness)[0] == 1.0


def test_the_fit_needs_no_complete_rows():
    field = random_field(6.0, 0.0)[None]
    complete = fit_variogram(field, EVERYWHERE)
    with_gaps = fit_variogram(field, ~slanted_gaps(256, 256, 12, 40))
    assert with_gaps.range == pytest.approx(complete.range, rel=0.3)


def test_too_few_pixels_get_the_default():
    assert fit_variogram(np.zeros((1, 3, 3)), np.ones((3, 3), bool)) == DEFAULT_VARIOGRAM
