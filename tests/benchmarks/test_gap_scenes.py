"""Comparison of gap filling on scenes: cases, fills with one method, and scores."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape

from benchmarks import gap_scenes, scene_cases
from benchmarks.single_methods import expert_fills, other_fills
from dip_core.inpainting.run_experts import ExpertOptions


@pytest.fixture
def case(tmp_path):
    """A scene of two bands with a vertical gap."""
    truth = landscape(2, 40, 50).astype(np.uint8)
    observed = np.ones(truth.shape, bool)
    observed[:, :, 20:24] = False
    return scene_cases.write_masked_case("test", truth, observed, tmp_path, like=None)


def test_a_case_is_read_as_the_product_reads_it(case):
    arrays = case.read()
    np.testing.assert_array_equal(arrays.scored, ~arrays.observation.observed)
    assert arrays.scored[:, :, 20:24].all() and np.count_nonzero(arrays.scored) == 2 * 40 * 4
    assert (arrays.pixels[arrays.scored] == 0).all()
    perfect = arrays.standardization.apply(case.truth, np.ones(case.truth.shape, bool))
    errors = arrays.errors(arrays.to_output_pixels(perfect), case.truth)
    assert scene_cases.rmse(errors) < 0.2  # values outside the observed range are clipped


def test_single_methods_fill_the_gap(case, tmp_path):
    arrays = case.read()
    fills = {
        **expert_fills(["linear"], arrays.observation, ExpertOptions(threads=1), seed=0),
        **other_fills(arrays.observation, tmp_path, tmp_path / "scene.tif"),
    }
    for name in ("linear", "fill-nodata", "biharmonic (scikit-image)"):
        fill = arrays.to_output_pixels(fills[name]())
        np.testing.assert_array_equal(fill[~arrays.scored], case.truth[~arrays.scored])
        assert scene_cases.rmse(arrays.errors(fill, case.truth)) < 1.0, name


def test_hidden_pixels_are_scored_and_ssim_needs_the_whole_truth():
    truth = np.random.default_rng(0).random((2, 24, 24))
    scored = np.zeros(truth.shape, bool)
    scored[:, 5:9] = True
    fill = np.where(scored, truth + 0.1, truth)
    scores = gap_scenes.scores(fill, truth, ~scored, scored)
    assert scores["mpsnr"] == pytest.approx(20.0, abs=0.2) and scores["sam"] > 0 and 0 < scores["ssim"] < 1
    observed = ~scored
    observed[:, 0] = False
    assert gap_scenes.scores(fill, truth, observed, scored)["ssim"] is None
