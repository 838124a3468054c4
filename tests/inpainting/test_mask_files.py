"""Gap mask files: polarity, assignment to bands, and masks that do not fit the scene."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest
from core_scenes import TRANSFORM, landscape, slanted_gaps, write
from gap_cases import GAP, SHAPE, assert_masks, byte_scene, gap_mask_of
from rasterio import Affine

from dip_core.errors import BandCountMismatch, GridMismatch, NothingObserved, UnreadableRaster


@pytest.fixture
def values():
    return byte_scene()


def write_mask(path, gap, zero_is_gap=True, **profile):
    """A mask ``(row, column)`` or with several bands, in USGS polarity (0 missing, 1 observed) or the opposite."""
    gap = gap if gap.ndim == 3 else gap[None]
    return write(path, (gap != zero_is_gap).astype("u1"), **profile)


@pytest.mark.parametrize("zero_is_gap", [True, False])
@pytest.mark.parametrize("gaps_hold_fill", [True, False])
def test_polarity_is_detected(tmp_path, values, zero_is_gap, gaps_hold_fill):
    """By the fill inside the gaps; if the gaps hold data, they are the smaller part."""
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1") if gaps_hold_fill else values)
    gaps, _ = gap_mask_of(path, masks=[write_mask(tmp_path / "m.tif", GAP, zero_is_gap)])
    assert_masks(gaps, ~GAP, GAP)
    assert gaps.origin == f"gap mask ({'0' if zero_is_gap else 'not 0'} = missing)"


def test_polarity_of_gaps_on_more_than_half_of_the_scene(tmp_path, values):
    wide = slanted_gaps(*SHAPE, thick=12)
    path = write(tmp_path / "a.tif", np.where(wide, 0, values).astype("u1"), nodata=0)
    for zero_is_gap in (True, False):
        gaps, _ = gap_mask_of(path, masks=[write_mask(tmp_path / f"{zero_is_gap}.tif", wide, zero_is_gap)])
        assert_masks(gaps, ~wide, wide)


@pytest.mark.parametrize("polarity", ["zero_is_gap", "nonzero_is_gap"])
def test_polarity_can_be_set(tmp_path, values, polarity):
    """The user's choice has priority over what the scene looks like."""
    path = write(tmp_path / "a.tif", values)
    mask = write_mask(tmp_path / "m.tif", GAP, zero_is_gap=True)
    gap = GAP if polarity == "zero_is_gap" else ~GAP
    gaps, _ = gap_mask_of(path, masks=[mask], polarity=polarity, fill_exterior=True)
    assert_masks(gaps, ~gap, gap)


@pytest.mark.parametrize("dtype, observed", [("u1", 255), ("f4", 0.5), ("i2", -1)])
def test_any_value_but_0_is_not_0(tmp_path, values, dtype, observed):
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1"), nodata=0)
    mask = write(tmp_path / "m.tif", np.where(GAP, 0, observed).astype(dtype)[None])
    assert_masks(gap_mask_of(path, masks=[mask])[0], ~GAP, GAP)


def test_missing_pixels_outside_the_mask_stay_missing(tmp_path, values):
    """A masked cloud is neither observed nor to be filled."""
    cloud = np.zeros(GAP.shape, bool)
    cloud[30:50, 30:60] = True
    path = write(tmp_path / "a.tif", np.where(GAP | cloud, 0, values).astype("u1"), nodata=0)
    gaps, _ = gap_mask_of(path, masks=[write_mask(tmp_path / "m.tif", GAP)])
    assert_masks(gaps, ~GAP & ~cloud, GAP)


def test_a_mask_that_marks_the_exterior_too(tmp_path, values):
    """USGS masks are also 0 outside the swath."""
    outside = np.zeros(GAP.shape, bool)
    outside[:, 70:] = True
    path = write(tmp_path / "a.tif", np.where(GAP | outside, 0, values).astype("u1"), nodata=0)
    gaps, _ = gap_mask_of(path, masks=[write_mask(tmp_path / "m.tif", GAP | outside)])
    assert_masks(gaps, ~GAP & ~outside, GAP & ~outside)


NAMES = ("LE07_L1TP_X_B1.TIF", "LE07_L1TP_X_B2.TIF", "LE07_L1TP_X_B6_VCID_1.TIF", "LE07_L1TP_X_B6_VCID_2.TIF")
MASK_NAMES = tuple(name.replace("_B", "_GM_B") for name in NAMES)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
@pytest.mark.parametrize("compressed", [False, True])
def test_landsat_masks_are_assigned_by_their_names(tmp_path, order, compressed):
    """Band files and gap_mask files as delivered, gzip or not, in any order; names include VCID."""
    own = np.stack([slanted_gaps(*SHAPE, shift=5 * band) for band in range(4)])
    pixels = np.where(own, 0, landscape(4, *SHAPE)).astype("u1")
    (tmp_path / "gap_mask").mkdir()
    scene = [write(tmp_path / name, pixels[band][None]) for band, name in enumerate(NAMES)]
    masks = [write_mask(tmp_path / "gap_mask" / name, own[band]) for band, name in enumerate(MASK_NAMES)]
    if compressed:
        for path in masks:
            with open(path, "rb") as file, gzip.open(f"{path}.gz", "wb") as out:
                shutil.copyfileobj(file, out)
        masks = [f"{path}.gz" for path in masks]
    gaps, _ = gap_mask_of(*scene, masks=[masks[number] for number in order])
    assert_masks(gaps, ~own, own)


def test_masks_with_other_names_are_assigned_in_order(tmp_path, values):
    own = np.stack([slanted_gaps(*SHAPE, shift=5 * band) for band in range(3)])
    path = write(tmp_path / "a.tif", np.where(own, 0, values).astype("u1"), nodata=0)
    several = [write_mask(tmp_path / f"{name}.tif", own[band]) for band, name in enumerate("xyz")]
    for masks in (several, [write_mask(tmp_path / "stack.tif", own)]):
        assert_masks(gap_mask_of(path, masks=masks)[0], ~own, own)


def test_a_wrong_number_of_masks_is_an_error(tmp_path, values):
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1"), nodata=0)
    mask = write_mask(tmp_path / "m.tif", GAP)
    with pytest.raises(BandCountMismatch, match="2 mask bands were given for 3 bands"):
        gap_mask_of(path, masks=[mask, mask])


@pytest.mark.parametrize(
    "reason, facts",
    [
        ("100 x 80 pixels instead of 100 x 90", {"gap": GAP[:80]}),
        ("another CRS", {"gap": GAP, "crs": "EPSG:32634"}),
        ("another position", {"gap": GAP, "transform": TRANSFORM @ Affine.translation(1, 0)}),
    ],
)
def test_a_mask_on_another_grid_is_an_error(tmp_path, values, reason, facts):
    path = write(tmp_path / "a.tif", values)
    with pytest.raises(GridMismatch, match=reason):
        gap_mask_of(path, masks=[write_mask(tmp_path / "m.tif", **facts)])


def test_a_missing_mask_file_is_an_error(tmp_path, values):
    with pytest.raises(UnreadableRaster, match="no such file"):
        gap_mask_of(write(tmp_path / "a.tif", values), masks=[str(tmp_path / "none.tif")])


def test_a_mask_without_observed_pixels_is_an_error(tmp_path, values):
    path = write(tmp_path / "a.tif", values)
    mask = write(tmp_path / "m.tif", np.zeros((1, *SHAPE), "u1"))
    with pytest.raises(NothingObserved, match=r"gap mask.*polarity"):
        gap_mask_of(path, masks=[mask], polarity="zero_is_gap")
