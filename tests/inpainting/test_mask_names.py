"""Gap masks and bands are assigned by their names, else by their order."""

from __future__ import annotations

import gzip
import itertools
import shutil

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, landscape, slanted_gaps, warnings_of, write
from gap_cases import SHAPE, assert_masks
from rasterio import Affine

from dip_core.errors import BandCountMismatch, InvalidJob
from dip_core.events import Message
from dip_core.inpainting.gap_rules import GapRules, find_gap_mask
from dip_core.inpainting.mask_names import parse_name
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

GM = ("B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7")
LEVEL_2 = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7", "ST_B6")
MASK_OF = {**{name: name[3:] for name in LEVEL_2}, "ST_B6": "B6_VCID_1"}
OWN = {name: slanted_gaps(*SHAPE, shift=3 * number) for number, name in enumerate(GM)}


@pytest.mark.parametrize(
    "text, number, gain",
    [
        ("LE07_L2SP_008064_20150808_20200903_02_T1_SR_B1", "1", None),
        ("LE07_L2SP_008064_20150808_20200903_02_T1_ST_B6", "6", None),
        ("LE07_L1TP_008064_20150808_20200903_02_T1_GM_B6_VCID_2", "6", "2"),
        ("le07_l1tp_gm_b6_vcid_1_clip", "6", "1"),
        ("L71008064_06420150808_B62", "6", "2"),
        ("LC08_L1TP_178034_20170601_01_T1_B10", "10", None),
        ("LC08_sr_band3", "3", None),
        ("T31UFU_20200601T105031_B8A_20m", "8a", None),
        ("T31UFU_B04", "4", None),
        ("HLS.L30.T17RLN.2020209T155956.v2.0.B02", "2", None),
        ("Band 5 (SWIR)", "5", None),
    ],
)
def test_bands_are_read_from_names(text, number, gain):
    found = parse_name(text)
    assert (found.number, found.gain) == (number, gain)


@pytest.mark.parametrize("text", ["", "scene", "NDVI_b", "mask1", "sub1", "B0", "gap_mask", "20150808", "b123"])
def test_other_names_have_no_band(text):
    assert parse_name(text) is None


def scene_files(folder, names, pattern="LE07_L2SP_{}.TIF"):
    own = [OWN[MASK_OF.get(name, name)] for name in names]
    pixels = np.where(own, 0, landscape(len(names), *SHAPE)).astype("u2")
    files = [write(folder / pattern.format(name), pixels[number][None], nodata=0) for number, name in enumerate(names)]
    return files, np.stack(own)


def mask_files(folder, names, pattern="LE07_L1TP_GM_{}.TIF"):
    return [write(folder / pattern.format(name), (~OWN[name]).astype("u1")[None]) for name in names]


def result_of(paths, masks):
    events = []
    with Scene([str(path) for path in paths]) as scene:
        gaps = find_gap_mask(scene, GapRules(tuple(masks)), Context(events.append))
    return gaps, warnings_of(events), [event.text for event in events if isinstance(event, Message)]


@pytest.mark.parametrize("given", [GM, GM[::-1], GM[3:] + GM[:3], tuple(name for name in GM if name != "B6_VCID_2")])
def test_level_2_bands_take_the_masks_of_their_names(tmp_path, given):
    """The thermal band takes the mask of either gain; the other one is ignored, also if the order differs."""
    files, own = scene_files(tmp_path, LEVEL_2)
    gaps, warnings, texts = result_of(files, mask_files(tmp_path, given))
    assert_masks(gaps, ~own, own)
    if len(given) == len(GM):
        assert warnings == [] and "are ignored: B6_VCID_2." in texts[0]
    else:
        assert len(warnings) == 1 and "not by their order" in warnings[0] and "B6_VCID_1 for B6" in warnings[0]


@pytest.mark.parametrize("thermal", [("B6_VCID_1",), ("B6_VCID_2",)])
def test_the_thermal_band_takes_either_gain(tmp_path, thermal):
    MASK_OF_BAND = {**MASK_OF, "ST_B6": thermal[0]}
    names = ("SR_B5", "ST_B6", "SR_B7")
    own = np.stack([OWN[MASK_OF_BAND[name]] for name in names])
    pixels = np.where(own, 0, landscape(3, *SHAPE)).astype("u2")
    files = [write(tmp_path / f"X_{name}.TIF", pixels[number][None], nodata=0) for number, name in enumerate(names)]
    gaps, warnings, _ = result_of(files, mask_files(tmp_path, ("B5", *thermal, "B7")))
    assert_masks(gaps, ~own, own)
    assert warnings == []


@pytest.mark.parametrize("count", [1, 3, 6])
def test_fewer_bands_than_masks(tmp_path, count):
    files, own = scene_files(tmp_path, LEVEL_2[:count])
    gaps, warnings, _ = result_of(files, mask_files(tmp_path, GM))
    assert_masks(gaps, ~own, own)
    assert warnings == []


@pytest.mark.parametrize("pattern", ["le07_20150808_{}_clip.tif", "{}.TIF", "LE07_02_T1_{}.TIF"])
def test_case_dates_and_suffixes_do_not_matter(tmp_path, pattern):
    files, own = scene_files(tmp_path, LEVEL_2, pattern)
    masks = []
    for path in mask_files(tmp_path, GM, "le07_l1tp_20150808_gm_{}_V2.tif"):
        with open(path, "rb") as file, gzip.open(f"{path}.gz", "wb") as out:
            shutil.copyfileobj(file, out)
        masks.append(f"{path}.gz")
    gaps, warnings, _ = result_of(files, masks)
    assert_masks(gaps, ~own, own)
    assert warnings == []


def test_a_mask_of_another_grid_that_no_band_calls_for_does_not_matter(tmp_path):
    """The panchromatic band has pixels of 15 m."""
    files, own = scene_files(tmp_path, LEVEL_2[:3])
    fine = np.ones((1, 2 * SHAPE[0], 2 * SHAPE[1]), "u1")
    pan = write(tmp_path / "LE07_L1TP_GM_B8.TIF", fine, transform=TRANSFORM @ Affine.scale(0.5))
    gaps, _, _ = result_of(files, [*mask_files(tmp_path, GM), pan])
    assert_masks(gaps, ~own, own)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_descriptions_of_stacks_name_bands(tmp_path, order):
    names = ("SR_B3", "SR_B4", "SR_B5")
    own = np.stack([OWN[MASK_OF[name]] for name in names])
    stack = write(tmp_path / "scene.tif", np.where(own, 0, landscape(3, *SHAPE)).astype("u2"), nodata=0)
    mask = write(tmp_path / "mask_b9.tif", (~own[list(order)]).astype("u1"))
    with rasterio.open(stack, "r+") as file, rasterio.open(mask, "r+") as masks:
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        for number, place in enumerate(order, 1):
            masks.set_band_description(number, names[place].replace("SR", "GM"))
    gaps, warnings, _ = result_of([stack], [mask])
    assert_masks(gaps, ~own, own)
    assert len(warnings) == (order != (0, 1, 2))


def test_descriptions_that_are_all_alike_do_not_count(tmp_path):
    files, own = scene_files(tmp_path, LEVEL_2[:3])
    masks = mask_files(tmp_path, GM[:3][::-1])
    for path in (*files, *masks):
        with rasterio.open(path, "r+") as file:
            file.set_band_description(1, "Band 1")
    assert_masks(result_of(files, masks)[0], ~own, own)


def test_landsat_8_and_collection_1_names(tmp_path):
    names = ("B4", "B5", "B10", "B11")
    own = np.stack([slanted_gaps(*SHAPE, shift=4 * number) for number in range(4)])
    pixels = np.where(own, 0, landscape(4, *SHAPE)).astype("u2")
    for text in ("LC08_L1TP_178034_20170601_20170615_01_T1_{}.TIF", "LC08_sr_{}.tif"):
        bands = [name if "L1TP" in text else name.replace("B", "band") for name in names]
        files = [
            write(tmp_path / text.format(name), pixels[number][None], nodata=0) for number, name in enumerate(bands)
        ]
        masks = [
            write(tmp_path / f"GM_{name}.TIF", (~own[number]).astype("u1")[None]) for number, name in enumerate(names)
        ]
        for order in itertools.permutations(range(4), 4):
            if order[0] == 2:
                assert_masks(result_of(files, [masks[number] for number in order])[0], ~own, own)


def test_two_dates_are_told_apart(tmp_path):
    """A stack of two scenes with the same bands."""
    dates, bands = ("20150808", "20150824"), ("B3", "B4")
    names = [f"LE07_L1TP_008064_{date}_20200903_02_T1_{band}" for date in dates for band in bands]
    own = np.stack([slanted_gaps(*SHAPE, shift=4 * number) for number in range(4)])
    pixels = np.where(own, 0, landscape(4, *SHAPE)).astype("u2")
    files = [write(tmp_path / f"{name}.TIF", pixels[number][None], nodata=0) for number, name in enumerate(names)]
    masks = [
        write(tmp_path / f"{name.replace('_B', '_GM_B')}.TIF", (~own[number]).astype("u1")[None])
        for number, name in enumerate(names)
    ]
    assert_masks(result_of(files, [masks[number] for number in (2, 0, 3, 1)])[0], ~own, own)


def test_names_of_other_bands_with_the_right_number_are_used_in_order(tmp_path):
    files, own = scene_files(tmp_path, LEVEL_2[:3])
    masks = [write(tmp_path / f"GM_B{number + 4}.TIF", (~own[number]).astype("u1")[None]) for number in range(3)]
    gaps, warnings, _ = result_of(files, masks)
    assert_masks(gaps, ~own, own)
    assert len(warnings) == 1 and "of other bands" in warnings[0] and "in the order given" in warnings[0]


@pytest.mark.parametrize(
    "bands, masks",
    [
        (("SR_B1", "SR_B2", "SR_B3", "SR_B4"), ("B1", "B2", "B3", "B5")),  # no mask for B4
        (("SR_B1", "SR_B2", "SR_B3"), ("B1", "B2", "B4", "B5")),
        (("SR_B1", "SR_B2"), ("B3", "B4", "B5")),
    ],
)
def test_names_that_fit_in_part_are_an_error(tmp_path, bands, masks):
    files, _ = scene_files(tmp_path, bands)
    with pytest.raises(InvalidJob, match="do not say which one belongs to"):
        result_of(files, mask_files(tmp_path, masks))


def test_names_of_a_part_that_contradict_the_order_are_an_error(tmp_path):
    files, _ = scene_files(tmp_path, ("SR_B1", "SR_B2"))
    other = write(tmp_path / "index.tif", landscape(1, *SHAPE).astype("u2"), nodata=0)
    with pytest.raises(InvalidJob, match="contradict each other"):
        result_of([*files, other], mask_files(tmp_path, ("B2", "B1", "B3")))


def test_without_names_the_number_must_fit(tmp_path):
    files, own = scene_files(tmp_path, LEVEL_2[:2], "part_{}x.tif")
    masks = [write(tmp_path / f"m{name}.tif", (~own[number]).astype("u1")[None]) for number, name in enumerate("pq")]
    gaps, warnings, _ = result_of(files, masks)
    assert_masks(gaps, ~own, own)
    assert warnings == []
    with pytest.raises(BandCountMismatch, match="3 mask bands were given for 2 bands"):
        result_of(files, [*masks, write(tmp_path / "mr.tif", (~own[:1]).astype("u1"))])


def test_one_mask_of_another_band_is_warned_about(tmp_path):
    files, own = scene_files(tmp_path, LEVEL_2[:1])
    gaps, warnings, _ = result_of(files, mask_files(tmp_path, ("B1",)))
    assert_masks(gaps, ~own, own)
    assert warnings == []
    assert any("names another band" in text for text in result_of(files, mask_files(tmp_path, ("B5",)))[1])
