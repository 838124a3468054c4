"""Values as text for people and as plain data for programs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dip_core.reporting.formatting import format_cell, format_count, format_number, format_percent, plain


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.1235"),
        (12.3456, "12.35"),
        (1234567, "1\u2009234\u2009567"),
        (-0.5, "\u22120.5000"),
        (0.0, "0"),
        (7, "7"),
        (1e-7, "1.000e\u221207"),
        (math.nan, "\u2013"),
        (math.inf, "\u221e"),
        (123456.7, "123\u2009457"),
    ],
)
def test_numbers_have_four_significant_digits(value, shown):
    assert format_number(value) == shown


def test_counts_agree_with_their_noun():
    assert [format_count(number, "band") for number in (0, 1, 2, 2688)] == [
        "0 bands",
        "1 band",
        "2 bands",
        "2,688 bands",
    ]


def test_undefined_percentages_are_empty():
    assert format_percent(0.6834) == "68.3 %" and format_percent(math.nan) == ""


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (None, ["\u2013"]),
        ("", ["\u2013"]),
        ((), ["\u2013"]),
        (True, ["yes"]),
        (np.float32(0.5), ["0.5000"]),
        (["a.tif", "b.tif"], ["a.tif", "b.tif"]),
        ("best", ["best"]),
    ],
)
def test_cells(value, lines):
    assert format_cell(value) == lines


def test_plain_data_can_be_written_as_json():
    value = {"array": np.array([1.0, np.nan]), 3: np.int64(4), "inf": math.inf, "pair": (True, "text"), "none": None}
    assert plain(value) == {"array": [1.0, None], "3": 4, "inf": None, "pair": [True, "text"], "none": None}
