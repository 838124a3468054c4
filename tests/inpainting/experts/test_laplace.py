"""Harmonic and biharmonic interpolation solve their equations."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps
from gap_cases import observe, standard_scene

from dip_core.inpainting.experts.laplace import biharmonic, harmonic

# The fills are in single precision. A weak pull to the mean (1e-6) costs about 1e-6 n^2 / 8 of the value in a gap of n
# pixels: 3e-5 for 15 pixels.
TOLERANCE = 1e-4


def mean_of_neighbours(image):
    """The mean of the up to four neighbours that are not NaN."""
    padded = np.pad(image, 1, constant_values=np.nan)
    neighbours = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    return np.nansum(neighbours, axis=0) / np.maximum(np.isfinite(neighbours).sum(axis=0), 1)


def test_harmonic_values_are_the_mean_of_their_neighbours():
    """The discrete mean-value property; at the raster's border only the existing neighbours count."""
    values, gap = standard_scene(1), slanted_gaps(48, 60, thick=9, period=24)
    filled = harmonic(observe(values, gap))[0].astype(np.float64)
    np.testing.assert_allclose(filled[gap], mean_of_neighbours(filled)[gap], atol=1e-5)
    # A harmonic function has no extremum inside the gap.
    observed = values[0][~gap]
    assert observed.min() <= filled[gap].min() and filled[gap].max() <= observed.max()


def test_harmonic_interpolation_ignores_the_exterior():
    values, gap = standard_scene(1), slanted_gaps(48, 60, thick=9, period=24)
    exterior = np.zeros((48, 60), bool)
    exterior[:, 40:] = True
    filled = harmonic(observe(values, gap, exterior))[0].astype(np.float64)
    filled[exterior] = np.nan
    inside = gap & ~exterior
    np.testing.assert_allclose(filled[inside], mean_of_neighbours(filled)[inside], atol=1e-5)


def test_harmonic_values_between_two_points_are_on_the_straight_line():
    values = np.zeros((1, 1, 12))
    values[0, 0, -1] = 11.0
    gap = np.ones((1, 12), bool)
    gap[0, [0, -1]] = False
    np.testing.assert_allclose(harmonic(observe(values, gap))[0, 0], np.arange(12), atol=1e-3)


@pytest.mark.parametrize("function", [harmonic, biharmonic])
def test_a_plane_is_reproduced(function):
    y, x = np.mgrid[:40, :50]
    plane = 0.03 * x - 0.02 * y + 0.5
    hole = (abs(y - 20) < 8) & (abs(x - 25) < 8)
    np.testing.assert_allclose(function(observe(plane[None], hole))[0], plane, atol=TOLERANCE)


@pytest.mark.parametrize(
    "surface", [lambda y, x: x * x - 2 * y * y + x * y, lambda y, x: x**3 - 3 * x * y * y + y**3 + x * x]
)
def test_biharmonic_interpolation_continues_slope_and_curvature(surface):
    """Polynomials up to degree 3 have no bi-Laplacian, discrete or not, so they are reproduced."""
    y, x = (axis / 20.0 for axis in np.mgrid[-20:20, -25:25])
    values = surface(y, x)
    hole = (abs(y) < 0.3) & (abs(x) < 0.3)
    observation = observe(values[None], hole)
    error = np.abs(biharmonic(observation)[0] - values)[hole].max()
    assert error < TOLERANCE
    assert error < np.abs(harmonic(observation)[0] - values)[hole].max() / 20


def test_biharmonic_values_stay_within_the_range_of_the_data():
    """Steep slopes on both sides of a gap would overshoot far."""
    values = np.zeros((1, 40, 30))
    values[0, :10] = np.arange(10)[:, None]
    values[0, 30:] = np.arange(10)[::-1, None]
    gap = np.zeros((40, 30), bool)
    gap[10:30] = True
    filled = biharmonic(observe(values, gap))
    assert filled.max() <= 9.0
    # 9 at the edges, slopes of 1: without the limit the middle would be 9 + 20 / 4 = 14.
    np.testing.assert_allclose(filled[0, 12:28], 9.0, atol=1e-3)
