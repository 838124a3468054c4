"""The windows of validation: they hold gaps, do not overlap and are spread evenly; small scenes are one window."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps

from dip_core.inpainting.validation_windows import sample_windows


def windows_of(target, size, count, seed=0, observed=None, **options):
    """Windows for a target mask ``(row, column)``; all other pixels are observed."""
    observed = ~target if observed is None else observed
    return sample_windows(observed, target, size, count, np.random.default_rng(seed), **options)


def coverage(windows, shape):
    """The number of windows that cover each pixel."""
    covered = np.zeros(shape, int)
    for window in windows:
        covered[window.toslices()] += 1
    return covered


def test_windows_hold_gaps_and_do_not_overlap():
    target = np.zeros((1000, 900), bool)
    target[300:600] = slanted_gaps(300, 900)
    windows = windows_of(target, 200, 4)
    assert len(windows) == 4
    for window in windows:
        assert (window.width, window.height) == (180, 200)  # 5 x 5 cells of at most 200 x 200 pixels
        assert target[window.toslices()].any()
    covered = coverage(windows, target.shape)
    assert covered.max() == 1 and covered.sum() == 4 * 180 * 200


def test_windows_can_cover_the_whole_scene():
    target = slanted_gaps(301, 513)
    windows = windows_of(target, 256, 12, max_whole_pixels=0)
    covered = coverage(windows, target.shape)
    assert len(windows) == 6 and covered.min() == 1 and (covered == 1).mean() > 0.99


@pytest.mark.parametrize(
    "count, max_whole_pixels, size",
    [(12, 301 * 513, (513, 301)), (1, None, (256, 256))],
)
def test_a_single_window_is_the_scene_or_as_large_as_requested(count, max_whole_pixels, size):
    target = slanted_gaps(301, 513)
    (window,) = windows_of(target, 256, count, max_whole_pixels=max_whole_pixels)
    assert (window.width, window.height) == size


def test_windows_are_spread_evenly_over_the_gaps():
    """Three quarters of the gaps are in the lower half, and so are three quarters of the windows, for every seed."""
    target = np.zeros((800, 800), bool)
    target[:400, :400] = slanted_gaps(400, 400)
    target[400:, :] = slanted_gaps(400, 800)
    target[400:, 400:] |= slanted_gaps(400, 400)
    share = target[400:].sum() / target.sum()
    for seed in range(20):
        windows = windows_of(target, 100, 16, seed)
        assert len(windows) == 16
        lower = [window for window in windows if window.row_off >= 400]
        assert abs(len(lower) - 16 * share) <= 1
        assert {window.col_off >= 400 for window in lower} == {True, False}


def test_a_window_full_of_gaps_is_drawn_once():
    target = np.zeros((400, 400), bool)
    target[:100, :100] = slanted_gaps(100, 100)
    target[::50, ::50] = True
    corners = {(window.row_off, window.col_off) for window in windows_of(target, 100, 6)}
    assert len(corners) == 6 and (0, 0) in corners


def test_a_small_scene_is_one_window():
    (window,) = windows_of(slanted_gaps(300, 280), 256, 4)
    assert (window.col_off, window.row_off, window.width, window.height) == (0, 0, 280, 300)


@pytest.mark.parametrize("size", [64, 400])
def test_a_scene_without_gaps_has_no_window(size):
    assert windows_of(np.zeros((300, 300), bool), size, 4) == []


def test_a_window_with_few_observed_pixels_is_the_last_resort():
    """If no window is a quarter observed, one window around a gap is used."""
    target = np.ones((300, 300), bool)
    target[:, ::10] = False
    (window,) = windows_of(target, 100, 4)
    assert (window.width, window.height) == (100, 100)
    assert target[window.toslices()].any()
