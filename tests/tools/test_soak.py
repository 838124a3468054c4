"""The soak test itself: it notices broken promises, and a minute of it passes."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import fill, landscape, slanted_gaps, write

from dip_core.restoration_jobs import GapFillJob
from tools.soak.__main__ import main
from tools.soak.jobs import outputs_in
from tools.soak.promises import broken_promises
from tools.soak.rasters import RandomRaster


@pytest.fixture
def filled(tmp_path):
    """A finished gap-fill job and its numbers."""
    pixels = landscape(2).astype(np.int16)
    pixels[:, slanted_gaps()] = -9999
    path = write(tmp_path / "input.tif", pixels, nodata=-9999)
    result, paths, _ = fill(tmp_path / "run", path)
    outputs = outputs_in(tmp_path)
    outputs = type(outputs)(output=paths["output"], uncertainty=paths["uncertainty"], filled=paths["filled"])
    return GapFillJob((path,), outputs, method="fast"), result.numbers


def test_a_good_run_keeps_all_promises(filled):
    assert broken_promises(*filled) == []


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda file: file.write(file.read(1) + 1, 1), "observed values have changed"),
        (lambda file: file.update_tags(1, GAIN="1"), None),
        (lambda file: setattr(file, "nodata", 0), "nodata"),
        (lambda file: setattr(file, "transform", rasterio.Affine(1, 0, 5, 0, -1, 0)), "transform"),
        (lambda file: setattr(file, "crs", "EPSG:4326"), "CRS"),
        (lambda file: setattr(file, "scales", (0.5, 1.0)), "scales"),
        (lambda file: file.set_band_description(1, "other"), "band names"),
    ],
)
def test_broken_promises_are_noticed(filled, damage, words):
    job, numbers = filled
    with rasterio.open(job.outputs.output, "r+") as file:
        damage(file)
    found = broken_promises(job, numbers)
    assert (found == []) if words is None else any(words in text for text in found)


def test_random_rasters_are_the_same_for_the_same_plan(tmp_path):
    plan = RandomRaster(seed=3, marker="mask", georeference="gcps")
    observed = [plan.write(tmp_path / name) for name in ("a.tif", "b.tif")]
    assert np.array_equal(*observed)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.slow
def test_a_minute_of_the_soak_test_passes(capfd):
    assert main(["--minutes", "1", "--seed", "20"]) == 0, capfd.readouterr().out
