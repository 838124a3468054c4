"""The baseline: GDAL's Fill nodata."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps

from dip_core.imaging.observation import Observation
from dip_core.inpainting.gdal_baseline import fill_nodata


def test_observed_pixels_are_kept_and_filled_ones_are_in_their_range():
    values = ((landscape(2, 30, 40) - 125) / 40).astype(np.float32)
    gap = np.stack([slanted_gaps(30, 40), slanted_gaps(30, 40, shift=2)])
    outside = np.zeros(gap.shape, bool)
    outside[:, :, 35:] = True
    gap &= ~outside
    observed = ~gap & ~outside
    observation = Observation(np.where(observed, values, 0).astype(np.float32), observed, gap)
    filled = fill_nodata(observation)
    np.testing.assert_array_equal(filled[observed], values[observed])
    assert np.isfinite(filled).all() and (filled[outside] == 0).all()
    for band in range(2):
        known, target = values[band][observed[band]], filled[band][gap[band]]
        assert known.min() <= target.min() and target.max() <= known.max() and target.std() > 0.1


def test_a_column_between_two_others():
    """One missing column between 1 and 3: with equal distances to all neighbours it is 2 in the middle rows."""
    values = np.ones((1, 21, 3), np.float32)
    values[0, :, 2] = 3
    observed = np.ones(values.shape, bool)
    observed[0, :, 1] = False
    observation = Observation(np.where(observed, values, 0).astype(np.float32), observed, ~observed)
    assert fill_nodata(observation)[0, 10, 1] == pytest.approx(2.0, abs=1e-5)
