"""Stripe masks: their own nodata is clean, inverted masks are recognised, and masks that mark too much are refused."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, warnings_of, write

from dip_core.errors import BandCountMismatch, InvalidJob
from dip_core.inpainting.stripe_mask import read_stripe_mask, require_unmarked_pixels
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

SHAPE = (60, 70)
COLUMNS = np.zeros(SHAPE, bool)
COLUMNS[:, [12, 13, 44]] = True
ROWS = np.zeros(SHAPE, bool)
ROWS[[7, 30, 31, 32, 58]] = True
TILTED = (np.arange(SHAPE[1]) + np.arange(SHAPE[0])[:, None] // 9) % 35 < 2


def marked_by(tmp_path, pixels, scene=None, nodata=None):
    """The mask as read, and the warnings."""
    scene = landscape(3, *SHAPE).astype("u2") if scene is None else scene
    path = write(tmp_path / "mask.tif", pixels if pixels.ndim == 3 else pixels[None], nodata=nodata)
    events = []
    with Scene([write(tmp_path / "scene.tif", scene)]) as opened:
        marked = read_stripe_mask(path, opened, np.ones(opened.shape, bool), Context(events.append))
        require_unmarked_pixels(path, opened, np.ones(opened.shape, bool), marked == 1)
    return marked, warnings_of(events)


@pytest.mark.parametrize("lines", [COLUMNS, ROWS, TILTED])
@pytest.mark.parametrize(
    "value, elsewhere, dtype, nodata",
    [(1, 0, "u1", None), (1, 255, "u1", 255), (255, 0, "u1", 0), (1, np.nan, "f4", np.nan), (9, np.nan, "f4", None)],
)
def test_nodata_of_the_mask_is_clean(tmp_path, lines, value, elsewhere, dtype, nodata):
    marked, warnings = marked_by(tmp_path, np.where(lines, value, elsewhere).astype(dtype), nodata=nodata)
    np.testing.assert_array_equal(marked, np.broadcast_to(lines, marked.shape))
    assert warnings == []


def test_offsets_and_nodata(tmp_path):
    pixels = np.full(SHAPE, 255, "u1")
    pixels[:, 5], pixels[:, 9], pixels[:20] = 2, 3, 0
    marked, warnings = marked_by(tmp_path, pixels, nodata=255)
    assert (marked[:, 20:, 5] == 2).all() and (marked[:, 20:, 9] == 1).all()
    assert np.count_nonzero(marked) == 3 * 2 * 40 and warnings == []


@pytest.mark.parametrize("lines", [COLUMNS, ROWS, TILTED])
@pytest.mark.parametrize("value, nodata", [(1, None), (255, None), (255, 0), (1, 255)])
@pytest.mark.parametrize("is_per_band", [True, False])
def test_an_inverted_mask_is_recognised_and_reported(tmp_path, lines, value, nodata, is_per_band):
    """Also if clean bands are marked as a whole, and if nodata marks the lines."""
    own = np.stack([lines, lines & False, lines]) if is_per_band else lines
    elsewhere = 0 if nodata is None else nodata
    marked, warnings = marked_by(tmp_path, np.where(own, elsewhere, value).astype("u1"), nodata=nodata)
    np.testing.assert_array_equal(marked > 0, np.broadcast_to(own, marked.shape))
    assert len(warnings) == 1 and "seems to be inverted" in warnings[0] and "%" in warnings[0]


def test_an_inverted_mask_of_many_dead_columns_is_recognised_in_the_scene(tmp_path):
    lines = np.zeros(SHAPE, bool)
    lines[:, ::3] = True
    scene = np.where(lines, 7, landscape(3, *SHAPE) + 20 * np.random.default_rng(1).random((3, *SHAPE))).astype("f4")
    marked, warnings = marked_by(tmp_path, (~lines).astype("u1"), scene)
    np.testing.assert_array_equal(marked > 0, np.broadcast_to(lines, marked.shape))
    assert "inverted" in warnings[0]
    scene = np.where(lines, landscape(3, *SHAPE) + 20 * np.random.default_rng(1).random((3, *SHAPE)), 7).astype("f4")
    marked, warnings = marked_by(tmp_path, (~lines).astype("u1"), scene)
    np.testing.assert_array_equal(marked > 0, np.broadcast_to(~lines, marked.shape))
    assert len(warnings) == 1 and "marks most pixels of all bands (66 %)" in warnings[0]


def test_a_mask_with_other_values_is_not_inverted(tmp_path):
    for value in (2, 3):
        marked, warnings = marked_by(tmp_path, np.where(COLUMNS, 0, value).astype("u1"))
        np.testing.assert_array_equal(marked > 0, np.broadcast_to(~COLUMNS, marked.shape))
        assert "marks most pixels" in warnings[0]


def test_a_large_block_is_no_inverted_line(tmp_path):
    pixels = np.ones(SHAPE, "u1")
    pixels[20:40, 20:40] = 0
    marked, warnings = marked_by(tmp_path, pixels)
    assert marked[0, 0, 0] == 1 and "marks most pixels of all bands (90 %)" in warnings[0]


@pytest.mark.parametrize("value, nodata", [(0, None), (255, 255), (0, 0)])
def test_a_mask_that_marks_nothing(tmp_path, value, nodata):
    marked, warnings = marked_by(tmp_path, np.full(SHAPE, value, "u1"), nodata=nodata)
    assert not marked.any()
    assert len(warnings) == 1 and "marks no pixel" in warnings[0]


def test_nodata_lines_in_a_clean_mask_are_the_stripes(tmp_path):
    marked, warnings = marked_by(tmp_path, np.where(COLUMNS, np.nan, 0).astype("f4"))
    np.testing.assert_array_equal(marked > 0, np.broadcast_to(COLUMNS, marked.shape))
    assert "are nodata in it" in warnings[0]
    frame = np.zeros(SHAPE, "u1")
    frame[:, 50:] = 255
    marked, warnings = marked_by(tmp_path, frame, nodata=255)
    assert not marked.any() and "marks no pixel" in warnings[0]


@pytest.mark.parametrize("value", [1, 255, 3])
def test_a_band_without_unmarked_pixels_is_refused(tmp_path, value):
    with pytest.raises(InvalidJob, match=r"marks all observed pixels of Band 1, Band 2, Band 3.*0 is clean"):
        marked_by(tmp_path, np.full(SHAPE, value, "u1"))
    own = np.zeros((3, *SHAPE), "u1")
    own[1], own[0, :, 3] = value, value
    with pytest.raises(InvalidJob, match="marks all observed pixels of Band 2, so"):
        marked_by(tmp_path, own)


def test_a_value_that_should_be_nodata_is_refused(tmp_path):
    """1 on the lines and 255 elsewhere, without a nodata value."""
    with pytest.raises(InvalidJob, match="marks all observed pixels"):
        marked_by(tmp_path, np.where(COLUMNS, 1, 255).astype("u1"))


@pytest.mark.parametrize("codes", [(21824, 22280, 55052), (672, 752, 928), (1, 5440, 5896, 7440)])
def test_codes_are_refused(tmp_path, codes):
    with pytest.raises(InvalidJob, match="holds codes"):
        marked_by(tmp_path, np.resize(np.array(codes, "u2"), SHAPE))


def test_many_values_are_doubtful(tmp_path):
    pixels = np.where(COLUMNS, np.arange(SHAPE[1]) % 9, 0).astype("u1")
    pixels[:5, 20:29] = np.arange(9)
    assert "perhaps it holds codes" in marked_by(tmp_path, pixels)[1][0]


def test_the_number_of_bands_must_fit(tmp_path):
    with pytest.raises(BandCountMismatch):
        marked_by(tmp_path, np.zeros((2, *SHAPE), "u1"))
