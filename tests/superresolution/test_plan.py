"""The plan of a run: experts, windows and tiles depend on sizes and device only."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import write
from fine_scenes import scene

from dip_core.job_fields import Compute, Outputs
from dip_core.raster.band_selection import select_bands
from dip_core.raster.scene import Scene
from dip_core.restoration_jobs import SuperResolveJob
from dip_core.runtime.context import Context
from dip_core.superresolution.plan import plan_enlargement, spread_windows


@pytest.fixture
def selected(tmp_path):
    with Scene([write(tmp_path / "in.tif", scene(2, 300, 420))]) as opened:
        yield select_bands(opened, Context())


def plan(selected, **fields):
    fields.setdefault("compute", Compute("cpu"))
    return plan_enlargement(SuperResolveJob("in.tif", Outputs("out.tif"), **fields), selected)


def test_best_skips_the_network_on_large_scenes(selected):
    best = plan(selected, method="best")
    assert best.names == ("back_projection", "vectorial_tv", "steered_ridge")
    assert "min on two CPU cores; METHOD deep_prior runs it" in best.skipped["deep_prior"]
    alone = plan(selected, method="deep_prior")
    assert alone.names == ("deep_prior",) and not alone.skipped and not alone.needs_statistics


def test_tiles_windows_and_margins(selected):
    fast = plan(selected, method="fast", factor=4)
    assert (fast.tile_size, fast.overlap, fast.margin) == (128, 24, 12)
    assert len(fast.validation_windows) == len(fast.statistics_windows) == 4
    network = plan(selected, method="deep_prior", compute=Compute("cpu", tile_size=64, overlap=8))
    assert (network.tile_size, network.overlap, network.margin) == (64, 8, 0)
    assert len(network.validation_windows) == 1 and not network.statistics_windows
    assert 0 < network.validation_share < 0.1
    cascade = plan(selected, method="paper_cascade", factor=3, model="m.safetensors")
    assert cascade.margin == 14 and len(cascade.validation_windows) == 1


def test_windows_hold_observed_pixels_and_whole_coarse_pixels(tmp_path):
    values = np.full((1, 60, 70), -9.0, np.float32)
    values[:, :, :20] = scene(1, 60, 20)
    with Scene([write(tmp_path / "half.tif", values, nodata=-9)]) as opened:
        selected = select_bands(opened, Context())
        windows = spread_windows(selected, 3, 25, 4)
        assert {(window.width, window.height) for window in windows} == {(24, 24)}
        assert windows and all(selected.read(window)[1].any() for window in windows)
        assert spread_windows(selected, 4, 15, 4) == []
