"""The skeleton of the restorers' reports: what a restorer supplies ends up in numbers, METRICS and REPORT."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from core_scenes import write

from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.raster.scene import Scene
from dip_core.reporting.html import to_json
from dip_core.reporting.page import KeyNumber, Section
from dip_core.reporting.restoration import (
    RestorationReport,
    ValidationSummary,
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
