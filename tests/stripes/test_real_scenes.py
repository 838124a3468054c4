"""Stripe detection in airborne and spaceborne scenes, with injected and with real stripes."""

from __future__ import annotations

import numpy as np
import pytest
from striped_scenes import f1, hyperspectral, indian_pines, inject, lines

from dip_core.stripes.detection import find_stripes

PINES_ROW = 112  # this row of the Indian Pines cube is the mean of its neighbours


def test_indian_pines_has_one_interpolated_row_and_no_stripes():
    found = find_stripes(indian_pines(slice(20, 80)))
    assert lines(found) == set()
    dead = lines(found, "dead")
    assert len({band for band, _, row in dead if row == PINES_ROW}) > 30  # half of the 60 bands
    # Band 33, where two spectrometers meet, has a row that agrees badly with its neighbours and the other bands.
    assert {line for line in dead if line[2] != PINES_ROW} <= {(13, "rows", 123)}


def inject_both(image, noise, bands, rng):
    """Offsets of rows and of columns in each of the bands."""
    striped, columns = inject(image, noise, bands, "columns", rng)
    striped, rows = inject(striped, noise, bands, "rows", rng)
    return striped, {*columns, *rows}


def test_injected_stripes_on_indian_pines():
    image = indian_pines(slice(104, 150))
    noise = find_stripes(image).noise
    striped, truth = inject_both(image, noise, [3, 4, 15, 30, 31, 45], np.random.default_rng(5))
    assert f1(lines(find_stripes(striped)), {key for key in truth if key[1:] != ("rows", PINES_ROW)}) > 0.95


@pytest.mark.slow
def test_injected_stripes_on_reno():
    image, _ = hyperspectral("reno_100b.tif")
    clean = find_stripes(image)
    assert clean.lines == ()
    striped, truth = inject_both(image, clean.noise, range(0, 100, 7), np.random.default_rng(6))
    striped[50, :, 77] = striped[50, :, 76]
    striped[51, :, 20] = 0
    found = find_stripes(striped)
    assert f1(lines(found), truth) > 0.95
    assert lines(found, "dead") == {(50, "columns", 77), (51, "columns", 20)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, known",
    [("abu_urban_1_striped.tif", {140, 200, 201, 202, 203}), ("abu_urban_2_striped.tif", {143, 201, 204, 206})],
)
def test_real_tilted_stripes(name, known):
    """Some bands are documented as striped; pictures show that most bands from 140 on are striped too."""
    image, _ = hyperspectral(name)
    found = find_stripes(image)
    assert known <= set(found.bands)
    assert [band for band in found.bands if band < 139] in ([], [103])  # 103 is in a water-vapour band, mostly noise
    rows = [row for row in found.table() if row.offset_lines]
    assert {row.orientation for row in rows} == {"tilted rows"}
    assert all(row.slope == pytest.approx(0.41, abs=0.02) for row in rows)
    # An independent check: pixels are more similar along the stripes than along the mirrored direction, and the
    # difference falls when the offsets are subtracted.
    corrected = image - found.offset_map()
    for band in known:
        assert anisotropy(image[band]) > 1.1 * anisotropy(image[50])
        assert anisotropy(corrected[band]) < anisotropy(image[band])


@pytest.mark.slow
def test_few_false_alarms_on_an_irregular_scene():
    """EnMAP: a mosaic with an irregular outline, 6 dead bands, and weak tilted stripes in the infrared."""
    image, observed = hyperspectral("enmap_potsdam_224b.tif")
    found = find_stripes(image, observed)
    assert len(found.bands) <= 6 and not found.dead.any()
    assert not set(found.bands) & set(range(129, 135))
    assert np.isnan(np.asarray(found.noise)[129:135]).all()
    assert sum(row.offset_lines for row in found.table()) <= 12


def test_no_false_alarms_in_some_bands_of_it():
    """The bands before the six dead ones, and three of these."""
    image, observed = (array[108:132] for array in hyperspectral("enmap_potsdam_224b.tif"))
    found = find_stripes(image, observed)
    assert len(found.bands) <= 1 and not found.dead.any() and np.isnan(np.asarray(found.noise)[21:]).all()


def anisotropy(band: np.ndarray) -> float:
    """Squared differences along the mirrored direction, relative to those along the stripes (2 rows per 5 columns)."""
    band = band.astype(np.float64)
    along = np.mean((band[2:, 5:] - band[:-2, :-5]) ** 2)
    mirrored = np.mean((band[2:, :-5] - band[:-2, 5:]) ** 2)
    return float(mirrored / along)
