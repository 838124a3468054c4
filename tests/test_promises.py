"""The promises to the user, tested with whole jobs on inputs that once broke them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, fill, landscape, slanted_gaps, write
from rasterio.enums import ColorInterp

from dip_core import errors
from dip_core.__main__ import run_file
from dip_core.job import to_json
from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import GapFillJob
from dip_core.runtime.context import Context
from dip_core.runtime.executors import budgeted_progress


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def test_zeros_of_a_raster_whose_gaps_are_nan_are_observed(tmp_path):
    pixels = landscape(1).astype(np.float32)
    pixels[0, 30:60, 40:80] = 0
    pixels[0, 10:14] = np.nan
    _, paths, _ = fill(tmp_path / "run", write(tmp_path / "nan.tif", pixels))
    assert (read(paths["output"])[0, 30:60, 40:80] == 0).all()
    assert not read(paths["filled"])[0, 30:60, 40:80].any()


def test_alpha_of_observed_pixels_is_unchanged(tmp_path):
    """Half-transparent pixels stay half-transparent; only filled pixels become opaque."""
    pixels = landscape(4).astype(np.uint8)
    pixels[3] = 128
    pixels[3, slanted_gaps()] = 0
    path = tmp_path / "rgba.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=96, width=120, dtype="uint8", crs="EPSG:32633", transform=TRANSFORM
    ) as file:
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        file.write(pixels)
    _, paths, _ = fill(tmp_path / "run", path)
    alpha = read(paths["output"])[3]
    assert (alpha[~slanted_gaps()] == 128).all() and (alpha[slanted_gaps()] == 255).all()


def test_a_hole_larger_than_a_tile_is_not_filled_with_a_constant(tmp_path):
    """A plane with a hole of 200 pixels: its middle must follow the plane, not the scene's mean."""
    rows, columns = 300, 300
    plane = (1000 + 5 * np.arange(columns)[None] + np.zeros((rows, 1)))[None].astype(np.float32)
    damaged = plane.copy()
    damaged[0, 50:250, 20:220] = np.nan
    _, paths, _ = fill(tmp_path / "run", write(tmp_path / "hole.tif", damaged, nodata=float("nan")), tile_size=64)
    # 5 per column and blocks of 16 pixels: the coarse surface differs from the plane by less than two blocks.
    assert np.abs(read(paths["output"]) - plane).max() < 5 * 32


def test_a_band_file_without_nodata_takes_the_value_of_the_others(tmp_path):
    pixels = landscape(2).astype(np.int16)
    pixels[:, slanted_gaps()] = 0
    paths = [write(tmp_path / "B1.tif", pixels[:1], nodata=0), write(tmp_path / "B2.tif", pixels[1:])]
    result, outputs, emitted = fill(tmp_path / "run", paths)
    assert result.numbers["PIXELS_LEFT"] == 0 and (read(outputs["output"]) != 0).all()
    assert any("no nodata value" in getattr(event, "text", "") for event in emitted)


def test_band_files_with_different_nodata_lose_no_observed_pixel(tmp_path):
    """0 is missing in one file and a measurement in the other."""
    pixels = landscape(2).astype(np.int16)
    pixels[1, 50:60, 50:60] = 0
    pixels[0, slanted_gaps()], pixels[1, slanted_gaps()] = 0, -999
    paths = [write(tmp_path / "B1.tif", pixels[:1], nodata=0), write(tmp_path / "B2.tif", pixels[1:], nodata=-999)]
    _, outputs, _ = fill(tmp_path / "run", paths)
    with rasterio.open(outputs["output"]) as file:
        written, valid, nodata = file.read(), file.read_masks() > 0, file.nodata
    seen = ~slanted_gaps()
    assert np.array_equal(written[:, seen], pixels[:, seen]) and valid[:, seen].all() and nodata == -999


def test_each_tile_has_its_share_of_the_time_budget():
    """The first of four tiles may use a quarter of the remaining time; a warning says that it was stopped."""
    context = Context(time_budget=4.0)
    progress = budgeted_progress(context, 0, 4)
    assert progress.update(0.1)
    context._start -= 1.5  # as if 1.5 s had passed: more than this tile's second
    assert not progress.update(0.5) and any("TIME_BUDGET" in text for text in context.warnings)
    assert budgeted_progress(context, 1, 4).update(0.1)


@pytest.mark.parametrize("name", ["report", "metrics", "uncertainty"])
def test_an_unwritable_output_is_reported_before_the_work(tmp_path, name):
    scene = landscape(1).astype(np.uint8)
    scene[0, slanted_gaps()] = 0
    outputs = Outputs(output=str(tmp_path / "o.tif"), **{name: str(tmp_path / "nowhere" / "x")})
    job = tmp_path / "job.json"
    job.write_text(to_json(GapFillJob((write(tmp_path / "s.tif", scene),), outputs, method="fast")))
    emitted = []
    assert run_file(str(job), emitted.append) == 1
    assert [type(event).__name__ for event in emitted] == ["Error"] and "does not exist" in emitted[0].text
    assert not (tmp_path / "o.tif").exists()


def test_outputs_appear_all_or_none(tmp_path, monkeypatch):
    """The second file cannot be renamed: the first one must not stay."""
    first, second = str(tmp_path / "a.tif"), str(tmp_path / "b.tif")
    for target in (first, second):
        atomic.create_temporary(target)
    replace = atomic.os.replace

    def refuse(source, target):
        if target == second:
            raise OSError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", refuse)
    with pytest.raises(errors.UnwritableOutput):
        atomic.commit()
    atomic.discard()
    assert not list(tmp_path.iterdir())


def test_a_raster_given_twice_is_rejected():
    with pytest.raises(errors.InvalidJob, match="twice"):
        GapFillJob(("a.tif", "b.tif", "a.tif"), Outputs("o.tif"))
