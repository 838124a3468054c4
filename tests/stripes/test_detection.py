"""Stripe detection finds offset and dead lines where they are, with their offsets, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from striped_scenes import SIGMA, cube, f1, inject, lines

from dip_core.stripes.detection import find_stripes


def test_clean_cube_has_no_stripes():
    found = find_stripes(cube())
    assert found.lines == () and found.bands == () and found.table() == []
    assert not found.dead.any() and not found.offset_map().any()
    # The deviation of the residual exceeds the noise, because the prediction from 23 noisy bands is not exact.
    assert all(SIGMA < noise < 1.35 * SIGMA for noise in found.noise)


@pytest.mark.parametrize("orientation", ["columns", "rows"])
def test_offsets_of_three_sigma_are_found_and_measured(orientation):
    striped, truth = inject(cube(), [SIGMA] * 24, [2, 3, 11, 20], orientation, np.random.default_rng(1))
    found = find_stripes(striped)
    assert lines(found) == set(truth)
    offset = found.offset_map()
    for (band, _, line), value in truth.items():
        measured = offset[(band, 0, line) if orientation == "columns" else (band, line, 0)]
        # The median of 96 values has a standard error of 0.13 sigma.
        assert measured == pytest.approx(value, abs=0.5 * SIGMA)
    assert {row.band: row.offset_lines for row in found.table()} == dict.fromkeys((2, 3, 11, 20), 3)
    assert all(row.orientation == orientation and row.dead_lines == 0 and row.score > 8 for row in found.table())


def test_all_bands_may_be_striped():
    """Stripes leak into the residuals of other bands; the leakage is not reported."""
    striped, truth = inject(cube(), [SIGMA] * 24, range(24), "columns", np.random.default_rng(2))
    assert f1(lines(find_stripes(striped)), set(truth)) > 0.95


def test_all_lines_of_a_band_may_be_striped():
    rng = np.random.default_rng(3)
    striped = cube()
    striped[7] += rng.normal(0, 10 * SIGMA, striped.shape[2])
    found = find_stripes(striped)
    assert found.bands == (7,)
    assert found.table()[0].offset_lines > 65  # of 110; the offsets of the others are too small
    rest = striped[7] - found.offset_map()[7] - cube()[7]
    assert np.diff(rest, axis=1).std() < 0.3 * np.diff(striped[7] - cube()[7], axis=1).std()


def test_wide_stripe_is_one_run():
    striped = cube()
    striped[5, :, 40:55] += 5 * SIGMA
    assert lines(find_stripes(striped)) == {(5, "columns", line) for line in range(40, 55)}


def test_half_a_line():
    image = cube(rows=128)
    image[4, 64:, 50] += 8 * SIGMA
    image[6, :64, 70] = 0
    found = find_stripes(image)
    assert lines(found) == {(4, "columns", 50)} and lines(found, "dead") == {(6, "columns", 70)}
    assert not found.offset_map()[4, :64].any() and found.offset_map()[4, 64:, 50].all()
    assert found.dead[6, :64, 70].all() and not found.dead[6, 64:].any()


def test_missing_pixels_do_not_matter():
    image = cube()
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    observed = rows + columns > 60  # a corner is missing
    image[:, ~observed] = -9999
    image[12, :, 80] += 5 * SIGMA
    found = find_stripes(image, observed)
    assert lines(found) == {(12, "columns", 80)} and not found.dead.any()
    assert lines(find_stripes(np.where(observed, image, np.nan))) == {(12, "columns", 80)}


def test_bands_can_be_excluded():
    image = cube()
    image[3, :, 20] += 8 * SIGMA
    image[5] = 77.0
    use = np.arange(24) != 3
    found = find_stripes(image, use=use.tolist())
    assert found.lines == ()
    assert np.isnan(found.noise[3]) and np.isnan(found.noise[5]) and np.isfinite(found.noise[4])


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_few_bands(bands):
    """Clear stripes are found within the band; roads and field edges, which are in all bands, are not stripes."""
    image = cube(bands=bands, sigma=4.0)
    assert find_stripes(image).lines == ()
    image[0, :, 60] += 400
    image[bands - 1, 30] = 0
    found = find_stripes(image)
    assert lines(found) == {(0, "columns", 60)} and lines(found, "dead") == {(bands - 1, "rows", 30)}


@pytest.mark.parametrize("shape", [(1, 17, 23), (2, 17, 23), (12, 17, 23), (3, 1, 5), (6, 40, 3)])
def test_small_rasters(shape):
    image = np.random.default_rng(0).normal(100, 5, shape).astype(np.float32)
    found = find_stripes(image)
    assert found.shape == shape and found.dead.shape == shape and not found.dead.any()


def test_cubes_without_data():
    assert find_stripes(np.zeros((3, 40, 40), np.uint8)).lines == ()
    assert find_stripes(cube(), np.zeros((24, 96, 110), bool)).lines == ()


def test_maps_of_a_window_are_part_of_the_whole_maps():
    image = cube()
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    image[8] += 6 * SIGMA * ((columns - 0.31 * rows) % 30 < 2)
    image[2, 33] = 0
    image[4, :, 44] += 5 * SIGMA
    found = find_stripes(image)
    cut = slice(20, 61), slice(30, 90)
    np.testing.assert_array_equal(found.offset_map(*cut), found.offset_map()[:, cut[0], cut[1]])
    np.testing.assert_array_equal(found.dead_map(*cut), found.dead[:, cut[0], cut[1]])
    assert {2, 4, 8} <= set(found.bands)
    assert not found.offset_map()[found.dead].any()
