"""Small crops of SLC-off scenes: parts of gaps in the corners are gaps; a corner of the exterior is not."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.inpainting.footprint import footprint


def lanes(shape, thick, period, slope, phase):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (y + slope * x + phase) % period < thick


@pytest.mark.parametrize(
    ("shape", "thick", "period", "slope", "phase"),
    [
        ((60, 60), 10, 32, 0.2, 3),
        ((48, 64), 8, 30, -0.2, 4),
        ((64, 48), 12, 33, 0.25, 9),
        ((45, 45), 12, 31, 0.3, 9),
        ((40, 36), 10, 30, 0.13, 12),
    ],
)
def test_a_crop_with_one_lane_and_parts_of_others_in_its_corners(shape, thick, period, slope, phase):
    gap = lanes(shape, thick, period, slope, phase)
    for mask in (gap, gap.T, gap[::-1]):
        assert (~footprint(~mask)).sum() <= 0.01 * mask.sum()


def test_a_lane_that_a_corner_cuts():
    y, x = np.mgrid[:30, :64]
    gap = abs(y + 0.22 * x - 25) < 6
    assert footprint(~gap).all()


@pytest.mark.parametrize("angle", [30, 45, 60, 80])
def test_a_corner_outside_the_scene_with_another_direction_than_the_lane(angle):
    y, x = np.mgrid[:60, :60]
    turn = np.deg2rad(angle)
    scene = x * np.cos(turn) + y * np.sin(turn) > 12
    gap = abs(y + 0.1 * x - 42) < 5
    inside = footprint(scene & ~gap)
    assert not (inside & ~scene).any()
    assert inside[scene].all()


def test_a_column_of_one_pixel_is_no_lane():
    """Slivers beside a scene that is turned by one degree stay exterior."""
    y, x = np.mgrid[:60, :60]
    scene = (x >= 1 + (y > 30)) & (x < 58 + (y > 30))
    observed = scene & (x != 30)
    assert not (footprint(observed) & ~scene)[:, 0].any()
