"""Tables of rows: merged with earlier runs, stored after every point."""

from __future__ import annotations

import json

import pytest

from benchmarks.machine import Machine
from benchmarks.papers import tables
from benchmarks.papers.tables import Table


def make_row(name: str, psnr: float, **fields) -> dict:
    point = {"iteration": None, "loss": None, "seconds": 1.0, "images": {"": {"psnr": psnr}}}
    key = {"case": "case", "row": name, "schedule": None, "seed": None, "device": None}
    return {**key, "points": [point], "machine": "M; quiet machine; today", "foreign_load": 0.0, "threads": 1, **fields}


def test_a_row_replaces_only_the_row_with_its_key():
    rows = [make_row("a", 1.0), make_row("b", 2.0, device="cpu", seed=0)]
    merged = tables.merge(rows, make_row("b", 3.0, device="cpu", seed=0), ("b", "a"))
    assert [(row["row"], row["points"][0]["images"][""]["psnr"]) for row in merged] == [("b", 3.0), ("a", 1.0)]
    for key in ({"device": "cuda:0", "seed": 0}, {"device": "cpu", "seed": 1}, {"device": "cpu", "schedule": 5}):
        assert len(tables.merge(rows, make_row("b", 3.0, **key), ("a", "b"))) == 3


def test_rows_of_an_earlier_run_stay_in_the_table(tmp_path):
    table = Table("t", "Title", "Protocol.", ("psnr",), ("psnr",), ("a", "b"), {"": [("theirs", {"psnr": 37.54})]})
    table.save_row(tmp_path, make_row("b", 2.0))
    table.save_row(tmp_path, make_row("a", 1.0))
    page = (tmp_path / "t.md").read_text()
    assert page.index("| a |") < page.index("| b |") < page.index("| *theirs, as printed* | – | 37.54 |")
    assert "Protocol. Measured on M (today)." in page


def test_a_run_that_is_stopped_keeps_its_points(tmp_path):
    table = Table("t", "Title", "Protocol.", ("psnr",), ("psnr",), ("a",))

    def measure(add_point):
        for iteration in (1, 2):
            images = {"raw": {"psnr": 10.0 * iteration}}
            add_point({"iteration": iteration, "loss": 0.5, "seconds": 1.0, "images": images})
        raise KeyboardInterrupt

    key = {"case": "case", "row": "a", "schedule": 100, "seed": 0, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        tables.measure_row(table, tmp_path, key, Machine("cpu", 1), measure)
    (row,) = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [point["iteration"] for point in row["points"]] == [1, 2]
    assert "| 2 | 0.5 | 1 | 20.00 |" in (tmp_path / "t.md").read_text()
