"""The discrete Radon transform and the search for the slope of stripes."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.stripes.slope_search import SlopeSearch, discrete_radon


def test_radon_transform_sums_along_lines():
    image = np.random.default_rng(0).normal(size=(16, 9)).astype(np.float32)
    sums = discrete_radon(image)
    np.testing.assert_allclose(sums[0, 15:24], image.sum(axis=0), rtol=1e-5, atol=1e-5)
    # Slope number 15 moves one column per row.
    expected = [sum(image[row, start + row] for row in range(16) if 0 <= start + row < 9) for start in range(-15, 9)]
    np.testing.assert_allclose(sums[15], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("orientation, slope", [("columns", 0.25), ("columns", -0.4), ("rows", 0.6), ("rows", -0.1)])
def test_slope_of_a_stripe_is_found(orientation, slope):
    rows, columns = np.mgrid[:100, :120]
    across = columns - 40 - slope * rows if orientation == "columns" else rows - 50 - slope * columns
    image = np.random.default_rng(1).normal(size=(100, 120)) + 3.0 * (np.abs(across) < 1)
    search = SlopeSearch(np.ones(image.shape, bool))
    found = search.search(image, 1.0)
    assert found.orientation == orientation and found.evidence > 2 * found.untilted_evidence
    assert found.slope == pytest.approx(slope, abs=0.02)
    assert search.refine(image, 1.0, found) == pytest.approx(slope, abs=0.01)
