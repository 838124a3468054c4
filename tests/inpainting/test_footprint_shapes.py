"""The exterior of framed and clipped scenes stays outside the footprint; lanes and holes belong to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dip_core.inpainting.footprint import footprint

SHAPE = (170, 190)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def rectangle(top, bottom, left, right):
    """A scene that covers these rows and columns."""
    return (Y >= top) & (Y < bottom) & (X >= left) & (X < right)


def disc(row, column, radius):
    return np.hypot(Y - row, X - column) < radius


def turned(angle, half_height, half_width):
    """A rectangle turned about the centre."""
    turn = np.deg2rad(angle)
    y, x = Y - SHAPE[0] / 2, X - SHAPE[1] / 2
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (abs(along) < half_width) & (abs(across) < half_height)


def slc_gaps(thick=8, period=22, slope=0.12):
    return (Y + slope * X + 3) % period < thick


WEDGES = (Y + 0.17 * X + 11) % 40 < 2 + 12 * abs(X / SHAPE[1] - 0.5) * 2
CLOUD = disc(88, 95, 17)
FRAMES = {
    "thin": rectangle(3, 167, 3, 187),
    "14 pixels": rectangle(14, 156, 14, 176),
    "wide": rectangle(40, 130, 35, 150),
    "uneven": rectangle(5, 150, 20, 188),
    "three sides": rectangle(11, 170, 9, 181),
    "left and right": rectangle(0, 170, 7, 176),
    "top": rectangle(8, 170, 0, 190),
    "left": rectangle(0, 170, 12, 190),
}
GAPS = {
    "gaps": slc_gaps(),
    "wide gaps": slc_gaps(14, 33, -0.15),
    "gaps and cloud": slc_gaps() | CLOUD,
    "wedges": WEDGES,
    "cloud": CLOUD,
    "columns": (X // 6 == 7) | (X // 6 == 25),
    "row and column": (abs(Y - 60) < 3) | (abs(X - 77) < 3),
}
CLIPS = {
    "fields": rectangle(10, 70, 10, 85) | rectangle(10, 70, 105, 180) | rectangle(95, 165, 30, 160),
    "discs": disc(45, 45, 38) | disc(48, 140, 36) | disc(125, 92, 40),
    "U": rectangle(0, 170, 0, 190) & ~rectangle(0, 110, 62, 127),
    "C": rectangle(0, 170, 0, 190) & ~rectangle(55, 115, 60, 190),
    "L": rectangle(0, 170, 0, 75) | rectangle(115, 170, 0, 190),
    "turned": turned(33, 55, 70),
    "slightly turned": turned(2, 76, 88),
    "disc": disc(85, 95, 80),
    "ring": disc(85, 95, 80) & ~disc(85, 95, 45),
}


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_is_exterior_and_all_gaps_inside_are_gaps(frame, gaps):
    scene = FRAMES[frame]
    inside = footprint(scene & ~GAPS[gaps])
    assert not (inside & ~scene).any()
    missing = scene & GAPS[gaps]
    assert (missing & ~inside).sum() <= 0.02 * missing.sum()


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("clip", CLIPS)
def test_what_a_clip_left_is_exterior(clip, turn):
    """A hole in a connected scene stays a gap; a tool cannot tell it from a cloud."""
    scene = np.rot90(CLIPS[clip], turn)
    np.testing.assert_array_equal(footprint(scene), ndimage.binary_fill_holes(scene))


@pytest.mark.parametrize("gaps", ["gaps", "wedges", "columns"])
@pytest.mark.parametrize("clip", CLIPS)
def test_gaps_in_a_clipped_scene(clip, gaps):
    """Where a gap follows the outline, nothing shows that it belongs to the scene."""
    scene = CLIPS[clip]
    inside = footprint(scene & ~GAPS[gaps])
    outside = ~ndimage.binary_fill_holes(scene)
    assert (inside & outside).sum() <= 0.01 * outside.sum() + 10
    missing = scene & GAPS[gaps]
    assert (missing & ~inside).sum() <= 0.2 * missing.sum()


@pytest.mark.parametrize("angle", [1, 2, 4, -3])
def test_the_slivers_beside_a_slightly_turned_scene_are_exterior(angle):
    scene = turned(angle, 70, 80)
    rows, columns = np.flatnonzero(scene.any(axis=1)), np.flatnonzero(scene.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    for gap in (slc_gaps(), slc_gaps(9, 28, 0.2) | CLOUD, CLOUD):
        assert not (footprint((scene & ~gap)[box]) & ~scene[box]).any()


@pytest.mark.parametrize("slope", [0.05, 0.12, -0.2])
@pytest.mark.parametrize("thick", [6, 14, 20])
def test_gaps_that_the_border_cuts_are_gaps(slope, thick):
    """No frame: all missing pixels are gaps, but for tips of a few pixels in the corners."""
    gap = slc_gaps(thick, 2 * thick + 7, slope)
    for mask in (gap, gap.T):
        assert (~footprint(~mask)).sum() <= 0.005 * mask.sum()


def test_a_large_cloud_behind_a_lane_is_a_gap():
    """Only a lane leads from outside to the cloud."""
    scene = rectangle(10, 160, 10, 180)
    gap = disc(85, 95, 40) | ((abs(Y - 85) < 4) & (X > 95))
    np.testing.assert_array_equal(footprint(scene & ~gap), scene)


def test_the_path_between_two_fields():
    """A path is exterior if it is wide; a long path of a few pixels looks like a missing line and is a gap."""
    for width, is_gap in ((4, True), (24, False)):
        fields = rectangle(20, 150, 10, 180) & ~((X >= 90) & (X < 90 + width))
        inside = footprint(fields)
        assert inside[85, 91] == is_gap
        assert not (inside & ~rectangle(20, 150, 10, 180)).any()


def test_a_scene_with_stray_pixels_in_its_frame():
    """A frame is also exterior if it holds single observed pixels."""
    scene = rectangle(14, 156, 14, 176)
    stray = np.zeros(SHAPE, bool)
    stray[[0, 3, 169, 80, 60], [50, 120, 60, 0, 189]] = True
    inside = footprint((scene & ~slc_gaps()) | stray)
    assert not (inside & ~scene & ~stray).any()
