"""The parts that `make bench` runs."""

from __future__ import annotations

import sys

import pytest

from benchmarks import __main__ as bench
from benchmarks.papers import untrained


@pytest.mark.parametrize("name", ["inpaint", "denoise", "superresolve"])
def test_a_part_runs_rows_of_its_table_and_on_request_the_papers_network(name, tmp_path):
    words = bench.command(name, "cpu", True, tmp_path)
    assert words[0] == sys.executable and words[words.index("--out") + 1] == str(tmp_path)
    table = {"inpaint": untrained.INPAINT, "denoise": untrained.DENOISE, "superresolve": untrained.SUPERRESOLVE}[name]
    rows = words[words.index("--row") + 1 :]
    assert set(rows) <= set(table.order) and rows[-1] == "paper_2d"


def test_all_scenes_are_run(tmp_path):
    words = bench.command("scenes", "cpu", True, tmp_path)
    assert "benchmarks.gap_scenes" in words and "--row" not in words


def test_the_papers_networks_run_on_a_gpu_by_default(tmp_path):
    assert "paper_2d" not in bench.command("denoise", "cpu", False, tmp_path)
    assert "paper_2d" in bench.command("denoise", "cuda:0", False, tmp_path)
