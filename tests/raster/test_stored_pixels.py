"""Rounding of estimates to the type of the file, within the observed range and never to nodata."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.raster.writer import to_stored_pixels

LOW, HIGH = np.array([10.0]), np.array([200.0])


def stored(values, dtype, *missing, low=LOW, high=HIGH):
    return to_stored_pixels(np.array(values, float).reshape(1, 1, -1), np.dtype(dtype), low, high, missing)[0, 0]


def test_estimates_are_rounded_and_stay_within_the_observed_range():
    assert stored([9.4, 10.4, 10.6, 1e9, -1e9], "uint8").tolist() == [10, 10, 11, 200, 10]
    assert stored([9.4, 10.4, 250.0], "float32").tolist() == pytest.approx([10, 10.4, 200])
    for dtype in ("uint8", "int8", "int16", "uint32", "float64"):
        assert stored([50.2], dtype).dtype == dtype


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "float32", "float64"])
@pytest.mark.parametrize("nodata", [11, 50, 105, 199])
def test_no_filled_pixel_is_nodata(dtype, nodata):
    """A value equal to nodata moves by the smallest step, towards the middle of the range."""
    found = stored([nodata], dtype, nodata)
    assert found[0] != nodata
    assert abs(float(found[0]) - nodata) <= (1 if np.dtype(dtype).kind != "f" else 1e-4)
    assert LOW[0] <= found[0] <= HIGH[0]
    assert stored([nodata - 1], dtype, nodata)[0] == nodata - 1


def test_the_fill_value_0_is_avoided_at_the_end_of_the_range():
    """Dark pixels of 0 may be observed where 0 also marks gaps."""
    zero = np.array([0.0])
    assert stored([0.0, -3.0], "uint8", 0.0, low=zero, high=HIGH).tolist() == [1, 1]
    assert stored([0.0], "float32", 0.0, low=zero, high=HIGH)[0] > 0


def test_nodata_nan_changes_nothing():
    assert stored([50.0], "float32", np.nan)[0] == 50


def test_a_constant_band_stays_constant():
    seven = np.array([7.0])
    assert stored([7.0, 6.0, 8.0], "uint8", 0, low=seven, high=seven).tolist() == [7, 7, 7]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_several_values_are_avoided(dtype):
    found = stored([50.0, 51.0, 52.0, 150.0], dtype, -9999, 51, 50, 52, np.nan, 150)
    assert not np.isin(found, [50, 51, 52, 150]).any()
    assert np.abs(found - np.array([50, 51, 52, 150])).max() <= 3
    assert stored([241.0], dtype, -9999, high=np.array([255.0]))[0] == 241  # -9999 in bytes would be 241
