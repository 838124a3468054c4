"""Gap filling with a guide as whole jobs: it helps if it is related to the scene, and does no harm if it is not."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, fill, landscape, read, slanted_gaps, warnings_of, write
from gap_jobs import scene_with_gaps

from dip_core.events import Message

SHAPE = (70, 80)
GAP = slanted_gaps(*SHAPE, thick=9, period=26)
MISSING = -1


@pytest.fixture
def texture():
    """Detail of the ground that all dates share and that no interpolation can guess."""
    return 18 * np.random.default_rng(2).normal(size=SHAPE)


@pytest.fixture
def complete(texture):
    return (landscape(2, *SHAPE) + texture).clip(1, 255).round()


@pytest.fixture
def scene(tmp_path, complete):
    return scene_with_gaps(tmp_path / "in.tif", complete, GAP)


@pytest.fixture
def other_date(texture):
    """Another date ``(band, row, column)``: other levels and gains, the same texture, its own noise."""
    gains = np.array([0.5, 1.5, -1.0])[:, None, None]
    levels = np.array([500.0, 900.0, 1500.0])[:, None, None]
    noise = np.random.default_rng(7).normal(0, 12, (3, *SHAPE))
    return levels + 8 * gains * (texture + 0.4 * landscape(1, *SHAPE)) + noise


def write_guide(path, pixels, **profile):
    return write(path, pixels.astype("i2"), nodata=MISSING, **profile)


def run(folder, scene, method="fast", **options):
    return fill(folder, scene, method, report=False, **options)


def test_a_related_guide_helps(tmp_path, scene, complete, other_date):
    without, plain, _ = run(tmp_path / "without", scene)
    result, paths, events = run(tmp_path / "with", scene, guide=write_guide(tmp_path / "g.tif", other_date))
    # Most of the error without a guide is the texture, which the guide has with little noise.
    assert result.numbers["HELDOUT_RMSE"] < 0.75 * without.numbers["HELDOUT_RMSE"]
    errors = [np.sqrt(np.mean((read(name) - complete)[:, GAP] ** 2)) for name in (plain["output"], paths["output"])]
    assert errors[1] < 0.75 * errors[0]
    np.testing.assert_array_equal(read(paths["output"])[:, ~GAP], read(scene)[:, ~GAP])
    assert any("The guide covers 100 %" in event.text for event in events if isinstance(event, Message))


def test_an_unrelated_guide_does_no_harm(tmp_path, scene):
    noise = np.random.default_rng(3).normal(1000, 100, (2, *SHAPE))
    without, *_ = run(tmp_path / "without", scene)
    result, *_ = run(tmp_path / "with", scene, guide=write_guide(tmp_path / "g.tif", noise))
    assert result.numbers["HELDOUT_RMSE"] <= without.numbers["HELDOUT_RMSE"] * 1.01


def test_pixels_missing_in_scene_and_guide_are_filled(tmp_path, scene, other_date):
    """Two SLC-off dates."""
    gaps = slanted_gaps(*SHAPE, thick=9, period=26, shift=13)
    result, *_ = run(tmp_path / "r", scene, guide=write_guide(tmp_path / "g.tif", np.where(gaps, MISSING, other_date)))
    assert result.numbers["PIXELS_LEFT"] == 0


def test_a_guide_that_does_not_overlap_is_not_used(tmp_path, scene, other_date):
    away = TRANSFORM @ rasterio.Affine.translation(5000, 0)
    path = write_guide(tmp_path / "g.tif", other_date, transform=away)
    result, _, events = run(tmp_path / "r", scene, guide=path)
    assert f"GUIDE '{path}' does not overlap the scene and is not used." in warnings_of(events)
    assert result.numbers["PIXELS_LEFT"] == 0


def test_a_network_uses_no_guide(tmp_path, scene, other_date):
    path = write_guide(tmp_path / "g.tif", other_date)
    _, _, events = run(tmp_path / "r", scene, "deep_prior", guide=path, time_budget=1.0, device="cpu", threads=1)
    assert "METHOD deep_prior uses no guide: GUIDE has no effect." in warnings_of(events)
