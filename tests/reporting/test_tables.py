"""Tables: stable names and exact values for programs, labels and percentages for people."""

from __future__ import annotations

import csv
import io
import math

import numpy as np

from dip_core.reporting.page import Table
from dip_core.reporting.tables import Column, DataTable, to_csv

TABLE = DataTable(
    (Column("name", "Name"), Column("rmse", "RMSE"), Column("within_1sd", "\u2264 1 sd", percent=True)),
    [("red", 0.125, 0.6834), ("green", math.nan, math.nan)],
)


def test_csv_has_names_and_exact_values():
    assert to_csv(TABLE.for_csv()) == "name,rmse,within_1sd\nred,0.125,0.6834\ngreen,,\n"


def test_csv_quotes_text_and_leaves_undefined_numbers_empty():
    table = Table(("name", "rmse", "pixels"), [("a, b", np.float64(0.1), 7), ("\u00fc", math.nan, None)])
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert rows == [["name", "rmse", "pixels"], ["a, b", "0.1", "7"], ["\u00fc", "", ""]]


def test_page_has_labels_and_percentages():
    table = TABLE.for_page("Errors.")
    assert list(table.columns) == ["Name", "RMSE", "\u2264 1 sd"] and table.caption == "Errors."
    assert table.rows[0] == ["red", 0.125, "68.3 %"] and table.rows[1][2] == ""


def test_page_can_show_fewer_rows_and_columns():
    table = TABLE.for_page(rows=TABLE.rows[:1], without=["rmse"])
    assert list(table.columns) == ["Name", "\u2264 1 sd"] and table.rows == [["red", "68.3 %"]]


def test_records_are_rows_by_name():
    assert TABLE.records()[0] == {"name": "red", "rmse": 0.125, "within_1sd": 0.6834}


def test_columns_of_numbers_are_recognised():
    table = Table(("text", "number", "mixed", "flag"), [("a", 1, 1, True), ("b", None, "-", False)])
    assert table.numeric == [False, True, False, False]
