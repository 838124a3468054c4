"""The footprint: gaps that open to the exterior belong to it, the exterior does not."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.inpainting.footprint import footprint


def rotated_square(angle, size=500, half=170):
    """A rotated square ``(row, column)`` in a raster of ``size``, and its own coordinates along and across."""
    y, x = np.mgrid[:size, :size] - size / 2
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (abs(along) < half) & (abs(across) < half), along, across


@pytest.mark.parametrize("angle", [0, 8, 12, 30, 45])
@pytest.mark.parametrize("thick", [7, 14])
def test_a_rotated_scene_with_gaps_that_open_to_the_exterior(angle, thick):
    """Landsat's case: gaps of up to 14 rows cross the whole swath and end in the exterior on both sides."""
    scene, _, across = rotated_square(angle)
    gap = (across + 21) % 33 < thick  # no gap along the upper or lower edge, where it would be exterior
    inside = footprint(scene & ~gap)
    assert not (inside & ~scene).any()  # no exterior, not even at the corners
    # The closing with a square may cut off the ends of a gap by half its size times the slant.
    assert (scene & gap & ~inside).sum() <= 0.03 * (scene & gap).sum()
    assert inside[scene & ~gap].all()


def test_wedges_that_widen_towards_the_edges():
    scene, along, across = rotated_square(10)
    gap = (across + 21) % 33 < 14 * abs(along) / 170
    inside = footprint(scene & ~gap)
    assert not (inside & ~scene).any()
    assert (scene & gap & ~inside).sum() <= 0.03 * (scene & gap).sum()


def test_a_hole_belongs_to_the_scene_whatever_its_size():
    y, x = np.mgrid[:400, :400]
    cloud = np.hypot(y - 200, x - 200) < 150
    assert footprint(~cloud).all()


def test_a_gap_that_the_border_cuts_is_a_gap():
    """The first and last rows are parts of gaps that are as deep as those inside."""
    gap = np.zeros((200, 150), bool)
    for top in range(0, 200, 40):
        gap[top : top + 12] = True
    assert gap[0].all()
    assert footprint(~gap).all()
    gap[-5:] = True
    assert footprint(~gap).all()


def test_a_margin_that_is_deeper_than_the_gaps_is_exterior():
    gap = np.zeros((200, 150), bool)
    for top in range(20, 160, 40):
        gap[top : top + 12] = True
    gap[164:] = True
    inside = footprint(~gap)
    assert inside[:164].all() and not inside[164:].any()


def test_a_margin_without_gaps_inside_is_exterior():
    observed = np.ones((80, 90), bool)
    observed[:6] = False
    assert not footprint(observed)[:6].any()


def test_a_cloud_at_the_border_is_exterior_unless_it_is_narrow():
    y, x = np.mgrid[:300, :300]
    large = np.hypot(y - 150, x) < 80
    inside = footprint(~large)
    # Corners where the circle meets the border are closed by at most the radius of the closing.
    assert (inside & large).sum() < 0.05 * large.sum()
    narrow = (abs(y - 150) < 20) & (x < 120)  # opens to the border, narrower than twice the radius
    assert footprint(~narrow).all()


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 1), (3, 3)])
def test_footprints_of_tiny_rasters(shape):
    assert footprint(np.ones(shape, bool)).all()
    assert not footprint(np.zeros(shape, bool)).any()
