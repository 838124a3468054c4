"""Masks with nodata, NaN, masked or transparent pixels of their own, which mark nothing; and masks that are codes."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import landscape, slanted_gaps, write
from gap_cases import GAP, SHAPE, assert_masks, byte_scene, gap_mask_of
from rasterio.enums import ColorInterp

from dip_core.errors import InvalidJob

CLOUD = np.hypot(*(np.mgrid[: SHAPE[0], : SHAPE[1]] - np.array([40, 55])[:, None, None])) < 17


@pytest.fixture
def values():
    return byte_scene()


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(
    "marked, elsewhere, dtype, nodata",
    [
        (1, 255, "u1", 255),
        (1, np.nan, "f4", np.nan),
        (1, np.nan, "f4", None),
        (255, 0, "u1", 0),
        (7, -9999, "i2", -9999),
    ],
)
def test_only_the_gaps_have_a_value(tmp_path, values, bands, marked, elsewhere, dtype, nodata):
    """A cloud mask with clear = nodata; the clouds hold data."""
    path = write(tmp_path / "a.tif", np.where(CLOUD, 240, values).astype("u1"))
    pixels = np.where(np.broadcast_to(CLOUD, (bands, *SHAPE)), marked, elsewhere).astype(dtype)
    gaps, warnings = gap_mask_of(path, masks=[write(tmp_path / "m.tif", pixels, nodata=nodata)])
    assert_masks(gaps, ~CLOUD, CLOUD)
    assert len(warnings) == 1 and f"no value but {marked} beside nodata" in warnings[0]
    assert "% of the mask" in warnings[0] and "MASK_POLARITY" in warnings[0]


@pytest.mark.parametrize("clear, dtype, nodata", [(0, "f4", np.nan), (1, "f4", np.nan), (0, "u1", 255), (1, "u1", 0)])
@pytest.mark.parametrize("gaps_hold_fill", [True, False])
def test_only_the_clear_pixels_have_a_value(tmp_path, values, clear, dtype, nodata, gaps_hold_fill):
    gap = GAP if gaps_hold_fill else CLOUD
    path = write(tmp_path / "a.tif", np.where(gap & gaps_hold_fill, 0, values).astype("u1"), nodata=0)
    mask = write(tmp_path / "m.tif", np.where(gap, nodata, clear).astype(dtype)[None], nodata=nodata)
    gaps, warnings = gap_mask_of(path, masks=[mask])
    assert_masks(gaps, ~gap, gap)
    assert len(warnings) == 1 and "nodata pixels are taken as the gaps" in warnings[0]


def test_wide_gaps_with_a_value_are_recognised_by_the_fill(tmp_path, values):
    wide = slanted_gaps(*SHAPE, thick=13)
    path = write(tmp_path / "a.tif", np.where(wide, 0, values).astype("u1"), nodata=0)
    for name, pixels in (("gap", np.where(wide, 1, 255)), ("clear", np.where(wide, 255, 1))):
        mask = write(tmp_path / f"{name}.tif", pixels.astype("u1")[None], nodata=255)
        assert_masks(gap_mask_of(path, masks=[mask])[0], ~wide, wide)


@pytest.mark.parametrize("polarity, marked", [("nonzero_is_gap", CLOUD), ("zero_is_gap", ~CLOUD)])
def test_the_guess_can_be_overruled(tmp_path, values, polarity, marked):
    mask = write(tmp_path / "m.tif", np.where(CLOUD, 1, 255).astype("u1")[None], nodata=255)
    gaps, _ = gap_mask_of(write(tmp_path / "a.tif", values), masks=[mask], polarity=polarity)
    np.testing.assert_array_equal(gaps.target_any, marked)


def test_zero_is_gap_holds_for_a_nodata_value_of_0_too(tmp_path, values):
    """USGS masks whose 0 was declared as nodata by a copy."""
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1"), nodata=0)
    mask = write(tmp_path / "m.tif", (~GAP).astype("u1")[None], nodata=0)
    for polarity in ("zero_is_gap", "auto"):
        assert_masks(gap_mask_of(path, masks=[mask], polarity=polarity)[0], ~GAP, GAP)


@pytest.mark.parametrize("zero_is_gap", [True, False])
def test_nodata_of_a_mask_with_both_values_marks_nothing(tmp_path, values, zero_is_gap):
    """The mask knows nothing about a part of the scene, where pixels stay as they are."""
    unknown = np.zeros(SHAPE, bool)
    unknown[:, 70:] = True
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1"), nodata=0)
    pixels = np.where(unknown, 255, GAP != zero_is_gap).astype("u1")
    gaps, warnings = gap_mask_of(path, masks=[write(tmp_path / "m.tif", pixels[None], nodata=255)])
    assert_masks(gaps, ~GAP, GAP & ~unknown)
    assert warnings == []


def test_masked_and_transparent_pixels_of_a_mask_mark_nothing(tmp_path, values):
    path = write(tmp_path / "a.tif", values)
    known = np.zeros(SHAPE, bool)
    known[:60] = True
    pixels = np.stack([np.where(CLOUD, 1, 0), np.where(known, 255, 0)]).astype("u1")
    alpha = write(tmp_path / "alpha.tif", pixels)
    with rasterio.open(alpha, "r+") as file:
        file.colorinterp = (ColorInterp.gray, ColorInterp.alpha)
    masked = write(tmp_path / "masked.tif", pixels[:1])
    with rasterio.open(masked, "r+") as file:
        file.write_mask(known)
    for mask in (alpha, masked):
        assert_masks(gap_mask_of(path, masks=[mask])[0], ~(CLOUD & known), CLOUD & known)


def test_a_mask_of_four_bands_of_bytes_has_four_bands(tmp_path):
    """GDAL tags the fourth as alpha."""
    own = np.stack([slanted_gaps(*SHAPE, shift=5 * band) for band in range(4)])
    path = write(tmp_path / "a.tif", np.where(own, 0, landscape(4, *SHAPE)).astype("u2"), nodata=0)
    for name, pixels in (("small", ~own), ("large", ~own * 255)):
        mask = write(tmp_path / f"{name}.tif", pixels.astype("u1"))
        assert_masks(gap_mask_of(path, masks=[mask])[0], ~own, own)


@pytest.mark.parametrize("value, nodata", [(0, None), (1, None), (255, None), (255, 255), (0, 0)])
@pytest.mark.parametrize("has_fill", [True, False])
def test_a_mask_that_marks_nothing_is_reported(tmp_path, values, value, nodata, has_fill):
    path = write(tmp_path / "a.tif", np.where(GAP & has_fill, 0, values).astype("u1"), nodata=0)
    mask = write(tmp_path / "m.tif", np.full((1, *SHAPE), value, "u1"), nodata=nodata)
    gaps, warnings = gap_mask_of(path, masks=[mask])
    assert gaps.target_pixels == 0
    assert any("marks no pixel as missing" in text for text in warnings)


def test_a_cloud_mask_beside_a_frame_without_data(tmp_path, values):
    """The frame is fill, but does not decide the polarity; nor do missing pixels that the mask does not mark."""
    frame = np.ones(SHAPE, bool)
    frame[4:84, 3:60] = False
    cloud = CLOUD & ~frame
    other = np.zeros(SHAPE, bool)
    other[60:75, 10:25] = True
    path = write(tmp_path / "a.tif", np.where(frame | other, 0, values).astype("u1"), nodata=0)
    for name, pixels, nodata in (("01", cloud, None), ("nodata", np.where(cloud, 1, 255), 255)):
        mask = write(tmp_path / f"{name}.tif", pixels.astype("u1")[None], nodata=nodata)
        gaps, _ = gap_mask_of(path, masks=[mask])
        np.testing.assert_array_equal(gaps.target_any, cloud)


def test_replacing_most_of_the_data_is_warned_about(tmp_path, values):
    mask = write(tmp_path / "m.tif", (~CLOUD).astype("u1")[None])
    _, warnings = gap_mask_of(write(tmp_path / "a.tif", values), masks=[mask], polarity="nonzero_is_gap")
    assert len(warnings) == 1 and "90 % of the scene's data are marked" in warnings[0]


@pytest.mark.parametrize(
    "name, values, dtype",
    [
        ("codes", (21824, 22280, 55052, 23888, 1), "u2"),
        ("codes", (5440, 5896, 7440), "u2"),
        ("codes", (672, 752, 1), "u2"),
        ("codes", (322, 480, 328), "u2"),
        ("codes", (0, 2, 4, 5, 6, 8, 9), "u1"),
        ("codes", (0, 1, 2, 4, 255), "u1"),
        ("T31UFU_SCL", (0, 3, 4), "u1"),
        ("LC08_QA_PIXEL", (64, 8, 1), "i4"),
        ("x_fmask", (0, 1, 2), "u1"),
    ],
)
def test_codes_are_not_a_gap_mask(tmp_path, values, name, dtype, request):
    path = write(tmp_path / "a.tif", byte_scene())
    mask = write(tmp_path / f"{name}.tif", np.resize(np.array(values, dtype), SHAPE)[None])
    with pytest.raises(InvalidJob, match=r"holds codes .* give it as QA.*MASK_POLARITY"):
        gap_mask_of(path, masks=[mask])
    if 0 in values:
        _, warnings = gap_mask_of(path, masks=[mask], polarity="zero_is_gap")
        assert all("give it as QA" in text or "data are marked" in text for text in warnings)


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 255), (0, 128, 255), (0, 1, 2, 3)])
def test_masks_with_several_values_are_no_codes(tmp_path, values):
    """Clouds 1, shadows 2 and so on; numbered gaps are 0 elsewhere."""
    pixels = np.zeros(SHAPE, "u1")
    for number, value in enumerate(values[1:]):
        pixels[20:30, 10 + 20 * number : 20 + 20 * number] = value
    gaps, warnings = gap_mask_of(
        write(tmp_path / "a.tif", byte_scene()), masks=[write(tmp_path / "m.tif", pixels[None])]
    )
    assert_masks(gaps, pixels == 0, pixels != 0)
    assert len(warnings) == (len(values) > 3)


def test_numbered_gaps_are_a_mask(tmp_path):
    pixels = np.zeros(SHAPE, "u2")
    for number in range(9):
        pixels[8 * number + 4 : 8 * number + 9, 20:30] = number + 1
    gaps, warnings = gap_mask_of(
        write(tmp_path / "a.tif", byte_scene()), masks=[write(tmp_path / "m.tif", pixels[None])]
    )
    assert_masks(gaps, pixels == 0, pixels != 0)
    assert len(warnings) == 1 and "10 different values" in warnings[0]
