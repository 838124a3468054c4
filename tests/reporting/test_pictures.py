"""Pictures show the data with a common stretch, missing pixels in one colour, and a transparent exterior."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from dip_core.reporting import pictures


def pixels(png: bytes) -> np.ndarray:
    return np.rint(255 * imread(io.BytesIO(png), format="png")).astype(int)


def test_picture_shows_stretch_gaps_and_exterior():
    image = np.zeros((3, 10, 20)) + np.linspace(0, 100, 20)
    observed = np.ones((3, 10, 20), bool)
    observed[1, 4] = False
    exterior = np.zeros((10, 20), bool)
    exterior[:, 0] = True
    shown = pixels(pictures.picture(image, pictures.Stretch((0.0,) * 3, (50.0,) * 3), observed, exterior))
    assert shown.shape == (10, 20, 4)
    assert tuple(shown[4, 5, :3]) == pictures.GAP_COLOUR  # missing in one band only
    assert shown[0, 0, 3] == 0 and shown[0, 1, 3] == 255
    assert tuple(shown[0, 19, :3]) == (255, 255, 255)
    assert shown[0, 5, 0] == pytest.approx(255 * (5 * 100 / 19) / 50, abs=1)


def test_stretch_ignores_missing_pixels():
    """A fill value of -9999 on a tenth of the pixels would else be the second percentile."""
    image = np.random.default_rng(0).uniform(0, 1, (1, 100, 100))
    observed = np.ones(image.shape, bool)
    observed[:, :10] = False
    image[:, :10] = -9999
    stretch = pictures.stretch_of(image, observed)
    assert stretch.low[0] == pytest.approx(0.02, abs=0.01)
    assert stretch.high[0] == pytest.approx(0.98, abs=0.01)
    assert pictures.stretch_of(image, np.zeros(image.shape, bool)) == pictures.Stretch((0.0,), (1.0,))


def test_thumbnail_averages_observed_pixels():
    image = np.arange(35.0).reshape(1, 5, 7)
    observed = np.ones(image.shape, bool)
    observed[0, 0, 0] = False
    observed[0, 0:2, 2:4] = False
    small, seen = pictures.thumbnail(image, observed, 2)
    assert small.shape == seen.shape == (1, 3, 4)
    assert small[0, 0, 0] == pytest.approx((1 + 7 + 8) / 3)
    assert not seen[0, 0, 1] and seen.sum() == 11
    assert small[0, 2, 3] == 34.0  # an incomplete block


def test_step_for_keeps_pictures_small():
    assert [pictures.step_for(*shape) for shape in ((349, 352), (900, 100), (901, 100), (7000, 8000))] == [1, 1, 2, 9]


def test_composite_bands():
    assert pictures.composite_bands(1) == (0,)
    assert pictures.composite_bands(2) == (0,)
    assert pictures.composite_bands(6) == (2, 1, 0)
    assert pictures.composite_bands(200, np.linspace(400, 2400, 200)) == (25, 15, 6)
    red, green, blue = pictures.composite_bands(200)
    assert 200 > red > green > blue >= 0
