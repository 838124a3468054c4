"""Simulated gaps: only gap pixels change, missing pixels are marked unambiguously, metadata are kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, warnings_of, write
from rasterio.enums import ColorInterp

from dip_core.errors import NothingObserved, UnreadableRaster
from dip_core.job import SimulateGapsJob
from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.runtime.context import Context
from dip_core.tasks import simulate_gaps


def simulated(tmp_path, source, **options):
    """Run the job; returns the result, the scene with gaps and the mask as open rasters, and the warnings."""
    events = []
    context = Context(events.append)
    outputs = Outputs(output=str(tmp_path / "gaps.tif"), mask=str(tmp_path / "mask.tif"))
    try:
        result = simulate_gaps.run(SimulateGapsJob(input=source, outputs=outputs, **options), context)
    except BaseException:
        atomic.discard()
        raise
    assert not (tmp_path / "gaps.tif").exists()  # outputs appear only when the run has succeeded
    atomic.commit()
    return result, rasterio.open(outputs.output), rasterio.open(outputs.mask), warnings_of(events)


@pytest.fixture
def scene() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 4000, (3, 160, 200)).astype(np.uint16)


def test_gaps_get_the_nodata_value_and_other_pixels_do_not_change(tmp_path, scene):
    scene[:, :40, :30] = 65535  # outside the scene
    source = write(tmp_path / "in.tif", scene, nodata=65535)
    result, gaps, mask, warnings = simulated(tmp_path, source, swath_from=0.0, swath_to=0.03)
    observed = mask.read().astype(bool)
    pixels = gaps.read()
    assert set(np.unique(mask.read())) == {0, 1}
    assert mask.count == 3 and mask.dtypes[0] == "uint8" and mask.nodata is None
    np.testing.assert_array_equal(pixels[observed], scene[observed])
    assert (pixels[~observed] == 65535).all()
    assert gaps.nodata == 65535 and gaps.dtypes == ("uint16",) * 3
    assert gaps.crs == rasterio.CRS.from_epsg(32633) and gaps.transform == TRANSFORM
    np.testing.assert_array_equal(gaps.read_masks() > 0, observed)
    assert not observed[:, :40, :30].any()
    # The exterior does not count: at the edge of the swath 41 to 42 % of the rest are removed.
    assert 40.0 <= result.numbers["PERCENTAGE"] <= 43.0
    inside = np.ones(scene.shape, bool)
    inside[:, :40, :30] = False
    assert result.numbers["PERCENTAGE"] == pytest.approx(100 * (~observed[inside]).mean())
    assert result.outputs == {"OUTPUT": str(tmp_path / "gaps.tif"), "MASK": str(tmp_path / "mask.tif")}
    assert warnings == []


@pytest.mark.parametrize("percentage", [6, 35, 55])
def test_percentage(tmp_path, scene, percentage):
    source = write(tmp_path / "in.tif", scene, nodata=0)
    result, _, mask, warnings = simulated(tmp_path, source, percentage=percentage)
    assert result.numbers["PERCENTAGE"] == pytest.approx(percentage, abs=0.5)
    assert 100 * (mask.read() == 0).mean() == pytest.approx(result.numbers["PERCENTAGE"])
    assert any("higher than real ones" in text for text in warnings) == (percentage > 42)


def test_a_scene_without_nodata_gets_0_if_no_pixel_is_0(tmp_path, scene):
    _, gaps, mask, warnings = simulated(tmp_path, write(tmp_path / "in.tif", scene))
    assert gaps.nodata == 0
    assert (gaps.read()[mask.read() == 0] == 0).all()
    assert warnings == []


def test_0_is_not_used_if_it_is_a_measurement(tmp_path, scene):
    """A dark pixel is 0 in one band only, so gaps need another value."""
    scene[1, 10::20, 10::20] = 0
    _, gaps, mask, _ = simulated(tmp_path, write(tmp_path / "in.tif", scene))
    observed = mask.read().astype(bool)
    assert gaps.nodata == 65535
    np.testing.assert_array_equal(gaps.read_masks() > 0, observed)
    np.testing.assert_array_equal(gaps.read()[observed], scene[observed])
    assert (scene[observed] == 0).any()


def test_an_unused_value_between_the_extremes(tmp_path):
    scene = np.tile(np.arange(256).astype(np.uint8), 200).reshape(2, 160, 160)
    scene[scene == 77] = 78
    scene[0, :, 0] = 200  # no pixel is 0 in both bands
    scene[0][(scene == 0).all(axis=0)] = 3
    _, gaps, mask, _ = simulated(tmp_path, write(tmp_path / "in.tif", scene))
    assert gaps.nodata == 77
    np.testing.assert_array_equal(gaps.read_masks() > 0, mask.read() > 0)


def test_a_type_without_unused_values_is_replaced_by_the_next_larger(tmp_path):
    scene = np.tile(np.arange(256).astype(np.uint8), 200).reshape(2, 160, 160)
    scene[0][(scene == 0).all(axis=0)] = 3
    _, gaps, mask, warnings = simulated(tmp_path, write(tmp_path / "in.tif", scene))
    observed = mask.read() > 0
    assert gaps.dtypes[0] == "int16" and gaps.nodata == -32768
    np.testing.assert_array_equal(gaps.read()[observed], scene[observed])
    assert any("every value of its type uint8" in text for text in warnings)


def test_float_scenes_with_zeros_get_nan(tmp_path):
    scene = np.random.default_rng(0).normal(size=(2, 100, 120)).astype(np.float32)
    scene[0, 5, 5] = 0.0
    _, gaps, mask, _ = simulated(tmp_path, write(tmp_path / "in.tif", scene))
    assert math.isnan(gaps.nodata)
    np.testing.assert_array_equal(np.isnan(gaps.read()), mask.read() == 0)


def test_alpha_does_not_hide_the_gaps(tmp_path, scene):
    """RGBA: transparent pixels and gaps are both missing, and the result is RGB with a nodata value."""
    pixels = np.concatenate([scene.clip(1, 254), np.full((1, 160, 200), 255)]).astype(np.uint8)
    pixels[3, :, :20] = 0
    source = write(tmp_path / "in.tif", pixels, photometric="rgb", alpha="yes")
    _, gaps, mask, _ = simulated(tmp_path, source)
    observed = mask.read() > 0
    assert gaps.count == mask.count == 3
    assert gaps.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    np.testing.assert_array_equal(gaps.read_masks() > 0, observed)
    assert not observed[:, :, :20].any() and observed[:, :, 20:].any()


def test_metadata_and_provenance_are_kept(tmp_path, scene):
    source = write(tmp_path / "in.tif", scene, nodata=0)
    with rasterio.open(source, "r+") as file:
        file.scales, file.offsets = (2.75e-5,) * 3, (-0.2,) * 3
        file.set_band_description(2, "green")
        file.update_tags(2, wavelength="560", wavelength_units="nm")
    _, gaps, _, _ = simulated(tmp_path, source, percentage=12.0, seed=9)
    assert gaps.scales == (2.75e-5,) * 3 and gaps.offsets == (-0.2,) * 3
    assert gaps.descriptions[1] == "green" and gaps.tags(2)["wavelength"] == "560"
    record = json.loads(gaps.tags()["DEEP_PRIOR"])
    assert (record["task"], record["seed"], record["percentage"]) == ("simulate_gaps", 9, 12.0)


def test_same_seed_same_gaps(tmp_path, scene):
    source = write(tmp_path / "in.tif", scene, nodata=0)
    masks = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder).mkdir()
        masks.append(simulated(tmp_path / folder, source, percentage=20.0, seed=seed)[2].read())
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_mask_alone(tmp_path, scene):
    source = write(tmp_path / "in.tif", scene, nodata=0)
    path = str(tmp_path / "only.tif")
    result = simulate_gaps.run(SimulateGapsJob(input=source, outputs=Outputs(mask=path)), Context())
    atomic.commit()
    assert result.outputs == {"MASK": path}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.tif", "only.tif"]


def test_bad_inputs_leave_nothing_behind(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    with pytest.raises(UnreadableRaster, match="Cannot read the raster"):
        simulated(tmp_path, str(text))
    empty = write(tmp_path / "empty.tif", np.zeros((2, 50, 50), np.uint8), nodata=0)
    with pytest.raises(NothingObserved, match="no observed pixel"):
        simulated(tmp_path, empty)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty.tif", "text.tif"]
