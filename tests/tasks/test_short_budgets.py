"""A time budget that is too short for a network is reported in the log, the report and the output's metadata."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from core_scenes import add_noise, landscape, material_cube, slanted_gaps, write
from gap_jobs import provenance_of, report_record

from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import DenoiseJob, GapFillJob, InpaintStripesJob, SuperResolveJob
from dip_core.runtime.context import Context

SHAPE = (64, 72)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def gap_job(folder: Path, **options):
    values = np.where(slanted_gaps(*SHAPE), 0, landscape(3, *SHAPE)).astype("u1")
    return "gap_fill", GapFillJob((write(folder / "in.tif", values, nodata=0),), **options)


def stripe_job(folder: Path, **options):
    values = landscape(6, *SHAPE).astype(np.float32)
    mask = np.zeros((1, *SHAPE), "u1")
    mask[:, :, 20:60:9] = 1
    mask_path = write(folder / "mask.tif", mask)
    return "inpaint_stripes", InpaintStripesJob(write(folder / "in.tif", values), mask=mask_path, **options)


def denoise_job(folder: Path, **options):
    values = add_noise(material_cube(6, *SHAPE), 0.02).astype(np.float32)
    return "denoise", DenoiseJob(write(folder / "in.tif", values), **options)


def enlarge_job(folder: Path, **options):
    return "superresolve", SuperResolveJob(write(folder / "in.tif", landscape(3, 48, 48).astype("u1")), **options)


def run(folder: Path, make, method: str, seconds: float | None = 0.05):
    """Run a job with a budget; returns its numbers, the warnings, the output and the report."""
    outputs = Outputs(str(folder / "o.tif"), report=str(folder / "r.html"))
    task, job = make(folder, outputs=outputs, method=method, compute=Compute("cpu", threads=1, time_budget=1.0))
    context = Context(time_budget=seconds)
    result = importlib.import_module(f"dip_core.tasks.{task}").run(job, context)
    atomic.commit()
    return result.numbers, context.warnings, str(folder / "o.tif"), report_record(folder / "r.html")


@pytest.mark.parametrize(
    ("make", "method"),
    [
        (gap_job, "deep_prior"),
        (gap_job, "paper_composite"),
        (gap_job, "paper_per_band"),
        (denoise_job, "deep_prior"),
        (denoise_job, "paper_2d"),
    ],
)
def test_a_budget_that_is_too_short(tmp_path, make, method):
    numbers, warnings, output, report = run(tmp_path, make, method)
    said = [text for text in warnings if text.startswith("TIME_BUDGET")]
    assert said
    assert said[0] in report["warnings"]
    assert numbers["HELDOUT_RMSE"] > numbers["BASELINE_RMSE"]
    assert f"TIME_BUDGET 1 s is too short for METHOD {method}" in said[0]
    with rasterio.open(output) as file:
        assert file.tags()["DEEP_PRIOR_WARNING"] == provenance_of(output)["warning"]
        assert file.tags()["DEEP_PRIOR_WARNING"] in said


@pytest.mark.parametrize(("make", "method"), [(stripe_job, "deep_prior"), (stripe_job, "paper_2d")])
def test_a_fit_that_was_cut_short_is_too_short_only_if_it_is_worse_than_the_baseline(tmp_path, make, method):
    """How far these fits come depends on the machine."""
    numbers, warnings, output, report = run(tmp_path, make, method)
    is_worse = numbers["HELDOUT_RMSE"] > numbers["BASELINE_RMSE"] or numbers["HELDOUT_R2"] < 0
    said = [text for text in warnings if text.startswith("TIME_BUDGET")]
    assert said and said[0] in report["warnings"]
    assert any("too short" in text for text in said) == is_worse
    with rasterio.open(output) as file:
        assert ("DEEP_PRIOR_WARNING" in file.tags()) == is_worse


@pytest.mark.parametrize("make", [gap_job, stripe_job, denoise_job, enlarge_job])
def test_methods_without_a_network_are_not_warned_about(tmp_path, make):
    _, warnings, output, _ = run(tmp_path, make, "fast", None)
    assert not [text for text in warnings if "TIME_BUDGET" in text or "METHOD" in text]
    with rasterio.open(output) as file:
        assert "DEEP_PRIOR_WARNING" not in file.tags()
