"""Where a scene is validated: windows hold gaps, lie apart and evenly, and are the whole where that is small."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps

from dip_core.inpainting.gap_mask import Gaps
from dip_core.inpainting.validation_windows import sample_windows


def rng(seed=0):
    return np.random.default_rng(seed)


def gaps_of(target, observed=None):
    return Gaps(~target if observed is None else observed, target, len(target), "nodata and masks")


def test_windows_are_inside_apart_and_hold_gaps():
    target = np.zeros((1, 1000, 900), bool)
    target[0, 300:600] = slanted_gaps(300, 900)
    windows = sample_windows(gaps_of(target), 200, 4, rng())
    assert len(windows) == 4
    covered = np.zeros(target.shape[1:], int)
    for window in windows:
        covered[window.toslices()] += 1
        assert (window.width, window.height) == (180, 200)  # 5 x 5 cells of at most 200 x 200 pixels
        assert target[0][window.toslices()].any()
    assert covered.max() == 1 and covered.sum() == 4 * 180 * 200


def test_windows_may_hold_the_whole_scene():
    """No part of a scene a little larger than a window goes without."""
    target = slanted_gaps(301, 513)[None]
    windows = sample_windows(gaps_of(target), 256, 12, rng(), whole=0)
    covered = np.zeros(target.shape[1:], int)
    for window in windows:
        covered[window.toslices()] += 1
    assert len(windows) == 6 and covered.min() == 1 and (covered == 1).mean() > 0.99
    (window,) = sample_windows(gaps_of(target), 256, 12, rng(), whole=301 * 513)
    assert (window.width, window.height) == (513, 301)
    (window,) = sample_windows(gaps_of(target), 256, 1, rng())  # as a tile is
    assert (window.width, window.height) == (256, 256)


def test_windows_lie_evenly_over_the_gaps():
    """Three quarters of the gaps lie in the lower half, and so do three quarters of the windows, whatever the seed."""
    target = np.zeros((1, 800, 800), bool)
    target[0, :400, :400] = slanted_gaps(400, 400)
    target[0, 400:, :] = slanted_gaps(400, 800)
    target[0, 400:, 400:] |= slanted_gaps(400, 400)
    gaps = gaps_of(target)
    share = target[0, 400:].sum() / target.sum()
    for seed in range(20):
        windows = sample_windows(gaps, 100, 16, rng(seed))
        assert len(windows) == 16
        low = [window for window in windows if window.row_off >= 400]
        assert abs(len(low) - 16 * share) <= 1
        assert {window.col_off >= 400 for window in low} == {True, False}


def test_a_window_full_of_gaps_is_drawn_once():
    target = np.zeros((1, 400, 400), bool)
    target[0, :100, :100] = slanted_gaps(100, 100)
    target[0, ::50, ::50] = True
    windows = sample_windows(gaps_of(target), 100, 6, rng())
    places = {(window.row_off, window.col_off) for window in windows}
    assert len(places) == 6 and (0, 0) in places


def test_a_small_scene_is_one_window():
    target = slanted_gaps(300, 280)[None]
    (window,) = sample_windows(gaps_of(target), 256, 4, rng())
    assert (window.col_off, window.row_off, window.width, window.height) == (0, 0, 280, 300)


@pytest.mark.parametrize("size", [64, 400])
def test_a_scene_without_gaps_has_no_window(size):
    assert sample_windows(gaps_of(np.zeros((2, 300, 300), bool)), size, 4, rng()) == []


def test_windows_with_few_observed_pixels_are_a_last_resort():
    """Where nothing is a quarter observed, one window around the gaps is better than none."""
    target = np.ones((1, 300, 300), bool)
    target[0, :, ::10] = False
    (window,) = sample_windows(gaps_of(target), 100, 4, rng())
    assert (window.width, window.height) == (100, 100)
    assert target[0][window.toslices()].any()


def test_a_dead_first_band_does_not_count_against_a_window():
    """Band 1 has no observed pixel at all; the others are to be validated all the same."""
    target = np.stack([np.zeros((300, 300), bool), slanted_gaps(300, 300)])
    observed = np.stack([np.zeros((300, 300), bool), ~target[1]])
    assert len(sample_windows(gaps_of(target, observed), 100, 4, rng())) == 4
