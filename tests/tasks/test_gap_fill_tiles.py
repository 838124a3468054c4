"""Gap filling in tiles: no seams, and the same result however many tiles run at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from core_scenes import fill, landscape, read, slanted_gaps
from gap_jobs import scene_with_gaps

from dip_core.inpainting import run_experts
from dip_core.inpainting.methods import FILL_METHODS


def run(folder, path, method="fast", **options):
    return fill(folder, path, method, report=False, **options)


def test_small_tiles_give_nearly_the_result_of_one_tile(tmp_path):
    gap = slanted_gaps(140, 150)
    path = scene_with_gaps(tmp_path / "in.tif", landscape(1, 140, 150), gap)
    whole, one, _ = run(tmp_path / "one", path)
    tiled, many, _ = run(tmp_path / "many", path, tile_size=64, overlap=20)
    difference = (read(one["output"]).astype(float) - read(many["output"]))[:, gap]
    # Experts that use about 20 pixels around differ only near the tiles' borders, within the overlap. Kriging also
    # fits a covariance to each tile.
    assert np.sqrt(np.mean(difference**2)) < 0.15 * whole.numbers["HELDOUT_RMSE"]
    assert whole.numbers["HELDOUT_RMSE"] == tiled.numbers["HELDOUT_RMSE"]  # validation does not depend on tiles


@pytest.mark.parametrize("size", [64, 90])
def test_a_gap_larger_than_a_tile_has_no_seam(tmp_path, size):
    """A tile that does not contain the other side of the gap uses the scene's coarse surface."""
    gap = np.zeros((150, 160), bool)
    gap[25:125, 25:135] = True
    y, x = np.mgrid[:150, :160]
    values = (40 + 0.7 * x + 0.2 * y)[None]
    result, paths, _ = run(tmp_path / "r", scene_with_gaps(tmp_path / "in.tif", values, gap), tile_size=size)
    after = read(paths["output"])[0].astype(float)
    assert result.numbers["PIXELS_LEFT"] == 0
    # The plane continues through the gap. A tile with one side only would be off by 27, the scene's mean by 35.
    error = np.abs(after - values[0])[gap]
    assert error.max() < 20 and np.quantile(error, 0.99) < 8 and np.median(error) < 1.5
    # Rounding makes steps of 1; linear interpolation has steps at corners, where the shorter way changes.
    for axis in (0, 1):
        assert np.quantile(np.abs(np.diff(after, axis=axis)), 0.999) < 10


def test_a_large_overlap_without_a_tile_size(tmp_path):
    """Weights that do not sum to 1 would be visible in a plane: 1 % of 90 is 0.9."""
    gap = slanted_gaps(40, 640)
    plane = np.full((1, 40, 640), 90.0) + np.arange(640) / 10
    _, paths, _ = run(tmp_path / "r", scene_with_gaps(tmp_path / "in.tif", plane, gap), overlap=200)
    after = read(paths["output"]).astype(float)
    assert np.abs(after - plane)[:, gap].max() <= 1.0


def test_the_result_does_not_depend_on_how_many_tiles_run_at_a_time(tmp_path, monkeypatch):
    path = scene_with_gaps(tmp_path / "s.tif", landscape(2, 60, 120), slanted_gaps(60, 120))
    best = FILL_METHODS["best"]
    scheme = replace(best.validation, min_rounds=1, max_rounds=1)
    experts = ("biharmonic", "kriging", "plug_and_play")
    monkeypatch.setitem(FILL_METHODS, "best", replace(best, experts=experts, affordable_experts=(), validation=scheme))
    monkeypatch.setattr(run_experts, "usable_threads", lambda requested: requested)
    options = {"seed": 3, "device": "cpu", "tile_size": 64, "overlap": 16}
    one, several = (run(tmp_path / str(n), path, "best", threads=n, **options)[1] for n in (1, 3))
    for name in ("output", "uncertainty"):
        assert np.array_equal(read(one[name]), read(several[name]), equal_nan=True)
