"""Samples are thinned until their depths are distributed as those of the gaps."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.inpainting.depth_matching import depth_histogram, match_depths


def histogram(shallow=0, deep=0, deepest=0):
    """A histogram of gap pixels at distances 1, 6 and 30."""
    return depth_histogram(np.repeat([1.0, 6.0, 30.0], [shallow, deep, deepest]))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_deep_samples_are_thinned_to_their_share_in_the_gaps():
    """Half of the samples are deep, a tenth of the gap pixels."""
    distance = np.where(rng(1).random(40_000) < 0.5, 1.0, 6.0)
    kept = distance[match_depths(distance, histogram(9000, 1000), rng())]
    assert np.mean(kept == 6.0) == pytest.approx(0.1, abs=0.01)
    assert np.count_nonzero(kept == 1.0) == np.count_nonzero(distance == 1.0)  # no more than necessary is dropped


def test_all_samples_are_kept_if_the_gaps_are_deeper_than_all_of_them():
    distance = np.where(rng(1).random(1000) < 0.5, 1.0, 6.0)
    assert len(match_depths(distance, histogram(deepest=5), rng())) == len(distance)
    assert len(match_depths(distance, histogram(), rng())) == len(distance)


def test_at_least_a_quarter_of_the_samples_is_kept():
    distance = np.full(40_000, 6.0)
    distance[:1000] = 1.0
    assert len(match_depths(distance, histogram(1_000_000), rng())) >= 0.2 * len(distance)
