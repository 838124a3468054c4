"""Block sums and their interpolation, and filling from the nearest observed pixel."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.imaging.resampling import block_sums, enlarge_blocks, fill_nearest, fill_nearest_common


@pytest.mark.parametrize("side", [2, 4])
def test_block_sums_include_incomplete_blocks(side):
    images = np.arange(2 * 7 * 9, dtype=np.float32).reshape(2, 7, 9)
    sums = block_sums(images, side)
    assert sums.shape == (2, -(-7 // side), -(-9 // side))
    np.testing.assert_allclose(sums.sum(axis=(1, 2)), images.sum(axis=(1, 2)))
    assert sums[0, 0, 1] == images[0, :side, side : 2 * side].sum()


@pytest.mark.parametrize("side", [2, 4])
def test_a_slope_is_reconstructed_without_shift(side):
    """Bilinear between the block centres; constant in the half block outside the outermost centres."""
    y, x = np.mgrid[:16, :24]
    slope = (2.0 * y + x)[None]
    means = block_sums(slope, side) / side**2
    enlarged = enlarge_blocks(means, np.ones(means.shape[1:], bool), side, (16, 24))
    inner = np.s_[:, side // 2 : -(side // 2), side // 2 : -(side // 2)]
    np.testing.assert_allclose(enlarged[inner], slope[inner])


def test_missing_blocks_have_no_influence():
    means = np.array([[[1.0, 1.0, 99.0]]])
    enlarged = enlarge_blocks(means, np.array([[True, True, False]]), 2, (1, 5))
    np.testing.assert_array_equal(enlarged, np.ones((1, 1, 5)))


def test_missing_pixels_get_the_nearest_observed_value():
    images = np.array([[[5.0, 0.0, 0.0, 0.0, 7.0]], [[1.0, 0.0, 0.0, 0.0, 2.0]]])
    found = fill_nearest_common(images, np.array([[True, False, False, False, True]]))
    assert found[:, 0, [0, 1, 3, 4]].tolist() == [[5, 5, 7, 7], [1, 1, 2, 2]]
    nothing = np.zeros((1, 5), bool)
    np.testing.assert_array_equal(fill_nearest_common(images, nothing), images)


def test_each_band_may_have_its_own_mask():
    values = np.array([[[5.0, 9.0, 7.0]], [[1.0, 2.0, 3.0]], [[4.0, 4.0, 4.0]]])
    observed = np.array([[[True, False, False]], [[False, True, True]], [[False, False, False]]])
    assert fill_nearest(values, observed).tolist() == [[[5, 5, 5]], [[2, 2, 3]], [[0, 0, 0]]]
