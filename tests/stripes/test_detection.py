"""Stripes and dead lines are found where they are, with the offset they have, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from dip_core.stripes.dead_lines import copied_lines, stuck_lines
from dip_core.stripes.detection import find_stripes
from dip_core.stripes.lines import Direction, slant_sums

DATA = Path(os.environ.get("DEEP_PRIOR_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data") / "hsi"
PINES_ROW = 112  # the genuine Indian Pines cube has one row that is the mean of its neighbours
SIGMA = 2.0


def cube(bands: int = 24, rows: int = 96, columns: int = 110, seed: int = 0, sigma: float = SIGMA) -> np.ndarray:
    """Five textured endmembers, mixed by smooth spectra, with a road and a field edge along columns; float32."""
    rng = np.random.default_rng(seed)
    maps = [ndimage.gaussian_filter(rng.normal(size=(rows, columns)), width) for width in (1, 2, 4, 8)]
    maps = [part / part.std() for part in maps]
    road = np.zeros((rows, columns))
    road[:, columns // 3 : columns // 3 + 2] = 2.0
    road[:, columns // 2 :] += 1.0
    maps.append(road)
    spectra = ndimage.gaussian_filter1d(rng.normal(size=(len(maps), bands)), 3, axis=1) * 60
    clean = 500 + np.einsum("kb,krc->brc", spectra, np.stack(maps))
    return (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32)


def lines(found, kind: str = "offset") -> set[tuple[int, str, int]]:
    """What was found, as (band, orientation, line)."""
    return {
        (item.band, item.direction.name, int(line))
        for item in found.lines
        for line in np.flatnonzero(item.offset != 0 if kind == "offset" else item.dead)
    }


def f1(found: set, truth: set) -> float:
    """The harmonic mean of precision and recall."""
    return 2 * len(found & truth) / (len(found) + len(truth))


def inject(image, noise, bands, orientation, rng, each=3, strength=3.0):
    """Add offsets of ``strength`` noise deviations or more to some lines; the striped cube and where they are."""
    out, truth = image.astype(np.float32), {}
    count = image.shape[2] if orientation == "columns" else image.shape[1]
    for band in bands:
        for line in rng.choice(np.arange(2, count - 2), each, replace=False):
            offset = strength * noise[band] * rng.uniform(1, 1.5) * rng.choice([-1, 1])
            out[(band, slice(None), line) if orientation == "columns" else (band, line)] += offset
            truth[int(band), orientation, int(line)] = float(offset)
    return out, truth


def pines(bands: slice) -> np.ndarray:
    """Bands of the AVIRIS Indian Pines cube."""
    datasets = pytest.importorskip("tensorly.datasets", reason="tensorly, which carries Indian Pines, is missing")
    return np.ascontiguousarray(np.moveaxis(datasets.load_indian_pines().tensor, -1, 0)[bands])


def real(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A test raster and its valid pixels."""
    if not (DATA / name).exists():
        pytest.skip(f"the test raster {name} is no part of the repository: set DEEP_PRIOR_DATA to its folder")
    with rasterio.open(DATA / name) as file:
        return file.read(), file.read_masks() > 0


def test_clean_cube_stays_clean():
    found = find_stripes(cube())
    assert found.lines == () and found.bands == () and found.table() == []
    assert not found.dead.any() and not found.offset_map().any()
    # The residual's deviation is the noise and a little more: the prediction from 23 noisy bands is not exact.
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


def test_every_band_may_be_striped():
    """Stripes leak into the residuals of other bands; leaks are not taken for stripes."""
    striped, truth = inject(cube(), [SIGMA] * 24, range(24), "columns", np.random.default_rng(2))
    assert f1(lines(find_stripes(striped)), set(truth)) > 0.95


def test_band_striped_all_over():
    rng = np.random.default_rng(3)
    striped = cube()
    striped[7] += rng.normal(0, 10 * SIGMA, striped.shape[2])
    found = find_stripes(striped)
    assert found.bands == (7,)
    assert found.table()[0].offset_lines > 65  # of 110; the rest is too near to its surroundings
    rest = striped[7] - found.offset_map()[7] - cube()[7]
    assert np.diff(rest, axis=1).std() < 0.3 * np.diff(striped[7] - cube()[7], axis=1).std()


def test_wide_stripe_is_one_run():
    striped = cube()
    striped[5, :, 40:55] += 5 * SIGMA
    assert lines(find_stripes(striped)) == {(5, "columns", line) for line in range(40, 55)}


@pytest.mark.parametrize("kind", ["constant", "zero", "saturated", "copy", "interpolated", "noise"])
@pytest.mark.parametrize("orientation", ["columns", "rows"])
def test_dead_line_of_one_band(kind, orientation):
    image = np.rint(cube())
    band = image[9] if orientation == "columns" else image[9].T
    if kind == "constant":
        band[:, 30] = 512
    elif kind == "zero":
        band[:, 30] = 0
    elif kind == "saturated":
        band[:, 30] = band.max()
    elif kind == "copy":
        band[:, 30] = band[:, 29]
    elif kind == "interpolated":
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


def test_half_a_line():
    image = cube(rows=128)
    image[4, 64:, 50] += 8 * SIGMA
    image[6, :64, 70] = 0
    found = find_stripes(image)
    assert lines(found) == {(4, "columns", 50)} and lines(found, "dead") == {(6, "columns", 70)}
    assert not found.offset_map()[4, :64].any() and found.offset_map()[4, 64:, 50].all()
    assert found.dead[6, :64, 70].all() and not found.dead[6, 64:].any()


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
    assert row.slope == pytest.approx(slope, abs=1 / 96)  # a pixel over the image
    marked = found.offset_map()[8] != 0
    assert (marked & stripe).sum() > 0.85 * stripe.sum() and (marked & ~stripe).sum() < 0.15 * stripe.sum()


def test_tilted_stripes_that_bands_share():
    """Bands with the same stripes predict them from one another, so they must not be asked."""
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


def test_pixels_that_were_not_observed_do_not_matter():
    image = cube()
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    observed = rows + columns > 60  # a cut corner
    image[:, ~observed] = -9999
    image[12, :, 80] += 5 * SIGMA
    found = find_stripes(image, observed)
    assert lines(found) == {(12, "columns", 80)} and not found.dead.any()
    assert lines(find_stripes(np.where(observed, image, np.nan))) == {(12, "columns", 80)}


def test_bands_can_be_left_out():
    image = cube()
    image[3, :, 20] += 8 * SIGMA
    image[5] = 77.0
    use = np.arange(24) != 3
    found = find_stripes(image, use=use.tolist())
    assert found.lines == ()
    assert np.isnan(found.noise[3]) and np.isnan(found.noise[5]) and np.isfinite(found.noise[4])


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_few_bands(bands):
    """Clear stripes are found within the band; roads and field edges, which are in all bands, are left alone."""
    image = cube(bands=bands, sigma=4.0)
    assert find_stripes(image).lines == ()
    image[0, :, 60] += 400
    image[bands - 1, 30] = 0
    found = find_stripes(image)
    assert lines(found) == {(0, "columns", 60)} and lines(found, "dead") == {(bands - 1, "rows", 30)}


@pytest.mark.parametrize("shape", [(1, 17, 23), (2, 17, 23), (12, 17, 23), (3, 1, 5), (6, 40, 3)])
def test_small_rasters_do_no_harm(shape):
    image = np.random.default_rng(0).normal(100, 5, shape).astype(np.float32)
    found = find_stripes(image)
    assert found.shape == shape and found.dead.shape == shape and not found.dead.any()


def test_nothing_to_judge():
    assert find_stripes(np.zeros((3, 40, 40), np.uint8)).lines == ()
    assert find_stripes(cube(), np.zeros((24, 96, 110), bool)).lines == ()


def test_window_is_a_cut_of_the_whole():
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


def test_enlarged_raster_has_no_copies():
    """Nearest-neighbour enlargement repeats every line."""
    large = np.repeat(np.repeat(cube(bands=1, rows=40, columns=40), 2, axis=1), 2, axis=2)[0]
    assert not copied_lines(large).any() and not copied_lines(large.T).any()


def test_clipped_water_is_not_stuck():
    """Columns wholly over water have one value; so has most of the next column."""
    rng = np.random.default_rng(0)
    image = rng.normal(50, 5, (60, 80))
    shore = 8 + np.cumsum(rng.normal(0, 0.4, 60))
    image[np.arange(80)[None, :] < shore[:, None]] = 0.0
    assert not stuck_lines(image.T).any()


def test_views_hold_every_pixel_once():
    image = np.arange(20.0 * 13).reshape(20, 13)
    for orientation in ("columns", "rows"):
        for slope in (0.0, 0.3, -0.7, 1.0):
            direction = Direction(orientation, slope, image.shape)
            view = direction.view(image)
            numbers = direction.line_of()
            assert view.shape == (direction.count, direction.length)
            assert np.isfinite(view).sum() == image.size
            np.testing.assert_array_equal(view[numbers, np.broadcast_to(direction.along(), image.shape)], image)
            np.testing.assert_array_equal(direction.line_of(slice(3, 9), slice(2, 7)), numbers[3:9, 2:7])


def test_slant_sums_are_sums_along_lines():
    image = np.random.default_rng(0).normal(size=(16, 9)).astype(np.float32)
    sums = slant_sums(image)
    np.testing.assert_allclose(sums[0, 15:24], image.sum(axis=0), rtol=1e-5, atol=1e-5)
    # Slope number 15 moves one column a row.
    expected = [sum(image[row, start + row] for row in range(16) if 0 <= start + row < 9) for start in range(-15, 9)]
    np.testing.assert_allclose(sums[15], expected, rtol=1e-5, atol=1e-5)


def test_indian_pines_has_one_interpolated_row_and_no_stripes():
    found = find_stripes(pines(slice(20, 80)))
    assert lines(found) == set()
    dead = lines(found, "dead")
    assert len({band for band, _, row in dead if row == PINES_ROW}) > 30  # half of the 60 bands
    # Band 33, where two spectrometers meet, has a row that fits its neighbours and the other bands badly.
    assert {line for line in dead if line[2] != PINES_ROW} <= {(13, "rows", 123)}


@pytest.mark.parametrize("orientation", ["columns", "rows"])
def test_injected_stripes_on_indian_pines(orientation):
    image = pines(slice(104, 150))
    noise = find_stripes(image).noise
    striped, truth = inject(image, noise, [3, 4, 15, 30, 31, 45], orientation, np.random.default_rng(5))
    truth = {key: value for key, value in truth.items() if key[1:] != ("rows", PINES_ROW)}
    assert f1(lines(find_stripes(striped)), set(truth)) > 0.95


@pytest.mark.parametrize("orientation", ["columns", "rows"])
def test_injected_stripes_on_reno(orientation):
    image, _ = real("reno_100b.tif")
    clean = find_stripes(image)
    assert clean.lines == ()
    striped, truth = inject(image, clean.noise, range(0, 100, 7), orientation, np.random.default_rng(6))
    striped[50, :, 77] = striped[50, :, 76]
    striped[51, :, 20] = 0
    found = find_stripes(striped)
    assert f1(lines(found), set(truth)) > 0.95
    assert lines(found, "dead") == {(50, "columns", 77), (51, "columns", 20)}


@pytest.mark.parametrize(
    "name, known",
    [("abu_urban_1_striped.tif", {140, 200, 201, 202, 203}), ("abu_urban_2_striped.tif", {143, 201, 204, 206})],
)
def test_real_tilted_stripes(name, known):
    """Of the file's bands some were named as striped; most bands from 140 on are, as pictures of them show."""
    image, _ = real(name)
    found = find_stripes(image)
    assert known <= set(found.bands)
    assert [band for band in found.bands if band < 139] in ([], [103])  # 103 is in a water-vapour band, mostly noise
    rows = [row for row in found.table() if row.offset_lines]
    assert {row.orientation for row in rows} == {"tilted rows"}
    assert all(row.slope == pytest.approx(0.41, abs=0.02) for row in rows)
    # An independent witness: neighbours along the stripes are alike, more than along the mirrored direction;
    # less so once the stripes are taken off.
    fixed = image - found.offset_map()
    for band in known:
        assert anisotropy(image[band]) > 1.1 * anisotropy(image[50])
        assert anisotropy(fixed[band]) < anisotropy(image[band])


def anisotropy(band: np.ndarray) -> float:
    """Differences across the mirrored direction by those along the stripes (2 rows down for 5 columns), squared."""
    band = band.astype(np.float64)
    along = np.mean((band[2:, 5:] - band[:-2, :-5]) ** 2)
    mirrored = np.mean((band[2:, :-5] - band[:-2, 5:]) ** 2)
    return float(mirrored / along)


def test_few_false_alarms_on_an_irregular_scene():
    """EnMAP: a mosaic with an irregular outline, 6 dead bands, and weak tilted stripes in its infrared."""
    image, observed = real("enmap_potsdam_224b.tif")
    found = find_stripes(image, observed)
    assert len(found.bands) <= 6 and not found.dead.any()
    assert not set(found.bands) & set(range(129, 135))
    assert np.isnan(np.asarray(found.noise)[129:135]).all()
    assert sum(row.offset_lines for row in found.table()) <= 12
