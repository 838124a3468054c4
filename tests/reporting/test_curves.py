"""The curves of a validation section: error by distance from the gap edge, and coverage of the uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dip_core.reporting.curves import coverage, rmse_by_distance


def test_error_by_distance_from_the_gap_edge():
    """30 pixels at 1, 20 at 2 and 19 at 3; the error is the distance, with either sign."""
    distances = np.repeat([1.0, 2.2, 3.0], [30, 20, 20])
    errors = np.rint(distances) * np.tile([1.0, -1.0], 35)
    errors[-1] = np.nan
    found, rmse = rmse_by_distance(errors, distances)
    assert found == [1, 2]
    assert rmse == pytest.approx([1, 2])
    assert rmse_by_distance(errors, distances, min_pixels=5)[0] == [1, 2, 3]
    assert rmse_by_distance(np.zeros(0), np.zeros(0)) == ([], [])


def test_coverage_of_normal_errors_is_nominal():
    """20000 normal errors with different deviations: the share inside has a standard error of 0.35 points."""
    generator = np.random.default_rng(0)
    deviation = generator.uniform(0.5, 2.0, 20_000)
    errors = generator.normal(0, deviation)
    assert coverage(errors, deviation, [0.5, 0.68, 0.95]) == pytest.approx([0.5, 0.68, 0.95], abs=0.012)
    assert coverage(errors, deviation / 2, [0.68])[0] < 0.45
    assert math.isnan(coverage(np.zeros(0), np.zeros(0), [0.5])[0])
