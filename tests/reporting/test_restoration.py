"""The skeleton of the restorers' reports: what a restorer supplies ends up in numbers, METRICS and REPORT."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from core_scenes import write

from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.raster.scene import Scene
from dip_core.reporting.html import to_json
from dip_core.reporting.page import KeyNumber, Section
from dip_core.reporting.restoration import (
    RestorationReport,
    ValidationSummary,
    mean_baseline_r2,
    score_figure,
    skipped_notes,
    weight_table,
)
from dip_core.reporting.tables import Column, DataTable
from dip_core.restoration_jobs import DenoiseJob
from dip_core.runtime.context import Context

BETTER = ValidationSummary("On 80 hidden pixels", 3.0, 0.9, "GDAL's Fill nodata", 4.0)


class Report(RestorationReport):
    """A restorer with one band, whose validation can be chosen."""

    title = "Restore"
    found: ValidationSummary | None = BETTER

    def validation(self):
        return self.found

    def summary(self):
        return "12 pixels were restored."

    def key_numbers(self):
        return [KeyNumber("Pixels", self.changed)]

    def band_table(self):
        return DataTable((Column("band", "Band"), Column("rmse", "RMSE")), [(1, 3.0)])

    def sections(self):
        return [Section("How good is it?", [self.band_table().for_page("Errors.")])]

    def settings(self):
        return {"Noise": "auto"}

    def data(self):
        return {"shares": {"a": 1.0}}


@pytest.fixture
def report(tmp_path):
    source = write(tmp_path / "in.tif", np.ones((1, 20, 30), np.float32))
    outputs = Outputs(str(tmp_path / "o.tif"), report=str(tmp_path / "r.html"), metrics=str(tmp_path / "m.csv"))
    with Scene([source]) as scene:
        yield Report(DenoiseJob(source, outputs), scene, changed=12, left=1)


def test_numbers_are_those_of_the_interface(report):
    errors = {"HELDOUT_RMSE": 3.0, "HELDOUT_R2": 0.9, "BASELINE_RMSE": 4.0}
    assert report.numbers() == {**errors, "PIXELS_CHANGED": 12.0, "PIXELS_LEFT": 1.0}
    report.found = None
    numbers = report.numbers()
    assert numbers["PIXELS_CHANGED"] == 12 and numbers["HELDOUT_RMSE"] is numbers["BASELINE_RMSE"] is None


def test_the_page_has_the_shared_and_the_own_parts(report):
    context = Context()
    context.warn("One warning.")
    page = report.page(context)
    assert page.summary == (
        "12 pixels were restored. On 80 hidden pixels, the error (RMSE) is 3.000. "
        "On the same pixels, GDAL's Fill nodata has an error of 4.000."
    )
    assert [(number.label, number.value) for number in page.key_numbers][:2] == [("Pixels", 12), ("Held-out RMSE", 3.0)]
    assert page.key_numbers[1].note == "25.0 % lower than GDAL's Fill nodata"
    assert list(page.warnings) == ["One warning."]
    assert [section.title for section in page.sections] == ["How good is it?"]
    assert {"Input", "Method", "Noise", "Device", "Seed", "Time budget", "Time", "Version"} < set(page.settings)
    assert page.settings["Size"] == "30 x 20 pixels, 1 band, float32"
    record = json.loads(to_json(page))
    assert record["data"]["numbers"] == report.numbers() and record["data"]["shares"] == {"a": 1.0}


def test_a_result_that_is_worse_than_the_baseline_is_reported_as_such(report):
    report.found = ValidationSummary("On 80 hidden pixels", 5.0, -0.1, "bicubic interpolation", 4.0)
    assert report.page(Context()).key_numbers[1].note == "25.0 % higher than bicubic interpolation"


def test_an_error_that_noise_hides_is_not_mentioned(report):
    report.found = ValidationSummary("On 80 values", None, None, "non-local means", 4.0)
    page = report.page(Context())
    assert page.summary == "12 pixels were restored." and page.key_numbers[1].note == ""


def test_metrics_and_report_are_written(report, tmp_path):
    report.write(Context())
    atomic.commit()
    with open(tmp_path / "m.csv", encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"band": "1", "rmse": "3.0"}]
    assert "12 pixels were restored." in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_parts_about_methods():
    table = weight_table({"a": 0.25, "b": 0.75}, str.upper, "Weights.")
    assert table.rows == [("A", "25 %"), ("B", "75 %")] and table.caption == "Weights."
    assert skipped_notes({"a": "too slow"}, str.upper) == ["A was not a candidate: too slow."]
    assert score_figure({"a": 2.0, "b": 1.0}, "b", "RMSE") == score_figure({"b": 1.0, "a": 2.0}, "b", "RMSE")


@pytest.mark.parametrize(
    ("rmse", "r2", "baseline_rmse", "baseline_r2", "worse"),
    [
        (3.0, 0.9, 4.0, 0.8, False),
        (5.0, 0.9, 4.0, None, True),
        (4.0, 0.7, 4.0, 0.8, False),
        (4.0, 0.8, 4.0, 0.8, False),
        (None, None, 4.0, 0.8, False),
        (3.0, None, None, None, False),
    ],
)
def test_a_weak_network_is_a_warning(report, rmse, r2, baseline_rmse, baseline_r2, worse):
    report.found = ValidationSummary("On 9 pixels", rmse, r2, "a baseline", baseline_rmse, baseline_r2=baseline_r2)
    context = Context()
    text = report.warn_if_weak(context)
    assert (text is not None) == worse and context.warnings == ([text] if worse else [])
    if text:
        assert "METHOD best does not suit this raster: the result is worse than a baseline" in text


def test_a_smaller_r2_counts_if_time_was_short(report):
    report.found = ValidationSummary("On 9 pixels", 3.0, 0.7, "a baseline", 4.0, baseline_r2=0.8)
    report.job = replace(report.job, compute=Compute(time_budget=60))
    context = Context(time_budget=60)
    assert report.warn_if_weak(context) is None
    context.cut_short = True
    assert "TIME_BUDGET 60 s is too short" in report.warn_if_weak(context)


@pytest.mark.parametrize("cut_short", [True, False])
def test_the_time_budget_is_named_if_it_cut_the_network_short(report, cut_short):
    report.found = ValidationSummary("On 9 pixels", 7.0, 0.1, "a baseline", 4.0)
    report.job = replace(report.job, compute=Compute(time_budget=2.5))
    context = Context(time_budget=2.5)
    context.cut_short = cut_short
    text = report.warn_if_weak(context)
    assert ("TIME_BUDGET 2.5 s is too short for METHOD best" in text) == cut_short
    assert "held-out RMSE 7.000 instead of 4.000" in text


def test_an_earlier_warning_about_the_budget_belongs_to_the_metadata(report):
    context = Context()
    context.warn("TIME_BUDGET was used up.")
    assert report.warn_if_weak(context) == "TIME_BUDGET was used up."


def test_the_mean_r2_of_the_baseline():
    assert mean_baseline_r2([(1.0, 0.9, 2.0), (2.0, 0.6, 2.0), (1.0, float("nan"), 1.0)]) == pytest.approx(0.6)
    assert mean_baseline_r2([]) is None
