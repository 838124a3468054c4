"""The gap-filling problem: standardisation, and assumed values deep inside large gaps."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps, write
from rasterio.windows import Window

from dip_core.inpainting.gap_mask import GapMask
from dip_core.inpainting.gap_rules import find_gap_mask
from dip_core.inpainting.problem import MAX_DEPTH, Correction, build_problem
from dip_core.raster.scene import Scene


def mask_of(target, origin="test"):
    return GapMask(~target, target, len(target), origin)


def test_observed_pixels_are_standardised_per_band(tmp_path):
    pixels = (landscape(2) * np.array([1.0, 30.0])[:, None, None]).astype("f4") + 1e5
    target = np.zeros(pixels.shape, bool)
    target[0, 10:20] = True
    with Scene([write(tmp_path / "a.tif", pixels)]) as scene:
        problem = build_problem(scene, mask_of(target))
        observation = problem.observe()
    for band in range(2):
        values = observation.values[band][observation.observed[band]]
        assert values.mean() == pytest.approx(0, abs=1e-3) and values.std() == pytest.approx(1, abs=1e-3)
        assert problem.low[band] == pixels[band][~target[band]].min()
    assert (observation.values[target] == 0).all()
    np.testing.assert_allclose(problem.standardization.undo(observation.values)[~target], pixels[~target], rtol=1e-5)


def test_a_common_scale_keeps_the_ratios_of_the_bands(tmp_path):
    """The DHP paper scales the whole cube: a band that is twice as bright stays twice as bright."""
    band = landscape(1)[0]
    with Scene([write(tmp_path / "a.tif", np.stack([band, 2 * band]))]) as scene:
        problem = build_problem(scene, mask_of(np.zeros((2, *band.shape), bool)), common_scale=True)
        values = problem.observe().values
    standardization = problem.standardization
    assert np.ptp(standardization.mean) == 0 and np.ptp(standardization.deviation) == 0
    assert values.std() == pytest.approx(1, abs=1e-3) and values.mean() == pytest.approx(0, abs=1e-3)
    restored = standardization.undo(values)
    assert np.allclose(restored[1], 2 * restored[0], atol=0.01)


def test_a_correction_is_subtracted(tmp_path):
    pixels = landscape(1).astype("f4")
    offsets = np.zeros(pixels.shape, np.float32)
    offsets[:, :, 30] = 7

    def offsets_of(window):
        return offsets if window is None else offsets[(slice(None), *window.toslices())]

    correction = Correction(offsets_of, np.ones(1))
    with Scene([write(tmp_path / "a.tif", pixels)]) as scene:
        problem = build_problem(scene, mask_of(np.zeros(pixels.shape, bool)), correction=correction)
        restored = problem.standardization.undo(problem.observe().values)
    np.testing.assert_allclose(restored, pixels - offsets, atol=1e-3)


def test_pixels_deep_inside_a_gap_get_the_coarse_surface(tmp_path):
    """A ramp with a gap of 260 columns: its middle is assumed, and close to the ramp."""
    ramp = np.broadcast_to(np.arange(400, dtype=np.float32), (1, 40, 400))
    target = np.zeros(ramp.shape, bool)
    target[:, :, 70:330] = True
    with Scene([write(tmp_path / "a.tif", ramp)]) as scene:
        problem = build_problem(scene, mask_of(target))
        observation = problem.observe()
        part = problem.observe(Window(60, 0, 120, 40))
    assert observation.assumed is not None
    columns = np.flatnonzero(observation.assumed[0, 0])
    assert columns[0] == 70 + MAX_DEPTH and columns[-1] == 329 - MAX_DEPTH
    restored = problem.standardization.undo(observation.values)
    np.testing.assert_allclose(restored[observation.assumed], ramp[observation.assumed], atol=16)
    # In a window that ends inside the gap, assumed pixels begin at a quarter of the window's width.
    assert part.assumed is not None and np.flatnonzero(part.assumed[0, 0])[0] == 10 + 120 // 4


@pytest.mark.parametrize("rows", [1, 7, 16, 50])
def test_statistics_do_not_depend_on_the_blocks(tmp_path, monkeypatch, rows):
    """Wide rasters of many bands are read a few rows at a time, whose number need not be a multiple of 16."""
    values = np.where(slanted_gaps(), np.nan, landscape(2)).astype(np.float32)
    path = write(tmp_path / "in.tif", values)
    with Scene([path]) as scene:
        gaps = find_gap_mask(scene)
        whole = build_problem(scene, gaps)
        blocks = list(scene.blocks(rows))
        monkeypatch.setattr(Scene, "blocks", lambda self, *_, **__: iter(blocks))
        parts = build_problem(scene, gaps)
    np.testing.assert_allclose(parts.standardization.mean, whole.standardization.mean)
    np.testing.assert_allclose(parts.standardization.deviation, whole.standardization.deviation)
    np.testing.assert_allclose(parts.coarse_surface, whole.coarse_surface, atol=1e-5)
    np.testing.assert_array_equal(parts.low, whole.low)
