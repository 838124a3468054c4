"""A super-resolution job with networks: reproducible, limited in time, and only with a model that fits."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import torch
from core_scenes import write
from fine_scenes import random_model, scene
from superresolve_jobs import run

from dip_core import errors
from dip_core.imaging.back_projection import back_project
from dip_core.imaging.degradation import bicubic_decimation
from dip_core.imaging.psf import enlarge_bicubic
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import SuperResolveJob
from dip_core.runtime.context import Context
from dip_core.tasks import superresolve


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_cascade_tiles_are_the_whole_image(tmp_path):
    coarse = scene(2, 20, 80)
    source, path = write(tmp_path / "in.tif", coarse), random_model(tmp_path, 2)
    options = {"psf": "gaussian", "psf_sigma": 1.0, "model": path}
    whole = run(tmp_path, source, "paper_cascade", **options).output
    tiled = run(tmp_path, source, "paper_cascade", tile_size=64, overlap=8, **options).output
    assert np.abs(whole - tiled).max() < 0.01 * coarse.std()
    fast = run(tmp_path, source, "fast", psf="gaussian", psf_sigma=1.0).output
    assert np.abs(whole - fast).max() > 0.05 * coarse.std()  # the network has an effect


def test_models_that_do_not_fit_are_rejected(tmp_path):
    source = write(tmp_path / "in.tif", scene(2, 20, 20))
    with pytest.raises(errors.ModelMismatch, match="enlarges 3 times"):
        run(tmp_path, source, "paper_cascade", model=random_model(tmp_path, 2, factor=3))
    with pytest.raises(errors.ModelMismatch, match="3 good bands are expected"):
        run(tmp_path, source, "paper_cascade", model=random_model(tmp_path, 3))
    with pytest.raises(errors.InvalidJob, match="needs a MODEL"):
        run(tmp_path, source, "paper_cascade")
    assert not (tmp_path / "output.tif").exists()


def test_a_model_without_effect_causes_a_warning(tmp_path):
    source = write(tmp_path / "in.tif", scene(1, 16, 16))
    messages = run(tmp_path, source, "fast", model=random_model(tmp_path, 1)).messages
    assert any("METHOD fast uses no model" in text for text in messages)


@pytest.mark.parametrize(("method", "iterations"), [("paper_2d", 1), ("deep_prior", 3), ("best", 3)])
def test_networks_are_consistent_and_reproducible(tmp_path, method, iterations):
    coarse = scene(2, 15, 16)
    source = write(tmp_path / "in.tif", coarse)
    output = run(tmp_path, source, method, iterations=iterations, seed=5).output
    downsampled = bicubic_decimation(output.shape[1:], 2).apply(output)
    assert np.sqrt(np.mean((downsampled - coarse) ** 2)) < 1e-3 * coarse.std()
    content = (tmp_path / "output.tif").read_bytes()
    run(tmp_path, source, method, iterations=iterations, seed=5)
    assert (tmp_path / "output.tif").read_bytes() == content


def test_the_3d_network_needs_two_bands(tmp_path):
    with pytest.raises(errors.InvalidJob, match="at least 2 of them"):
        run(tmp_path, write(tmp_path / "one.tif", scene(1, 16, 16)), "paper_3d", iterations=1)
    output = run(tmp_path, write(tmp_path / "two.tif", scene(2, 16, 16)), "paper_3d", iterations=1).output
    assert output.shape == (2, 32, 32) and np.isfinite(output).all()


def test_best_is_no_worse_than_its_experts_at_the_validated_scale(tmp_path):
    source = write(tmp_path / "in.tif", scene(2, 32, 32))
    run(tmp_path, source, "best", iterations=10, report=True)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    record = json.loads(page.split('id="deep-prior-report">')[1].split("</script>")[0])
    scores = record["data"]["scores"]
    assert scores["mixture"] <= min(scores[name] for name in record["data"]["shares"]) + 1e-9
    assert sum(record["data"]["shares"].values()) == pytest.approx(1)


def test_the_time_budget_stops_networks(tmp_path):
    source = write(tmp_path / "in.tif", scene(1, 20, 20))
    outputs = Outputs(str(tmp_path / "output.tif"))
    job = SuperResolveJob(source, outputs, method="deep_prior", compute=Compute("cpu", time_budget=1.0, threads=1))
    context = Context(time_budget=1.0)
    superresolve.run(job, context, 10_000)
    atomic.commit()
    assert context.seconds_spent < 60  # ten thousand iterations take many minutes
    assert (tmp_path / "output.tif").exists()


def test_tiles_without_time_are_interpolated_and_counted(tmp_path):
    coarse = scene(2, 70, 130)
    outputs = Outputs(str(tmp_path / "output.tif"), report=str(tmp_path / "report.html"))
    compute = Compute("cpu", time_budget=1.0, tile_size=64, threads=1)
    job = SuperResolveJob(write(tmp_path / "in.tif", coarse), outputs, method="deep_prior", compute=compute)
    context = Context(time_budget=1e-9)
    superresolve.run(job, context)
    atomic.commit()
    warnings = [text for text in context.warnings if "fitted to 6 of 6 tiles" in text]
    assert len(warnings) == 1
    assert any("before the network could be validated" in text for text in context.warnings)
    assert warnings[0] in (tmp_path / "report.html").read_text(encoding="utf-8")
    with rasterio.open(outputs.output) as file:
        output = file.read()
    operator = bicubic_decimation(output.shape[1:], 2)
    interpolated = back_project(enlarge_bicubic(coarse, 2), coarse, np.ones(coarse.shape, bool), operator)
    assert np.abs(output - interpolated).max() < 0.01 * coarse.std()
