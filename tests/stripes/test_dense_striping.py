"""Striping of most lines is reported with its bands and strength, and clean scenes are not."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape
from striped_scenes import SIGMA, cube

from dip_core.stripes.detection import find_stripes
from dip_core.stripes.notes import stripe_notes


def striped(strength: float, bands: range, orientation: str = "columns", count: int = 20, seed: int = 1) -> np.ndarray:
    """A cube in whose ``bands`` every line has an offset, with a standard deviation in noise deviations."""
    image = cube(count, 80, 84)
    rng = np.random.default_rng(seed)
    for band in bands:
        offsets = rng.normal(0, strength * SIGMA, 84 if orientation == "columns" else 80)
        image[band] += offsets[None, :] if orientation == "columns" else offsets[:, None]
    return image


@pytest.mark.parametrize("orientation", ["columns", "rows"])
@pytest.mark.parametrize("strength, bands", [(0.8, range(6, 20)), (1.5, range(4, 9)), (3.0, range(20))])
def test_dense_striping_is_found_in_its_bands(orientation, strength, bands):
    found = find_stripes(striped(strength, bands, orientation))
    dense = {item.band for item in found.dense}
    assert dense <= set(bands) and len(dense) >= 0.8 * len(bands)
    assert {item.orientation for item in found.dense} == {orientation}
    for item in found.dense:
        assert item.strength == pytest.approx(strength * SIGMA, rel=0.4)


def test_dense_striping_of_few_bands():
    found = find_stripes(striped(12.0, range(2), count=3))
    assert {item.band for item in found.dense} == {0, 1}


def test_the_note_names_bands_strength_and_remedy():
    (note,) = stripe_notes(find_stripes(striped(1.5, range(5, 20))))
    assert "everywhere in bands 6-20" in note and "most columns" in note and "calibration" in note


@pytest.mark.parametrize("bands", [1, 3, 20])
@pytest.mark.parametrize("seed", [0, 3])
def test_clean_scenes_and_single_stripes_are_not_dense(bands, seed):
    image = cube(bands, seed=seed)
    image[0, :, [20, 33, 70]] += 30 * SIGMA
    image[0, 40] += 30 * SIGMA
    assert find_stripes(image).dense == ()


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_scene_that_varies_smoothly_from_line_to_line_is_not_striped(bands, seed):
    """Waves along rows and columns change the medians of the lines as offsets would, but smoothly."""
    assert find_stripes(landscape(bands, 60, 70, seed).astype(np.float32)).dense == ()
