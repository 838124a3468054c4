"""Dead lines: stuck, copied and noisy lines are found; clipped water and enlarged rasters are not defects."""

from __future__ import annotations

import numpy as np
import pytest
from striped_scenes import cube, lines

from dip_core.stripes.copied_lines import compare_lines, copied_lines
from dip_core.stripes.detection import find_stripes
from dip_core.stripes.stuck_lines import find_stuck_lines


@pytest.mark.parametrize("defect", ["constant", "zero", "saturated", "copy", "interpolated", "noise"])
@pytest.mark.parametrize("orientation", ["columns", "rows"])
def test_dead_line_of_one_band(defect, orientation):
    image = np.rint(cube())
    band = image[9] if orientation == "columns" else image[9].T
    if defect == "constant":
        band[:, 30] = 512
    elif defect == "zero":
        band[:, 30] = 0
    elif defect == "saturated":
        band[:, 30] = band.max()
    elif defect == "copy":
        band[:, 30] = band[:, 29]
    elif defect == "interpolated":
        band[:, 30] = np.rint((band[:, 29] + band[:, 31]) / 2)
    else:
        band[:, 30] = np.random.default_rng(4).normal(500, 80, len(band))
    found = find_stripes(image)
    assert lines(found, "dead") == {(9, orientation, 30)} and lines(found) == set()
    expected = np.zeros(image.shape, bool)
    (expected[9] if orientation == "columns" else expected[9].T)[:, 30] = True
    np.testing.assert_array_equal(found.dead, expected)


@pytest.mark.parametrize("value", [0, 700])
def test_lines_dead_in_all_bands(value):
    """Widths up to 17 columns, as in the benchmark of the Deep Hyperspectral Prior."""
    image = cube()
    dead = np.zeros(image.shape[2], bool)
    for first, last in ((10, 15), (40, 57), (80, 83), (90, 91)):
        dead[first:last] = True
    image[:, :, dead] = value
    found = find_stripes(image)
    np.testing.assert_array_equal(found.dead, np.broadcast_to(dead, image.shape))
    assert lines(found) == set()


def test_enlarged_raster_has_no_copies():
    """Nearest-neighbour enlargement repeats every line."""
    large = np.repeat(np.repeat(cube(bands=1, rows=40, columns=40), 2, axis=1), 2, axis=2)[0]
    assert not copied_lines(compare_lines(large, 16)).any() and not copied_lines(compare_lines(large.T, 16)).any()


def test_clipped_water_is_not_stuck():
    """Columns entirely over water have one value, and so has most of the next column."""
    rng = np.random.default_rng(0)
    image = rng.normal(50, 5, (60, 80))
    shore = 8 + np.cumsum(rng.normal(0, 0.4, 60))
    image[np.arange(80)[None, :] < shore[:, None]] = 0.0
    assert not find_stuck_lines(image.T).any()
