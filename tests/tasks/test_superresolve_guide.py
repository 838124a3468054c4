"""A super-resolution job with a finer guide: it helps where it shows the same, and nowhere else."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import torch
from core_scenes import TRANSFORM, write
from fine_scenes import scene
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject
from superresolve_jobs import FINER, run, weight_of

from dip_core import errors
from dip_core.imaging.degradation import bicubic_decimation


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def images():
    """A fine image of 3 bands with detail that no enlargement can know, and its coarse version."""
    fine = scene(3, 96, 120)
    fine += (12 * np.random.default_rng(5).normal(size=fine.shape[1:])).astype(np.float32)
    return fine, bicubic_decimation(fine.shape[1:], 2).apply(fine).astype(np.float32)


def rmse(image, fine, where=slice(None)):
    return float(np.sqrt(np.mean((image - fine)[:, where] ** 2)))


def test_a_panchromatic_guide_helps_and_is_named(tmp_path, images):
    fine, coarse = images
    source = write(tmp_path / "in.tif", coarse)
    guide = write(tmp_path / "pan.tif", 3000 + 7 * fine.mean(axis=0, keepdims=True), transform=FINER)
    plain = run(tmp_path, source)
    assert weight_of("guided", tmp_path) == 0
    guided = run(tmp_path, source, report=True, guide=guide)
    assert rmse(guided.output, fine) < 0.5 * rmse(plain.output, fine)
    assert guided.numbers["HELDOUT_RMSE"] < 0.5 * plain.numbers["HELDOUT_RMSE"]
    downsampled = bicubic_decimation(guided.output.shape[1:], 2).apply(guided.output)
    assert np.sqrt(np.mean((downsampled - coarse) ** 2)) < 1e-3 * coarse.std()
    assert weight_of("guided", tmp_path) > 0.8
    assert any("The weight of the guide in the result is" in text for text in guided.messages)
    with rasterio.open(tmp_path / "output.tif") as file:
        assert json.loads(file.tags()["DEEP_PRIOR"])["guide"] == guide
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Weight of the guide" in page and "pan.tif" in page


@pytest.mark.parametrize("bands", [1, 4])
def test_an_unrelated_guide_gets_no_weight(tmp_path, images, bands):
    source = write(tmp_path / "in.tif", images[1])
    noise = np.random.default_rng(1).normal(900, 50, (bands, 96, 120)).astype(np.float32)
    plain = run(tmp_path, source).output
    guided = run(tmp_path, source, guide=write(tmp_path / "g.tif", noise, transform=FINER))
    assert weight_of("guided", tmp_path) == 0 and np.array_equal(guided.output, plain)
    assert any("does not help" in text for text in guided.messages)


def test_a_guide_in_another_crs_that_covers_a_part(tmp_path, images):
    fine, coarse = images
    source = write(tmp_path / "in.tif", coarse)
    west = fine.mean(axis=0, keepdims=True)[:, :, :64].repeat(3, axis=1).repeat(3, axis=2)
    bounds = rasterio.transform.array_bounds(96, 64, FINER)
    transform, width, height = calculate_default_transform("EPSG:32633", "EPSG:4326", 192, 288, *bounds)
    warped = np.zeros((1, height, width), np.float32)
    source_transform = FINER @ rasterio.Affine.scale(1 / 3)
    options = {"src_crs": "EPSG:32633", "dst_crs": "EPSG:4326", "resampling": Resampling.bilinear}
    reproject(west, warped, src_transform=source_transform, dst_transform=transform, dst_nodata=0, **options)
    guide = write(tmp_path / "g.tif", warped, crs="EPSG:4326", transform=transform, nodata=0)
    plain = run(tmp_path, source).output
    output = run(tmp_path, source, guide=guide).output
    inside, outside = np.zeros((2, 96, 120), bool)
    inside[6:-6, 6:48], outside[:, 80:] = True, True
    assert rmse(output, fine, inside) < 0.75 * rmse(plain, fine, inside)
    assert rmse(output, fine, outside) < 1.02 * rmse(plain, fine, outside)


def test_clouds_in_the_guide_do_not_reach_the_result(tmp_path, images):
    fine, coarse = images
    source = write(tmp_path / "in.tif", coarse)
    pan = fine.mean(axis=0, keepdims=True)
    pan[:, 20:50, 30:70] = 900 + 40 * np.random.default_rng(2).normal(size=(1, 30, 40))
    cloud, clear = np.zeros((2, 96, 120), bool)
    cloud[20:50, 30:70], clear[:, 90:] = True, True
    plain = run(tmp_path, source).output
    output = run(tmp_path, source, guide=write(tmp_path / "g.tif", pan, transform=FINER)).output
    assert rmse(output, fine, clear) < 0.6 * rmse(plain, fine, clear)
    assert rmse(output, fine, cloud) < 1.1 * rmse(plain, fine, cloud)


def test_guides_without_effect_cause_a_warning(tmp_path, images):
    fine, coarse = images
    source = write(tmp_path / "in.tif", coarse[:, :20, :24])
    pan = fine.mean(axis=0, keepdims=True)
    away = write(tmp_path / "away.tif", pan, transform=FINER @ rasterio.Affine.translation(5000, 0))
    same = write(tmp_path / "same.tif", coarse[:1], transform=TRANSFORM)
    good = write(tmp_path / "good.tif", pan, transform=FINER)
    for guide, method, words in (
        (away, "fast", "does not overlap"),
        (same, "fast", "is not finer than INPUT"),
        (good, "deep_prior", "METHOD deep_prior uses no guide"),
    ):
        assert any(words in text for text in run(tmp_path, source, method, 1, guide=guide).messages)
        assert weight_of("guided", tmp_path) == 0
    with pytest.raises(errors.UnreadableRaster, match="no such file"):
        run(tmp_path, source, guide=str(tmp_path / "none.tif"))
    with pytest.raises(errors.InvalidJob, match="would overwrite"):
        run(tmp_path, source, guide=str(tmp_path / "output.tif"))


def test_a_guide_coarser_than_the_output_is_used(tmp_path, images):
    fine, coarse = images
    source = write(tmp_path / "in.tif", coarse)
    guide = write(tmp_path / "good.tif", fine.mean(axis=0, keepdims=True), transform=FINER)
    messages = run(tmp_path, source, factor=4, guide=guide).messages
    assert any("coarser than the output (2.0 of its pixels)" in text for text in messages)
    assert weight_of("guided", tmp_path) > 0


def test_tiles_with_a_guide_leave_no_seam(tmp_path, images):
    fine, coarse = images
    source = write(tmp_path / "in.tif", np.concatenate([coarse, coarse[:, :, ::-1]], axis=2))
    pan = fine.mean(axis=0, keepdims=True)
    guide = write(tmp_path / "g.tif", np.concatenate([pan, pan[:, :, ::-1]], axis=2), transform=FINER)
    whole = run(tmp_path, source, guide=guide).output
    tiled = run(tmp_path, source, guide=guide, tile_size=64, overlap=16).output
    assert weight_of("guided", tmp_path) > 0.8 and np.abs(whole - tiled).max() < 0.01 * coarse.std()
