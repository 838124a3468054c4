"""Tilted stripes: found in single bands, and in bands that share them."""

from __future__ import annotations

import numpy as np
import pytest
from striped_scenes import SIGMA, cube

from dip_core.stripes.detection import find_stripes


@pytest.mark.parametrize("orientation, slope", [("columns", 0.31), ("rows", -0.17)])
def test_tilted_stripes(orientation, slope):
    image = cube()
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    across = columns - slope * rows if orientation == "columns" else rows - slope * columns
    stripe = ((across % 30) >= 12) & ((across % 30) < 14)
    image[8] += 6 * SIGMA * stripe
    found = find_stripes(image)
    assert found.bands == (8,)
    (row,) = found.table()
    assert row.orientation == f"tilted {orientation}"
    assert row.slope == pytest.approx(slope, abs=1 / 96)  # one pixel over the image
    marked = found.offset_map()[8] != 0
    assert (marked & stripe).sum() > 0.85 * stripe.sum() and (marked & ~stripe).sum() < 0.15 * stripe.sum()


def test_tilted_stripes_that_bands_share():
    """Bands with the same stripes would predict each other's stripes, so they are excluded as predictors."""
    image = cube(bands=30)
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    stripe = ((rows - 0.4 * columns) % 25 >= 10) & ((rows - 0.4 * columns) % 25 < 12)
    line = ((rows - 0.4 * columns) // 25).astype(int)
    height = np.random.default_rng(7).uniform(8, 16, (6, line.max() - line.min() + 1))
    added = SIGMA * height[:, line - line.min()] * stripe
    image[20:26] += added
    found = find_stripes(image)
    assert found.bands == tuple(range(20, 26))
    left = image[20:26] - found.offset_map()[20:26] - cube(bands=30)[20:26]
    assert np.abs(left[:, stripe]).mean() < 0.3 * added[:, stripe].mean()
