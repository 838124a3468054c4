"""Missing classes are filled by a vote of the nearest observed pixels; no class is invented."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps

from dip_core.inpainting.class_fill import fill_classes


def test_only_observed_classes_appear():
    codes = np.random.default_rng(0).choice(np.array([3, 40, 250], np.uint8), (60, 70))
    gap = slanted_gaps(60, 70)
    estimate = fill_classes(codes, ~gap, gap)
    assert set(np.unique(estimate.codes)) <= {3, 40, 250}
    assert estimate.codes.dtype == np.uint8 and (estimate.doubt >= 0).all() and (estimate.doubt < 1).all()


def test_the_border_of_two_classes_continues_through_a_gap():
    truth = np.where(np.arange(50) < 23, 7, 9)[None].repeat(40, axis=0).astype(np.int16)
    gap = np.zeros(truth.shape, bool)
    gap[15:23] = True
    estimate = fill_classes(np.where(gap, -1, truth), ~gap, gap)
    assert np.mean(estimate.codes == truth[gap]) > 0.97
    inside = np.abs(np.nonzero(gap)[1] - 23) > 6
    assert (estimate.doubt[inside] < 1e-6).all()
    assert estimate.distance.max() == 4


def test_a_single_wrong_neighbour_is_outvoted():
    codes = np.full((9, 9), 4, np.uint8)
    codes[4, 3], codes[4, 4] = 200, 0
    gap = np.zeros(codes.shape, bool)
    gap[4, 4] = True
    assert fill_classes(codes, ~gap, gap).codes.tolist() == [4]


def test_equal_votes_go_to_the_nearest():
    codes = np.array([[1, 0, 0, 2]], np.uint8)
    gap = codes == 0
    assert fill_classes(codes, ~gap, gap).codes.tolist() == [1, 2]


def test_targets_far_from_all_observed_pixels():
    codes = np.zeros((1, 200), np.uint32)
    codes[0, 0] = 70_000
    target = np.zeros(codes.shape, bool)
    target[0, 150:] = True
    estimate = fill_classes(codes, codes > 0, target)
    assert (estimate.codes == 70_000).all()


def test_nothing_observed():
    with pytest.raises(ValueError, match="observed"):
        fill_classes(np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool), np.ones((4, 4), bool))
