"""The SLC-off gap pattern agrees with published figures of the sensor."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.tasks import slc_off_geometry

TALL = (320, 305)  # ten periods high, a twentieth of the swath wide


def share(mask: np.ndarray) -> float:
    return float(100.0 * (~mask).mean())


def test_pattern_is_the_two_scan_formula():
    """Without jitter, the computation by gaps equals the formula by scans in the module's docstring."""
    pattern = slc_off_geometry.GapPattern(200, 400, 1, 0.0, 1.0, seed=3, tilt_degrees=9.0, jitter=0.0, band_shift=0.0)
    rows, columns = np.mgrid[0:200, 0:400].astype(float)
    t = rows + np.tan(np.radians(9.0)) * columns + np.random.default_rng(3).uniform(0.0, 32.0)
    f = columns / 400
    forward = (t - 13.6 * f) % 32 < 16
    backward = (t - 16 - 13.6 * (1 - f)) % 32 < 16
    np.testing.assert_array_equal(pattern.observed()[0], forward | backward)


def test_whole_swath_loses_21_to_22_percent():
    """USGS: about 22 % of a scene; theory: 6.8 of 32 lines = 21.25 %."""
    assert 21.0 <= share(slc_off_geometry.observed_mask((640, 3000), 1, 0.0, 1.0)) <= 22.0


def test_edges_lose_42_percent():
    """13.6 of 32 lines at the edge, and slightly less in the outermost hundredth of the swath."""
    for swath in ((0.0, 0.01), (0.99, 1.0)):
        assert 41.0 <= share(slc_off_geometry.observed_mask((640, 61), 1, *swath)) <= 42.5


@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_centre_loses_nothing(jitter):
    assert slc_off_geometry.observed_mask(TALL, 3, 0.5, 0.5, jitter=jitter).all()
    assert share(slc_off_geometry.observed_mask(TALL, 3, 0.49, 0.51, jitter=jitter)) < 1.0


def test_central_fifth_has_no_gaps_in_older_products():
    """USGS: about 20 % of the scene centre has no gaps; gaps under 2.72 lines lie at |f - 1/2| < 0.1."""
    mask = slc_off_geometry.observed_mask((640, 1000), 1, 0.0, 1.0, jitter=0.0, min_gap_height=2.72)
    gappy = np.flatnonzero((~mask[0]).any(axis=0)) / 1000
    inside = gappy[(gappy > 0.395) & (gappy < 0.605)]
    assert inside[inside < 0.5].max() == pytest.approx(0.4, abs=0.005)
    assert inside[inside > 0.5].min() == pytest.approx(0.6, abs=0.005)


def test_period_and_gap_height_at_the_edge():
    """Every 32 rows a gap of 13 or 14 rows, as published for the scene's edges."""
    mask = slc_off_geometry.observed_mask((960, 5), 1, 0.0, 0.0, tilt_degrees=0.0, jitter=0.0)
    steps = np.diff(mask[0, :, 2].astype(int))
    starts, ends = np.flatnonzero(steps == -1), np.flatnonzero(steps == 1)
    assert set(np.diff(starts)) == {32}
    heights = ends[ends > starts[0]][: starts.size - 1] - starts[:-1]
    assert set(heights) <= {13, 14}


def test_row_period_follows_the_pixel_size():
    """32 lines are 40 rows of pixels of 24 m."""
    mask = slc_off_geometry.observed_mask((960, 5), 1, 0.0, 0.0, tilt_degrees=0.0, jitter=0.0, row_period=40.0)
    starts = np.flatnonzero(np.diff(mask[0, :, 2].astype(int)) == -1)
    assert set(np.diff(starts)) == {40}


def test_west_and_east_gaps_are_half_a_period_apart():
    west = slc_off_geometry.observed_mask((320, 3), 1, 0.2, 0.2, tilt_degrees=0.0, jitter=0.0)[0, :, 1]
    east = slc_off_geometry.observed_mask((320, 3), 1, 0.8, 0.8, tilt_degrees=0.0, jitter=0.0)[0, :, 1]
    np.testing.assert_array_equal(west[:-16], east[16:])


def test_default_tilt_runs_down_to_the_east():
    """As in real descending scenes: further east, the first gap of a column starts lower."""
    mask = slc_off_geometry.observed_mask((320, 200), 1, 0.0, 0.0, jitter=0.0)[0]
    start = [np.flatnonzero(np.diff(mask[:, column].astype(int)) == -1) for column in (0, 20)]
    assert start[1][1] - start[0][1] == pytest.approx(20 * np.tan(np.radians(10.0)), abs=1.0)


def test_jitter_moves_scans_by_at_most_half_a_line():
    still = slc_off_geometry.GapPattern(*TALL, 1, 0.0, 0.05, seed=1, jitter=0.0).observed()[0]
    moved = slc_off_geometry.GapPattern(*TALL, 1, 0.0, 0.05, seed=1, jitter=0.5).observed()[0]
    changed = still != moved
    assert changed.any()
    near_edge = (still != np.roll(still, 1, axis=0)) | (still != np.roll(still, -1, axis=0))
    assert not (changed & ~near_edge)[1:-1].any()


def test_bands_differ_by_a_few_pixels_only():
    mask = slc_off_geometry.observed_mask(TALL, 2, 0.0, 0.05, band_shift=3.0)
    assert 0.0 < (mask[0] != mask[1]).mean() < 0.1
    same = slc_off_geometry.observed_mask(TALL, 2, 0.0, 0.05, band_shift=0.0)
    np.testing.assert_array_equal(same[0], same[1])


def test_seed_decides_everything():
    np.testing.assert_array_equal(
        slc_off_geometry.observed_mask(TALL, 2, 0, 0.1, seed=5), slc_off_geometry.observed_mask(TALL, 2, 0, 0.1, seed=5)
    )
    assert (
        slc_off_geometry.observed_mask(TALL, 2, 0, 0.1, seed=5)
        != slc_off_geometry.observed_mask(TALL, 2, 0, 0.1, seed=6)
    ).any()


def test_windows_are_parts_of_the_whole_pattern():
    pattern = slc_off_geometry.GapPattern(*TALL, 2, 0.0, 0.3, seed=2)
    parts = [pattern.observed(first, min(first + 77, TALL[0])) for first in range(0, TALL[0], 77)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), pattern.observed())


@pytest.mark.parametrize("shape", [(100, 100), (349, 352), (1000, 2700)])
@pytest.mark.parametrize("percentage", [0.5, 3, 6, 15, 21, 35, 42, 55, 60])
def test_percentage_is_met(shape, percentage):
    """To 0.5 percentage points, including the percentages of the GAP paper's table."""
    pattern = slc_off_geometry.pattern_for_percentage(shape, 3, percentage, seed=4)
    assert share(pattern.observed()) == pytest.approx(percentage, abs=0.5)
    assert (pattern.widening > 0) == (percentage > 42)


def test_percentage_of_the_counted_pixels_only():
    counted = np.zeros((349, 352), bool)
    counted[100:220, 60:300] = True
    mask = slc_off_geometry.pattern_for_percentage((349, 352), 1, 15, counted=counted).observed()[0]
    assert 100.0 * (~mask[counted]).mean() == pytest.approx(15, abs=0.5)
