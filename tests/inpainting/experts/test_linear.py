"""Linear interpolation along the row or the column."""

from __future__ import annotations

import numpy as np
from gap_cases import observe

from dip_core.inpainting.experts.linear import linear


def test_the_shorter_way_is_interpolated():
    """A ramp along x is exact across a gap that is 4 wide and 20 high, but not along its height."""
    y, x = np.mgrid[:40, :40]
    values = 0.1 * x + np.where(y < 20, 0.0, 5.0)
    gap = (abs(y - 20) < 10) & (x >= 18) & (x < 22)
    np.testing.assert_allclose(linear(observe(values[None], gap))[0], values, atol=1e-6)


def test_with_one_side_its_value_is_repeated():
    values = np.broadcast_to(np.arange(10.0)[:, None], (10, 3))
    gap = np.zeros((10, 3), bool)
    gap[6:] = True
    assert (linear(observe(values[None], gap))[0, 6:] == 5).all()


def test_pixels_without_observed_pixels_in_row_and_column_get_the_harmonic_value():
    values = np.full((1, 20, 20), 3.0)
    gap = np.ones((20, 20), bool)
    gap[0, 0] = False
    np.testing.assert_allclose(linear(observe(values, gap)), 3.0, atol=0.01)
