"""The rows of the papers' tables."""

from __future__ import annotations

import json

import numpy as np
from paper_problems import small_preset, striped_problem

from benchmarks.papers import methods
from benchmarks.papers.protocols import Problem
from benchmarks.papers.tables import Table
from dip_core.dip.presets import PRESETS

TABLE = Table("t", "T", "Protocol.", ("psnr",), ("psnr",), ("linear", "paper_2d"))


def stored_rows(folder):
    return json.loads((folder / "t.json").read_text())["rows"]


def test_the_row_of_a_network_is_a_trace_of_its_preset(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS["inpaint"], "paper_2d", small_preset(4))
    options = methods.RunOptions(iterations=4, out=tmp_path, at=(2,))
    methods.run_method(TABLE, "case", "paper_2d", striped_problem(), options)
    (first,) = stored_rows(tmp_path)
    assert [point["iteration"] for point in first["points"]] == [2, 4]
    assert first["schedule"] == 4 and first["parameters"] > 0
    assert set(first["points"][1]["images"]) == {"raw output", "observed put back", "averaged, observed put back"}
    methods.run_method(TABLE, "case", "paper_2d+unperturbed", striped_problem(), options)
    both = stored_rows(tmp_path)
    assert [row["row"] for row in both] == ["paper_2d", "paper_2d+unperturbed"]
    assert both[0]["points"][1]["loss"] != both[1]["points"][1]["loss"]


def test_the_row_of_a_simple_method_has_one_point(tmp_path):
    methods.run_method(TABLE, "case", "linear", striped_problem(), methods.RunOptions(out=tmp_path))
    (row,) = stored_rows(tmp_path)
    assert row["row"] == "linear" and row["seed"] is None and row["threads"] == 1
    assert [point["iteration"] for point in row["points"]] == [None]
    assert row["points"][0]["images"][""]["psnr"] > 10


def test_interpolation_enlarges_by_the_factor():
    coarse = np.random.default_rng(0).random((2, 5, 6)).astype(np.float32)
    problem = Problem("superresolve", np.zeros((2, 10, 12), np.float32), coarse, np.ones(coarse.shape, bool), factor=2)
    nearest = methods.run_simple_method("nearest", problem)
    np.testing.assert_array_equal(nearest[:, ::2, 1::2], coarse)
    assert methods.run_simple_method("bicubic", problem).shape == (2, 10, 12)
