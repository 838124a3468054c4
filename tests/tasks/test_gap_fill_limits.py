"""MAX_DISTANCE and EXTENT_MASK limit what a gap-fill job fills; the log says what is left and what is extrapolated."""

from __future__ import annotations

import json

import numpy as np
import pytest
from core_scenes import TRANSFORM, fill, landscape, read, warnings_of
from gap_jobs import provenance_of, scene_with_gaps
from scipy import ndimage

from dip_core.errors import InvalidJob, UnusableExtent
from dip_core.events import Message

SHAPE = (90, 110)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
HOLE = np.hypot(Y - 45, X - 50) < 25
FRAME = (Y < 9) | (Y >= 81) | (X < 9) | (X >= 101)


def run(tmp_path, gap, **options):
    path = scene_with_gaps(tmp_path / "in.tif", landscape(2, *SHAPE), gap)
    result, paths, events = fill(tmp_path / "r", path, report=False, **options)
    return result.numbers, read(paths["filled"])[0] > 0, events, paths


def texts(events):
    return " ".join(event.text for event in events if isinstance(event, Message))


def polygon(tmp_path, left, top, right, bottom):
    corners = [TRANSFORM @ place for place in ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))]
    path = tmp_path / "extent.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("limit", [3, 10.5])
def test_max_distance(tmp_path, limit):
    numbers, filled, events, paths = run(tmp_path, HOLE, max_distance=limit)
    near = HOLE & (ndimage.distance_transform_edt(HOLE) <= limit)
    np.testing.assert_array_equal(filled, near)
    assert numbers["PIXELS_LEFT"] == (HOLE & ~near).sum() and numbers["PIXELS_CHANGED"] == near.sum()
    assert f"{numbers['PIXELS_LEFT']:.0f} gap pixels are more than MAX_DISTANCE ({limit:g} pixels)" in texts(events)
    assert (read(paths["output"])[:, HOLE & ~near] == 0).all()
    assert np.isnan(read(paths["uncertainty"])[:, HOLE & ~near]).all()
    assert provenance_of(paths["output"])["max_distance"] == limit


def test_a_distance_that_reaches_all_gaps_changes_nothing(tmp_path):
    numbers, filled, events, _ = run(tmp_path, HOLE, max_distance=40)
    assert (filled == HOLE).all() and numbers["PIXELS_LEFT"] == 0 and warnings_of(events) == []


def test_a_distance_that_reaches_no_gap(tmp_path):
    numbers, filled, events, _ = run(tmp_path, HOLE, max_distance=0.5)
    assert not filled.any() and numbers["PIXELS_LEFT"] == HOLE.sum()
    assert "No gap is close enough" in warnings_of(events)[-1]


@pytest.mark.parametrize("value", [0, -3])
def test_max_distance_must_be_positive(tmp_path, value):
    with pytest.raises(InvalidJob, match="MAX_DISTANCE"):
        run(tmp_path, HOLE, max_distance=value)


def test_only_gaps_inside_the_polygons_are_filled(tmp_path):
    path = polygon(tmp_path, 40, 0, 110, 90)
    _, filled, events, _ = run(tmp_path, HOLE, extent_mask=path)
    np.testing.assert_array_equal(filled, HOLE & (X >= 40))
    assert warnings_of(events) == []


def test_the_exterior_inside_the_polygons_is_filled(tmp_path):
    """A frame is exterior, unless the user says otherwise; then the log warns about the extrapolation."""
    _, filled, events, _ = run(tmp_path, FRAME | HOLE)
    assert not filled[FRAME].any() and filled[HOLE].all()
    assert f"{FRAME.sum()} outside the scene" in texts(events) and warnings_of(events) == []
    _, filled, events, paths = run(tmp_path, FRAME | HOLE, extent_mask=polygon(tmp_path, 0, 20, 60, 70))
    inside = (Y >= 20) & (Y < 70) & (X < 60)
    np.testing.assert_array_equal(filled, (FRAME | HOLE) & inside)
    assert f"{(FRAME & ~inside).sum()} outside the scene" in texts(events)
    assert f"{(FRAME & inside).sum()} of the pixels to fill lie beyond the convex hull" in warnings_of(events)[0]
    assert provenance_of(paths["output"])["extent_mask"] == "extent.geojson"


def test_polygons_with_a_distance(tmp_path):
    _, filled, _, _ = run(tmp_path, FRAME | HOLE, extent_mask=polygon(tmp_path, 0, 0, 110, 90), max_distance=4)
    missing = FRAME | HOLE
    np.testing.assert_array_equal(filled, missing & (ndimage.distance_transform_edt(missing) <= 4))


def test_polygons_without_gaps(tmp_path):
    numbers, filled, events, _ = run(tmp_path, HOLE, extent_mask=polygon(tmp_path, 0, 0, 10, 10))
    assert not filled.any() and numbers["PIXELS_LEFT"] == 0
    assert "no gaps inside EXTENT_MASK" in warnings_of(events)[0]


def test_polygons_elsewhere_are_an_error_and_leave_no_file(tmp_path):
    with pytest.raises(UnusableExtent, match="no pixel centre"):
        run(tmp_path, HOLE, extent_mask=polygon(tmp_path, 200, 200, 250, 250))
    assert not list((tmp_path / "r").iterdir())
