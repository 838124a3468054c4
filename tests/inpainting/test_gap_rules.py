"""The gap mask without mask files: what marks missing pixels, and which of them are filled."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps, write
from gap_cases import GAP, SHAPE, assert_masks, byte_scene, gap_mask_of
from rasterio.windows import Window

from dip_core.errors import NothingObserved
from dip_core.inpainting.gap_rules import _origin
from dip_core.raster.open_scene import open_scene


@pytest.fixture
def values():
    return byte_scene()


@pytest.mark.parametrize("nodata", [0, 255])
def test_nodata_marks_gaps(tmp_path, values, nodata):
    gaps, _ = gap_mask_of(write(tmp_path / "a.tif", np.where(GAP, nodata, values).astype("u1"), nodata=nodata))
    assert_masks(gaps, ~GAP, GAP)
    assert gaps.target_pixels == GAP.sum() and gaps.exterior_pixels == 0 and gaps.empty_bands == ()
    assert gaps.observed.shape[0] == 1  # all bands are equal, so one mask is stored
    observed, target = gaps.window(Window(10, 20, 30, 40))
    assert observed.shape == target.shape == (3, 40, 30)
    np.testing.assert_array_equal(target[2], GAP[20:60, 10:40])


def test_nan_marks_gaps(tmp_path, values):
    for nodata in (np.nan, None):
        path = write(tmp_path / f"{nodata}.tif", np.where(GAP, np.nan, values).astype("f4"), nodata=nodata)
        assert_masks(gap_mask_of(path)[0], ~GAP, GAP)


def test_bands_may_have_their_own_gaps(tmp_path, values):
    own = np.stack([slanted_gaps(*SHAPE, shift=4 * band) for band in range(3)])
    gaps, _ = gap_mask_of(write(tmp_path / "a.tif", np.where(own, 0, values).astype("u1"), nodata=0))
    assert_masks(gaps, ~own, own)
    assert gaps.target_pixels == own.any(axis=0).sum()


def test_the_fill_value_0_if_nothing_else_marks_gaps(tmp_path, values):
    """Zeros that are connected to a pixel of 0 in all bands are fill; others are dark pixels."""
    own = np.stack([slanted_gaps(*SHAPE, shift=band) for band in range(3)])  # ends differ by a row or two
    dark = values.copy()
    dark[1, 60:62, 50:52] = np.where(own[1, 60:62, 50:52], dark[1, 60:62, 50:52], 0)
    gaps, warnings = gap_mask_of(write(tmp_path / "a.tif", np.where(own, 0, dark).astype("u1")))
    assert_masks(gaps, ~own, own)
    assert gaps.origin == "fill value 0" and "0 in all bands is taken as missing" in warnings[0]


def test_a_complete_raster_has_no_gaps(tmp_path, values):
    values[0, 5, 5] = 0  # one dark pixel
    gaps, warnings = gap_mask_of(write(tmp_path / "a.tif", values))
    assert_masks(gaps, np.True_, np.False_)
    assert gaps.target_pixels == 0 and warnings == []


def test_the_exterior_is_filled_only_on_request(tmp_path, values):
    outside = np.zeros(GAP.shape, bool)
    outside[:, 70:] = True
    path = write(tmp_path / "a.tif", np.where(GAP | outside, 0, values).astype("u1"), nodata=0)
    gaps, _ = gap_mask_of(path)
    assert_masks(gaps, ~GAP & ~outside, GAP & ~outside)
    assert gaps.exterior_pixels == outside.sum()
    everything, _ = gap_mask_of(path, fill_exterior=True)
    assert_masks(everything, ~GAP & ~outside, GAP | outside)
    assert everything.exterior_pixels == 0


def test_bands_without_observed_pixels_are_not_filled(tmp_path, values):
    missing = np.broadcast_to(GAP, values.shape).copy()
    missing[1] = True
    path = write(tmp_path / "a.tif", np.where(missing, 0, values).astype("u1"), nodata=0)
    gaps, warnings = gap_mask_of(path)
    assert gaps.empty_bands == (1,)
    assert warnings == ["Band 2 has no observed pixel and is copied unchanged."]
    target = np.broadcast_to(GAP, values.shape).copy()
    target[1] = False
    assert_masks(gaps, ~missing, target)
    assert not gap_mask_of(path, fill_exterior=True)[0].window()[1][1].any()


@pytest.mark.parametrize("nodata", [0, None])
def test_a_scene_without_observed_pixels_is_an_error(tmp_path, nodata):
    path = write(tmp_path / "a.tif", np.zeros((2, 20, 30), "u1"), nodata=nodata)
    with pytest.raises(NothingObserved, match=r"has no observed pixel.*Check its nodata value") as caught:
        gap_mask_of(path)
    assert path in str(caught.value)


def test_a_single_observed_pixel_is_enough_to_fill_the_exterior(tmp_path):
    pixels = np.zeros((2, 20, 30), "u1")
    pixels[:, 9, 9] = 7
    path = write(tmp_path / "a.tif", pixels, nodata=0)
    assert gap_mask_of(path)[0].target_pixels == 0
    assert gap_mask_of(path, fill_exterior=True)[0].target_pixels == 599


def test_the_log_names_only_values_that_can_mark_a_pixel(tmp_path, values):
    path = write(tmp_path / "a.tif", values)
    with open_scene([path], (float("nan"), 0.5, -9999, 41)) as scene:
        assert _origin(scene) == "nodata and masks, value 41"
