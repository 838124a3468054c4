"""Noise levels: estimated per band, from observed pixels only, and never 0."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube

from dip_core.imaging.noise import noise_levels


@pytest.mark.parametrize("bands", [3, 30])
def test_levels_are_estimated_per_band(bands):
    truth = np.linspace(0.05, 0.2, bands)
    values = add_noise(material_cube(bands), truth)
    # With 64 x 72 details the median rule has a standard error of 2 %. The tolerance is five times that, plus the
    # excess of a regression on noisy bands.
    np.testing.assert_allclose(noise_levels(values, np.ones(values.shape, bool)), truth, rtol=0.12)


def test_missing_pixels_do_not_count():
    values = add_noise(material_cube(), 0.1)
    observed = np.ones(values.shape, bool)
    observed[:, 20:40, :30] = False
    values[~observed] = -32768
    np.testing.assert_allclose(noise_levels(values, observed), 0.1, rtol=0.12)


def test_constant_and_tiny_bands_have_a_positive_level():
    values = np.zeros((2, 5, 5))
    assert (noise_levels(values, np.ones(values.shape, bool)) > 0).all()
    assert noise_levels(np.ones((1, 1, 1)), np.ones((1, 1, 1), bool))[0] > 0
