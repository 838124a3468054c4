"""Gaps: what is to be filled is told from what was never seen, with and without gap masks."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest
from core_scenes import TRANSFORM, landscape, slanted_gaps, write
from rasterio import Affine
from rasterio.windows import Window

from dip_core.errors import BandCountMismatch, GridMismatch, NothingObserved, UnreadableRaster
from dip_core.events import Message
from dip_core.inpainting.gap_mask import find_gaps, footprint
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context


def parallelogram(angle, size=500, half=170):
    """A turned square ``(row, column)`` in a raster of ``size``, and its own coordinates along and across."""
    y, x = np.mgrid[:size, :size] - size / 2
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (abs(along) < half) & (abs(across) < half), along, across


# The footprint


@pytest.mark.parametrize("angle", [0, 8, 12, 30, 45])
@pytest.mark.parametrize("thick", [7, 14])
def test_a_turned_scene_with_gaps_that_open_to_the_exterior(angle, thick):
    """Landsat's case: gaps of up to 14 rows run through the whole swath and end in the exterior on both sides."""
    scene, _, across = parallelogram(angle)
    gap = (across + 21) % 33 < thick  # no gap lies at the upper or lower edge, where it would be none
    inside = footprint(scene & ~gap)
    assert not (inside & ~scene).any()  # nothing outside counts, at the corners neither
    # At the ends a gap's last pixels may be cut off by the square that closes it: half its size times the slant.
    assert (scene & gap & ~inside).sum() <= 0.03 * (scene & gap).sum()
    assert inside[scene & ~gap].all()


def test_wedges_that_widen_towards_the_edges():
    scene, along, across = parallelogram(10)
    gap = (across + 21) % 33 < 14 * abs(along) / 170
    inside = footprint(scene & ~gap)
    assert not (inside & ~scene).any()
    assert (scene & gap & ~inside).sum() <= 0.03 * (scene & gap).sum()


def test_a_hole_belongs_to_the_scene_whatever_its_size():
    y, x = np.mgrid[:400, :400]
    cloud = np.hypot(y - 200, x - 200) < 150
    assert footprint(~cloud).all()


def test_a_strip_that_the_border_cuts_is_a_gap():
    """The last rows are a gap of which the raster shows a part; its depth is that of the gaps inside."""
    gap = np.zeros((200, 150), bool)
    for top in range(0, 200, 40):
        gap[top : top + 12] = True
    assert gap[0].all()
    assert footprint(~gap).all()
    gap[-5:] = True
    assert footprint(~gap).all()


def test_a_broad_margin_is_exterior():
    """Three times as deep as the gaps: nobody looked there."""
    gap = np.zeros((200, 150), bool)
    for top in range(20, 160, 40):
        gap[top : top + 12] = True
    gap[164:] = True
    inside = footprint(~gap)
    assert inside[:164].all() and not inside[164:].any()


def test_margins_without_any_gap_inside_are_exterior():
    """Without a gap to compare with, a missing margin is taken for what it looks like."""
    observed = np.ones((80, 90), bool)
    observed[:6] = False
    assert not footprint(observed)[:6].any()


def test_a_cloud_at_the_border_is_exterior_unless_it_is_narrow():
    y, x = np.mgrid[:300, :300]
    big = np.hypot(y - 150, x) < 80
    inside = footprint(~big)
    # Corners where the circle meets the border are closed by at most the reach.
    assert (inside & big).sum() < 0.05 * big.sum()
    slot = (abs(y - 150) < 20) & (x < 120)  # opens to the border, narrower than twice the reach
    assert footprint(~slot).all()


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 1), (3, 3)])
def test_footprints_of_tiny_rasters(shape):
    assert footprint(np.ones(shape, bool)).all()
    assert not footprint(np.zeros(shape, bool)).any()


# What marks gaps


@pytest.fixture
def values():
    return landscape(3, 90, 100).clip(1, 250).astype(np.uint8)


GAP = slanted_gaps(90, 100)


def find(*paths, warnings=None, **options):
    told = []
    with Scene([str(path) for path in paths]) as scene:
        found = find_gaps(scene, **{"context": Context(told.append), **options})
    if warnings is not None:
        warnings += [event.text for event in told if isinstance(event, Message) and event.level == "warning"]
    return found


def expect(gaps, observed, target):
    found_observed, found_target = gaps.window()
    np.testing.assert_array_equal(found_observed, np.broadcast_to(observed, found_observed.shape))
    np.testing.assert_array_equal(found_target, np.broadcast_to(target, found_target.shape))


@pytest.mark.parametrize("nodata", [0, 255])
def test_nodata_marks_gaps(tmp_path, values, nodata):
    gaps = find(write(tmp_path / "a.tif", np.where(GAP, nodata, values).astype("u1"), nodata=nodata))
    expect(gaps, ~GAP, GAP)
    assert gaps.target_pixels == GAP.sum() and gaps.exterior_pixels == 0 and gaps.dead_bands == ()
    assert gaps.observed.shape[0] == 1  # bands agree, so one mask is kept
    observed, target = gaps.window(Window(10, 20, 30, 40))
    assert observed.shape == target.shape == (3, 40, 30)
    np.testing.assert_array_equal(target[2], GAP[20:60, 10:40])


def test_nan_marks_gaps(tmp_path, values):
    for nodata in (np.nan, None):
        gaps = find(write(tmp_path / f"{nodata}.tif", np.where(GAP, np.nan, values).astype("f4"), nodata=nodata))
        expect(gaps, ~GAP, GAP)


def test_bands_may_have_their_own_gaps(tmp_path, values):
    own = np.stack([slanted_gaps(90, 100, shift=4 * band) for band in range(3)])
    gaps = find(write(tmp_path / "a.tif", np.where(own, 0, values).astype("u1"), nodata=0))
    expect(gaps, ~own, own)
    assert gaps.target_pixels == own.any(axis=0).sum()


def test_the_fill_value_0_where_nothing_else_marks_gaps(tmp_path, values):
    """Zeros are fill where they hang together with a pixel that is zero in all bands; else they are dark pixels."""
    own = np.stack([slanted_gaps(90, 100, shift=band) for band in range(3)])  # ends differ by a row or two
    dark = values.copy()
    dark[1, 60:62, 50:52] = np.where(own[1, 60:62, 50:52], dark[1, 60:62, 50:52], 0)
    warned = []
    gaps = find(write(tmp_path / "a.tif", np.where(own, 0, dark).astype("u1")), warnings=warned)
    expect(gaps, ~own, own)
    assert gaps.origin == "fill value 0" and "value 0 are taken as gaps" in warned[0]


def test_a_raster_without_anything_missing_has_no_gaps(tmp_path, values):
    values[0, 5, 5] = 0  # one dark pixel
    warned = []
    gaps = find(write(tmp_path / "a.tif", values), warnings=warned)
    expect(gaps, np.True_, np.False_)
    assert gaps.target_pixels == 0 and warned == []


def test_the_exterior_is_no_gap_unless_it_is_asked_for(tmp_path, values):
    outside = np.zeros(GAP.shape, bool)
    outside[:, 70:] = True
    path = write(tmp_path / "a.tif", np.where(GAP | outside, 0, values).astype("u1"), nodata=0)
    gaps = find(path)
    expect(gaps, ~GAP & ~outside, GAP & ~outside)
    assert gaps.exterior_pixels == outside.sum()
    everything = find(path, fill_exterior=True)
    expect(everything, ~GAP & ~outside, GAP | outside)
    assert everything.exterior_pixels == 0


def test_dead_bands_pass_by(tmp_path, values):
    missing = np.broadcast_to(GAP, values.shape).copy()
    missing[1] = True
    warned = []
    gaps = find(write(tmp_path / "a.tif", np.where(missing, 0, values).astype("u1"), nodata=0), warnings=warned)
    assert gaps.dead_bands == (1,)
    assert warned == ["Band 2 has no observed pixel and passes through unchanged."]
    target = np.broadcast_to(GAP, values.shape).copy()
    target[1] = False
    expect(gaps, ~missing, target)
    assert not find(str(tmp_path / "a.tif"), fill_exterior=True).window()[1][1].any()


@pytest.mark.parametrize("nodata", [0, None])
def test_a_scene_of_nothing_but_nodata_is_refused(tmp_path, nodata):
    path = write(tmp_path / "a.tif", np.zeros((2, 20, 30), "u1"), nodata=nodata)
    with pytest.raises(NothingObserved, match=r"has no observed pixel.*Check its nodata value") as caught:
        find(path)
    assert path in str(caught.value)


def test_one_observed_pixel_is_enough_for_the_exterior(tmp_path):
    pixels = np.zeros((2, 20, 30), "u1")
    pixels[:, 9, 9] = 7
    path = write(tmp_path / "a.tif", pixels, nodata=0)
    assert find(path).target_pixels == 0
    assert find(path, fill_exterior=True).target_pixels == 599


def test_a_data_band_tagged_as_alpha_is_warned_of(tmp_path):
    """Four bands of bytes are easily written as RGB and alpha; what is then lost must be said."""
    pixels = landscape(4, 60, 70).clip(1, 250).astype("u1")
    warned = []
    find(write(tmp_path / "a.tif", pixels), warnings=warned)  # the driver's own choice: RGBA
    assert len(warned) == 1 and "seems to hold data" in warned[0] and "'undefined'" in warned[0]
    real = pixels.copy()
    real[3] = np.where(slanted_gaps(60, 70), 0, 255)
    warned.clear()
    expect(find(write(tmp_path / "b.tif", real), warnings=warned), real[3] > 0, real[3] == 0)
    assert warned == []


# Gap masks


def write_mask(path, gap, zero_is_gap=True, dtype="u1", **profile):
    """A gap mask, in the polarity of USGS (0 missing, 1 observed) or the other; ``(row, column)`` or more bands."""
    gap = gap if gap.ndim == 3 else gap[None]
    return write(path, (gap != zero_is_gap).astype(dtype), **profile)


@pytest.mark.parametrize("zero_is_gap", [True, False])
@pytest.mark.parametrize("filled", ["fill in the gaps", "no fill at all"])
def test_polarity_is_seen_from_the_scene(tmp_path, values, zero_is_gap, filled):
    """By the fill that lies under the gaps; where the gaps hold data, they are the smaller side."""
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1") if filled.startswith("fill") else values)
    gaps = find(path, masks=[write_mask(tmp_path / "m.tif", GAP, zero_is_gap)])
    expect(gaps, ~GAP, GAP)
    assert gaps.origin == f"gap mask ({'0' if zero_is_gap else 'not 0'} = missing)"


def test_polarity_of_gaps_on_more_than_half_of_the_scene(tmp_path, values):
    wide = slanted_gaps(90, 100, thick=12)
    path = write(tmp_path / "a.tif", np.where(wide, 0, values).astype("u1"), nodata=0)
    for zero_is_gap in (True, False):
        gaps = find(path, masks=[write_mask(tmp_path / f"{zero_is_gap}.tif", wide, zero_is_gap)])
        expect(gaps, ~wide, wide)


@pytest.mark.parametrize("polarity", ["zero_is_gap", "nonzero_is_gap"])
def test_polarity_can_be_said(tmp_path, values, polarity):
    """The user's word counts, also against what the scene looks like."""
    path = write(tmp_path / "a.tif", values)
    mask = write_mask(tmp_path / "m.tif", GAP, zero_is_gap=True)
    gap = GAP if polarity == "zero_is_gap" else ~GAP
    expect(find(path, masks=[mask], polarity=polarity, fill_exterior=True), ~gap, gap)


def test_masks_of_other_types_and_values(tmp_path, values):
    """Bytes of 255, floats, a FILLED output: what is not 0 is not 0."""
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1"), nodata=0)
    for dtype, observed in (("u1", 255), ("f4", 0.5), ("i2", -1)):
        mask = write(tmp_path / f"{dtype}.tif", np.where(GAP, 0, observed).astype(dtype)[None])
        expect(find(path, masks=[mask]), ~GAP, GAP)


def test_missing_pixels_that_the_mask_does_not_name_stay_missing(tmp_path, values):
    """A cloud that somebody masked is neither observed nor to be filled."""
    cloud = np.zeros(GAP.shape, bool)
    cloud[30:50, 30:60] = True
    path = write(tmp_path / "a.tif", np.where(GAP | cloud, 0, values).astype("u1"), nodata=0)
    gaps = find(path, masks=[write_mask(tmp_path / "m.tif", GAP)])
    expect(gaps, ~GAP & ~cloud, GAP)


def test_a_mask_that_names_the_exterior_too(tmp_path, values):
    """USGS masks are 0 outside of the swath as well."""
    outside = np.zeros(GAP.shape, bool)
    outside[:, 70:] = True
    path = write(tmp_path / "a.tif", np.where(GAP | outside, 0, values).astype("u1"), nodata=0)
    mask = write_mask(tmp_path / "m.tif", GAP | outside)
    expect(find(path, masks=[mask]), ~GAP & ~outside, GAP & ~outside)


NAMES = ("LE07_L1TP_X_B1.TIF", "LE07_L1TP_X_B2.TIF", "LE07_L1TP_X_B6_VCID_1.TIF", "LE07_L1TP_X_B6_VCID_2.TIF")
MASK_NAMES = tuple(name.replace("_B", "_GM_B") for name in NAMES)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
@pytest.mark.parametrize("packed", [False, True])
def test_landsat_masks_find_their_bands_in_any_order(tmp_path, order, packed):
    """Band files and gap_mask files as they are delivered, gzip or not; the names pair them, VCID included."""
    own = np.stack([slanted_gaps(90, 100, shift=5 * band) for band in range(4)])
    pixels = np.where(own, 0, landscape(4, 90, 100)).astype("u1")
    (tmp_path / "gap_mask").mkdir()
    scene = [write(tmp_path / name, pixels[band][None]) for band, name in enumerate(NAMES)]
    masks = [write_mask(tmp_path / "gap_mask" / name, own[band]) for band, name in enumerate(MASK_NAMES)]
    if packed:
        for path in masks:
            with open(path, "rb") as file, gzip.open(f"{path}.gz", "wb") as out:
                shutil.copyfileobj(file, out)
        masks = [f"{path}.gz" for path in masks]
    gaps = find(*scene, masks=[masks[number] for number in order])
    expect(gaps, ~own, own)


def test_masks_without_such_names_go_by_their_order(tmp_path, values):
    own = np.stack([slanted_gaps(90, 100, shift=5 * band) for band in range(3)])
    path = write(tmp_path / "a.tif", np.where(own, 0, values).astype("u1"), nodata=0)
    several = [write_mask(tmp_path / f"{name}.tif", own[band]) for band, name in enumerate("xyz")]
    expect(find(path, masks=several), ~own, own)
    expect(find(path, masks=[write_mask(tmp_path / "stack.tif", own)]), ~own, own)


def test_masks_that_do_not_fit_are_refused(tmp_path, values):
    path = write(tmp_path / "a.tif", np.where(GAP, 0, values).astype("u1"), nodata=0)
    fits = write_mask(tmp_path / "m.tif", GAP)
    with pytest.raises(BandCountMismatch, match="2 mask bands were given for 3 bands"):
        find(path, masks=[fits, fits])
    cases = {
        "100 x 80 pixels instead of 100 x 90": {"gap": GAP[:80]},
        "another CRS": {"gap": GAP, "crs": "EPSG:32634"},
        "another position": {"gap": GAP, "transform": TRANSFORM @ Affine.translation(1, 0)},
    }
    for reason, facts in cases.items():
        mask = write_mask(tmp_path / "n.tif", facts.pop("gap"), **facts)
        with pytest.raises(GridMismatch, match=reason):
            find(path, masks=[mask])
    with pytest.raises(UnreadableRaster, match="no such file"):
        find(path, masks=[str(tmp_path / "none.tif")])


def test_a_mask_that_leaves_nothing_is_refused(tmp_path, values):
    path = write(tmp_path / "a.tif", values)
    mask = write(tmp_path / "m.tif", np.zeros((1, 90, 100), "u1"))
    with pytest.raises(NothingObserved, match=r"gap mask.*polarity"):
        find(path, masks=[mask], polarity="zero_is_gap")
