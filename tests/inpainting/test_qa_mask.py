"""Quality bands as gaps: kinds, classes, other grids, and bands whose kind cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import TRANSFORM, landscape, warnings_of, write
from gap_cases import GAP, SHAPE, assert_masks, gap_mask_of
from rasterio import Affine

from dip_core.errors import GridMismatch, InvalidJob, NothingObserved
from dip_core.events import Message
from dip_core.inpainting.gap_rules import GapRules, find_gap_mask
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

AREAS = {
    "fill": np.s_[:9, 20:28],
    "cloud": np.s_[20:32, 10:26],
    "dilated_cloud": np.s_[20:32, 26:30],
    "shadow": np.s_[60:72, 40:52],
    "cirrus": np.s_[40:50, 70:80],
    "snow": np.s_[70:80, 80:92],
}
DEFAULT = ("fill", "cloud", "dilated_cloud", "shadow")
CODES = {
    "landsat_c2": (21824, dict(fill=1, cloud=22280, dilated_cloud=21826, shadow=23888, cirrus=54596, snow=30048)),
    "landsat_c2_etm": (5440, dict(fill=1, cloud=5896, dilated_cloud=5442, shadow=7440, snow=13600)),
    "bqa": (2720, dict(fill=1, cloud=2800, shadow=2976, cirrus=6816, snow=3744)),
    "bqa_etm": (672, dict(fill=1, cloud=752, shadow=928, snow=1696)),
    "pixel_qa": (322, dict(fill=1, cloud=480, shadow=328, cirrus=834, snow=336)),
    "scl": (5, dict(fill=0, cloud=9, shadow=3, cirrus=10, snow=11)),
    "fmask": (0, dict(fill=255, cloud=4, shadow=2, snow=3)),
    "python_fmask": (1, dict(fill=0, cloud=2, shadow=3, snow=4)),
    "hls": (64, dict(fill=255, cloud=66, dilated_cloud=68, shadow=72, snow=80)),
}
NAMES = {
    "landsat_c2": "LC08_L2SP_178034_20210601_20210608_02_T1_QA_PIXEL",
    "landsat_c2_etm": "LE07_L1TP_008064_20150808_20200903_02_T1_QA_PIXEL",
    "bqa": "LC08_L1TP_178034_20170601_20170608_01_T1_BQA",
    "bqa_etm": "LE07_L1TP_178034_20050601_20170608_01_T1_BQA",
    "pixel_qa": "LC08_L1TP_178034_20170601_20170608_01_T1_pixel_qa",
    "scl": "T31UFU_20200601T105031_SCL_20m",
    "fmask": "L7_20080101_fmask",
    "python_fmask": "clouds_fmask",
    "hls": "HLS.L30.T17RLN.2020209T155956.v2.0.Fmask",
}
KINDS = {"landsat_c2_etm": "landsat_c2", "bqa": "landsat_c1", "bqa_etm": "landsat_c1", "pixel_qa": "landsat_c1"}
KINDS |= {"scl": "sentinel2_scl", "python_fmask": "fmask", "hls": "fmask"}


def codes_of(name: str) -> np.ndarray:
    clear, codes = CODES[name]
    out = np.full(SHAPE, clear, "uint8" if max(clear, *codes.values()) < 256 and name != "pixel_qa" else "uint16")
    for area, code in codes.items():
        out[AREAS[area]] = code
    if name == "scl":
        out[85:, :5] = 6
    if name == "python_fmask":
        out[85:, :5] = 5
    return out


def gaps_of(name: str, *classes: str) -> np.ndarray:
    gap = np.zeros(SHAPE, bool)
    for area in classes:
        if area in CODES[name][1]:
            gap[AREAS[area]] = True
    return gap


@pytest.fixture
def scene(tmp_path):
    return write(tmp_path / "scene.tif", landscape(3, *SHAPE).astype("u2"), nodata=0)


def result_of(scene, **rules):
    """The target ``(row, column)`` of all bands, warnings and information."""
    events = []
    with Scene([str(scene)]) as opened:
        gaps = find_gap_mask(opened, GapRules(**rules), Context(events.append))
    infos = " ".join(event.text for event in events if isinstance(event, Message) and event.level == "info")
    return gaps, warnings_of(events), infos


@pytest.mark.parametrize("name", CODES)
def test_the_name_tells_the_kind(tmp_path, scene, name):
    qa = write(tmp_path / f"{NAMES[name]}.TIF", codes_of(name)[None])
    gaps, warnings, infos = result_of(scene, qa=qa)
    wanted = gaps_of(name, *DEFAULT)
    assert_masks(gaps, ~wanted, wanted)
    assert warnings == [] and "name" in infos and "QA" in gaps.origin
    assert f"cloud {codes_of(name)[AREAS['cloud']].size}" in infos


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("classes", [("cloud",), ("snow", "cirrus"), ("shadow", "fill")])
def test_kind_and_classes_can_be_set(tmp_path, scene, name, classes):
    qa = write(tmp_path / "quality.tif", codes_of(name)[None])
    gaps, warnings, _ = result_of(scene, qa=qa, qa_kind=KINDS.get(name, name), qa_classes=classes)
    wanted = gaps_of(name, *classes)
    assert_masks(gaps, ~wanted, wanted)
    assert warnings == []


@pytest.mark.parametrize("name", ["landsat_c2", "landsat_c2_etm", "bqa", "bqa_etm", "pixel_qa", "scl", "fmask", "hls"])
def test_values_tell_the_kind_and_the_guess_is_reported(tmp_path, scene, name):
    gaps, warnings, _ = result_of(scene, qa=write(tmp_path / "a.tif", codes_of(name)[None]))
    wanted = gaps_of(name, *DEFAULT)
    assert_masks(gaps, ~wanted, wanted)
    assert len(warnings) == 1 and "because of its values: set QA_KIND" in warnings[0]


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (1, 2, 3), (0, 1, 2, 3, 4), (7, 90, 201, 33)])
def test_a_raster_of_unknown_kind_is_refused(tmp_path, scene, values):
    pixels = np.resize(np.array(values, "u1"), SHAPE)
    with pytest.raises(InvalidJob, match=r"cannot be told from its name or its values.*set QA_KIND"):
        result_of(scene, qa=write(tmp_path / "a.tif", pixels[None]))


def test_measurements_are_refused(tmp_path, scene):
    qa = write(tmp_path / "QA_PIXEL.tif", landscape(1, *SHAPE).astype("f4"))
    with pytest.raises(InvalidJob, match="holds fractions"):
        result_of(scene, qa=qa)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_other_types_hold_the_same_codes(tmp_path, scene, dtype):
    codes = codes_of("landsat_c2").astype(dtype)
    gaps, _, _ = result_of(scene, qa=write(tmp_path / "x_qa_pixel.tif", codes[None]))
    wanted = gaps_of("landsat_c2", *DEFAULT)
    assert_masks(gaps, ~wanted, wanted)


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_a_coarser_band_is_resampled_by_the_nearest_pixel(tmp_path, factor):
    scene = write(tmp_path / "scene.tif", landscape(2, 90, 102).astype("u2"), nodata=0)
    codes = np.full((90 // factor, 102 // factor), 4, "u1")
    codes[4:9, 3:8], codes[10:12, 9:11] = 9, 3
    qa = write(tmp_path / "S2_SCL_20m.tif", codes[None], transform=TRANSFORM @ Affine.scale(factor), nodata=0)
    gaps, warnings, _ = result_of(scene, qa=qa)
    wanted = np.kron(np.isin(codes, (3, 9)), np.ones((factor, factor), bool))
    assert_masks(gaps, ~wanted, wanted)
    assert warnings == []


def test_another_grid_and_crs(tmp_path, scene):
    """A band that covers more, with a shift and another CRS; and one that covers a part only."""
    codes = np.full((140, 150), 21824, "u2")
    codes[40:60, 50:70] = 22280
    shifted = TRANSFORM @ Affine.translation(-20, -25)
    gaps, warnings, _ = result_of(scene, qa=write(tmp_path / "a_QA_PIXEL.tif", codes[None], transform=shifted))
    wanted = codes[25 : 25 + SHAPE[0], 20 : 20 + SHAPE[1]] == 22280
    assert_masks(gaps, ~wanted, wanted)
    assert warnings == []
    inner = TRANSFORM @ Affine.translation(20, 5)
    part = write(tmp_path / "b_QA_PIXEL.tif", codes[None, 30:70, 40:80], transform=inner)
    gaps, warnings, _ = result_of(scene, qa=part)
    np.testing.assert_array_equal(gaps.target_any, wanted)
    assert len(warnings) == 1 and "covers 17.8 %" in warnings[0]
    far = write(tmp_path / "c_QA_PIXEL.tif", codes[None], transform=TRANSFORM @ Affine.translation(900, 0))
    with pytest.raises(GridMismatch, match="do not overlap"):
        result_of(scene, qa=far)


def test_without_crs_only_whole_number_ratios_fit(tmp_path):
    options = {"crs": None, "transform": Affine.identity()}
    scene = write(tmp_path / "scene.tif", landscape(2, 60, 80).astype("u2"), nodata=0, **options)
    codes = np.full((30, 40), 5, "u1")
    codes[10:15, 20:26] = 8
    gaps, _, _ = result_of(scene, qa=write(tmp_path / "SCL.tif", codes[None], **options))
    wanted = np.kron(codes == 8, np.ones((2, 2), bool))
    assert_masks(gaps, ~wanted, wanted)
    with pytest.raises(GridMismatch, match="37 x 30 pixels instead of 80 x 60"):
        result_of(scene, qa=write(tmp_path / "b_SCL.tif", codes[None, :, :37], **options))


def test_nodata_counts_as_fill_unless_it_is_a_code_of_observed_pixels(tmp_path, scene):
    codes = codes_of("landsat_c2")
    codes[50:55, 5:9] = 7777
    gaps, _, _ = result_of(scene, qa=write(tmp_path / "QA_PIXEL.tif", codes[None], nodata=7777))
    wanted = gaps_of("landsat_c2", *DEFAULT)
    wanted[50:55, 5:9] = True
    assert_masks(gaps, ~wanted, wanted)
    gaps, _, _ = result_of(scene, qa=write(tmp_path / "QA_PIXEL.tif", codes[None], nodata=7777), qa_classes=("cloud",))
    wanted = gaps_of("landsat_c2", "cloud")
    assert_masks(gaps, ~wanted, wanted)
    land = write(tmp_path / "fmask.tif", codes_of("fmask")[None], nodata=0)  # 0 is land
    gaps, _, _ = result_of(scene, qa=land)
    wanted = gaps_of("fmask", *DEFAULT)
    assert_masks(gaps, ~wanted, wanted)


def test_fill_outside_the_footprint_stays_exterior_and_clouds_at_the_border_do_not(tmp_path):
    values = landscape(2, *SHAPE).astype("u2")
    values[:, :, 60:] = 0
    scene = write(tmp_path / "scene.tif", values, nodata=0)
    codes = np.full(SHAPE, 5440, "u2")
    codes[:, 60:] = 1
    codes[:, :30] = 5896  # a large cloud at the border of the raster
    gaps, _, _ = result_of(scene, qa=write(tmp_path / "QA_PIXEL.tif", codes[None]))
    target = np.zeros(SHAPE, bool)
    target[:, :30] = True
    np.testing.assert_array_equal(gaps.target_any, target)
    assert gaps.exterior_pixels == values[0, :, 60:].size


def test_a_cloud_at_the_border_is_a_gap_where_its_pixels_are_nodata_too(tmp_path):
    values = landscape(2, *SHAPE).astype("u2")
    values[:, :, 60:] = values[:, :, :30] = 0
    codes = np.full(SHAPE, 5440, "u2")
    codes[:, 60:], codes[:, :30] = 1, 5896
    qa = write(tmp_path / "QA_PIXEL.tif", codes[None])
    gaps, _, _ = result_of(write(tmp_path / "scene.tif", values, nodata=0), qa=qa)
    np.testing.assert_array_equal(gaps.target_any, np.arange(SHAPE[1])[None] < np.full((SHAPE[0], 1), 30))


def test_masks_and_qa_are_both_gaps(tmp_path, scene):
    mask = write(tmp_path / "gaps.tif", (~GAP).astype("u1")[None])
    qa = write(tmp_path / "QA_PIXEL.tif", codes_of("landsat_c2")[None])
    gaps, _, _ = result_of(scene, masks=(mask,), qa=qa)
    wanted = GAP | gaps_of("landsat_c2", *DEFAULT)
    assert_masks(gaps, ~wanted, wanted)
    assert "gap mask" in gaps.origin and "QA_PIXEL" in gaps.origin


def test_the_band_is_found_by_its_description(tmp_path, scene):
    import rasterio

    pixels = np.stack([np.zeros(SHAPE, "u2"), codes_of("landsat_c2")])
    qa = write(tmp_path / "stack.tif", pixels)
    with pytest.raises(InvalidJob, match="2 bands"):
        result_of(scene, qa=qa)
    with rasterio.open(qa, "r+") as file:
        file.set_band_description(2, "QA_PIXEL")
    wanted = gaps_of("landsat_c2", *DEFAULT)
    assert_masks(result_of(scene, qa=qa)[0], ~wanted, wanted)


def test_a_scene_that_is_all_cloud_is_an_error(tmp_path, scene):
    qa = write(tmp_path / "SCL.tif", np.full((1, *SHAPE), 9, "u1"))
    with pytest.raises(NothingObserved, match="QA"):
        result_of(scene, qa=qa)


def test_codes_of_another_kind_are_warned_about(tmp_path, scene):
    qa = write(tmp_path / "a.tif", codes_of("scl").astype("u2")[None])
    _, warnings, _ = result_of(scene, qa=qa, qa_kind="landsat_c2", qa_classes=("cloud",))
    assert any("look like Sentinel-2 SCL" in text for text in warnings)


def test_simple_bits_without_confidences_are_read(tmp_path, scene):
    codes = np.full(SHAPE, 64, "u2")
    codes[20:30, 20:30], codes[50:60, 50:60], codes[70:75, 8:14] = 8, 16, 1
    gaps, warnings, _ = result_of(scene, qa=write(tmp_path / "a.tif", codes[None]), qa_kind="landsat_c2")
    assert_masks(gaps, codes == 64, codes != 64)
    assert warnings == []


def test_without_qa_nothing_changes(scene):
    gaps, warnings = gap_mask_of(scene)
    assert not gaps.target.any() and warnings == []
