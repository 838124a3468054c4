"""The benchmark of the GAP paper's table: runs in parts, and iterations of networks."""

from __future__ import annotations

import json

import pytest
from core_scenes import data

from benchmarks import gap_paper


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the benchmark on a small crop; returns its rows by method."""
    data(gap_paper.SCENE)

    def run_methods(*methods, crop=32):
        options = ["--percent", "15", "--full", "--iterations", "2", "--crop", str(crop), "--out", str(tmp_path)]
        monkeypatch.setattr("sys.argv", ["gap_paper", *options, "--method", *methods])
        gap_paper.main()
        record = json.loads((tmp_path / "gap_paper.json").read_text())
        return {row["method"]: row for row in record["rows"]}

    return run_methods


def test_rows_of_an_earlier_run_with_the_same_settings_stay(run, tmp_path):
    assert set(run("fill-nodata")) == {"fill-nodata"}
    rows = run("linear")
    assert list(rows) == ["fill-nodata", "linear"]
    assert all(0 < row["rmse"] < 1 and row["iterations"] is None for row in rows.values())
    assert "| Linear | – |" in (tmp_path / "gap_paper.md").read_text()
    assert set(run("linear", crop=36)) == {"linear"}


@pytest.mark.parametrize("name", gap_paper.PAPER)
def test_iterations_are_counted_per_network(run, name):
    row = run(name)[name]
    assert row["iterations"] == row["schedule"] == 2
