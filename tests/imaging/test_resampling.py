"""Coarser grids and back: sums are whole, places are kept, and what is not seen stays out."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.imaging.resampling import block_sums, enlarge_blocks, fill_nearest_common


@pytest.mark.parametrize("side", [2, 4])
def test_sums_of_blocks_lose_nothing_at_odd_borders(side):
    images = np.arange(2 * 7 * 9, dtype=np.float32).reshape(2, 7, 9)
    sums = block_sums(images, side)
    assert sums.shape == (2, -(-7 // side), -(-9 // side))
    np.testing.assert_allclose(sums.sum(axis=(1, 2)), images.sum(axis=(1, 2)))
    assert sums[0, 0, 1] == images[0, :side, side : 2 * side].sum()


@pytest.mark.parametrize("side", [2, 4])
def test_a_slope_comes_back_in_its_place(side):
    """Bilinear between the blocks' centres; beyond the outermost ones, half a block wide, it is level."""
    y, x = np.mgrid[:16, :24]
    slope = (2.0 * y + x)[None]
    means = block_sums(slope, side) / side**2
    back = enlarge_blocks(means, np.ones(means.shape[1:], bool), side, (16, 24))
    inner = np.s_[:, side // 2 : -(side // 2), side // 2 : -(side // 2)]
    np.testing.assert_allclose(back[inner], slope[inner])


def test_blocks_that_do_not_count_are_not_mixed_in():
    means = np.array([[[1.0, 1.0, 99.0]]])
    back = enlarge_blocks(means, np.array([[True, True, False]]), 2, (1, 5))
    np.testing.assert_array_equal(back, np.ones((1, 1, 5)))


def test_the_nearest_seen_pixel_stands_for_one_that_is_not():
    images = np.array([[[5.0, 0.0, 0.0, 0.0, 7.0]], [[1.0, 0.0, 0.0, 0.0, 2.0]]])
    found = fill_nearest_common(images, np.array([[True, False, False, False, True]]))
    assert found[:, 0, [0, 1, 3, 4]].tolist() == [[5, 5, 7, 7], [1, 1, 2, 2]]
    nothing = np.zeros((1, 5), bool)
    np.testing.assert_array_equal(fill_nearest_common(images, nothing), images)
