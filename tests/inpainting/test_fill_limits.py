"""The distance to observed pixels, and the pixels beyond the convex hull."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import convex_hull_image

from dip_core.inpainting import fill_limits
from dip_core.inpainting.fill_limits import count_beyond_hull, within_distance


@pytest.mark.parametrize("limit", [1, 2.5, 7, 1000])
@pytest.mark.parametrize("block", [7, 1024])
def test_the_distance_is_euclidean_and_of_the_own_band(limit, block, monkeypatch):
    monkeypatch.setattr(fill_limits, "_BLOCK_ROWS", block)
    observed = np.random.default_rng(3).random((2, 60, 50)) > np.array([0.9, 0.99])[:, None, None]
    target = ~observed
    target[:, :, 40:] = False
    expected = [band & (ndimage.distance_transform_edt(~seen) <= limit) for seen, band in zip(observed, target)]
    np.testing.assert_array_equal(within_distance(observed, target, limit), expected)


def test_a_band_without_observed_pixels_is_near_to_nothing():
    observed = np.zeros((1, 9, 9), bool)
    assert not within_distance(observed, ~observed, 5).any()


@pytest.mark.parametrize("seed", range(4))
def test_pixels_beyond_the_hull(seed):
    rng = np.random.default_rng(seed)
    observed = np.zeros((50, 60), bool)
    observed[rng.integers(8, 40, 12), rng.integers(10, 50, 12)] = True
    hull = convex_hull_image(observed, offset_coordinates=False)
    assert count_beyond_hull(observed, ~observed) == pytest.approx((~hull & ~observed).sum(), abs=2)
    assert count_beyond_hull(observed, hull & ~observed) <= 2


@pytest.mark.parametrize("where", [np.s_[4, 2:9], np.s_[2:9, 4], np.s_[4, 4]])
def test_a_hull_without_an_area(where):
    observed = np.zeros((12, 12), bool)
    observed[where] = True
    assert count_beyond_hull(observed, ~observed) == (~observed).sum()


def test_nothing_lies_beyond_a_complete_scene():
    gap = np.zeros((30, 30), bool)
    gap[10:20, 5:25] = True
    assert count_beyond_hull(~gap, gap) == 0
