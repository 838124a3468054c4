"""METRICS and REPORT of gap filling."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import fill, landscape, table
from gap_jobs import SHAPE, report_record, scene_with_gaps


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The input, the result and the output paths of one job."""
    folder = tmp_path_factory.mktemp("report")
    path = scene_with_gaps(folder / "in.tif", landscape(3, *SHAPE))
    result, paths, _ = fill(folder / "r", path)
    return path, result, paths


def test_the_table_has_one_row_per_band(job):
    _, result, paths = job
    rows = table(paths["metrics"])
    assert [row["band"] for row in rows] == ["1", "2", "3"]
    mean = np.sqrt(np.mean([float(row["rmse"]) ** 2 for row in rows]))
    assert mean == pytest.approx(result.numbers["HELDOUT_RMSE"], rel=0.1)
    assert result.numbers["HELDOUT_R2"] == pytest.approx(np.mean([float(row["r2"]) for row in rows]), abs=1e-6)
    for row in rows:
        assert float(row["rmse"]) < float(row["baseline_rmse"]) and abs(float(row["bias"])) < float(row["rmse"])
        assert 0.5 < float(row["within_1sd"]) < 0.85 and float(row["within_2sd"]) > 0.88


def test_the_report_describes_the_job(job):
    path, result, paths = job
    with open(paths["report"], encoding="utf-8") as file:
        page = file.read()
    record = report_record(paths["report"])
    assert "GDAL" in record["summary"] and record["data"]["numbers"] == pytest.approx(result.numbers)
    for text in ("How good is the fill?", "Can the uncertainty be trusted?", "Before and after", path):
        assert text in page
    assert page.count("data:image/png;base64,") >= 7  # bars, distance, calibration, and two pairs of pictures


def test_the_report_needs_no_other_files(job):
    with open(job[2]["report"], encoding="utf-8") as file:
        page = file.read()
    assert "http://" not in page and "https://" not in page
