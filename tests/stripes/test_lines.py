"""Views of an image by lines, and medians along and across them."""

from __future__ import annotations

import numpy as np

from dip_core.stripes.lines import Direction, line_medians, robust_spread, running_median


def test_views_hold_each_pixel_once():
    image = np.arange(20.0 * 13).reshape(20, 13)
    for orientation in ("columns", "rows"):
        for slope in (0.0, 0.3, -0.7, 1.0):
            direction = Direction(orientation, slope, image.shape)
            view = direction.view(image)
            numbers = direction.line_numbers()
            assert view.shape == (direction.count, direction.length)
            assert np.isfinite(view).sum() == image.size
            np.testing.assert_array_equal(view[numbers, np.broadcast_to(direction.positions(), image.shape)], image)
            np.testing.assert_array_equal(direction.line_numbers(slice(3, 9), slice(2, 7)), numbers[3:9, 2:7])


def test_medians_ignore_missing_pixels():
    view = np.array([[1.0, np.nan, 3.0, 8.0], [np.nan, np.nan, np.nan, 5.0]])
    median, number = line_medians(view, 2)
    np.testing.assert_array_equal(median, [3.0, np.nan])
    np.testing.assert_array_equal(number, [3, 1])
    np.testing.assert_array_equal(running_median(np.array([1.0, np.nan, 5.0, 2.0]), 3), [1, 3, 3.5, 3.5])


def test_spread_is_that_of_normal_noise():
    values = np.random.default_rng(0).normal(7, 2, 20_000)
    values[:100] = 1e6
    assert abs(robust_spread(values) - 2) < 0.05
    assert robust_spread(np.full(3, np.nan)) == 0
