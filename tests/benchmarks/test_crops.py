"""The summary of `crops`."""

from __future__ import annotations

from benchmarks import crops


def test_crops_are_counted_by_the_ratio_to_the_best_expert():
    """One is better, one equal, one worse by less than 1 %, one by more."""
    rows = [
        {"crop": name, "rmse": {"best": best, "kriging": 1.0, "linear": 2.0}}
        for name, best in (("A", 0.9), ("B", 1.005), ("C", 1.1), ("D", 1.0))
    ]
    text = crops.page({"rows": rows, "machine": "M, 2 cores; quiet machine; today", "foreign_load": 0.0})
    assert "better on 1 of 4 crops, equal on 1, and more than 1 % worse on 1; the highest ratio is 1.100" in text
    assert "| A | kriging | 1.0000 | 0.9000 | 0.900 |" in text
