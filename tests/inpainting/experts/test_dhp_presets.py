"""The DHP paper's presets as gap experts: any size and number of bands, reproducible, observed pixels kept."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.imaging.observation import Observation
from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.registry import GAP_EXPERTS


@pytest.fixture
def striped():
    """17 x 23 pixels, 5 bands of different ranges, with dead columns in all bands and one more in a single band."""
    y, x = np.mgrid[:17, :23]
    values = np.stack([(band + 1) * np.sin(x / 6) + y / 10 for band in range(5)]).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[:, :, 7:10] = False
    observed[2, :, 15] = False
    return Observation(np.where(observed, values, np.float32(0)), observed, ~observed)


def fill(observation, name, **options):
    return GAP_EXPERTS[name].estimate(observation, ExpertContext(**options))


@pytest.mark.parametrize("name", ["paper_2d", "paper_3d"])
def test_presets_fill_stripes(striped, name):
    filled = fill(striped, name, seed=1, iterations=2)
    assert filled.shape == striped.shape and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[striped.observed], striped.values[striped.observed])
    assert filled[striped.target].any()
    assert fill(striped, name, seed=1, iterations=2).tobytes() == filled.tobytes()
    assert fill(striped, name, seed=2, iterations=2).tobytes() != filled.tobytes()


@pytest.mark.parametrize("name", ["paper_2d", "paper_3d"])
def test_the_network_input_can_be_a_mesh_grid(striped, name):
    filled = fill(striped, name, network_input="meshgrid", iterations=1)
    assert np.isfinite(filled).all()
    assert filled.tobytes() != fill(striped, name, iterations=1).tobytes()


def test_the_fill_stays_within_the_range_of_the_cube(striped):
    """paper_2d scales all bands together and ends with a sigmoid; the range of a single band can be exceeded."""
    filled = fill(striped, "paper_2d", iterations=1)[striped.target]
    observed = striped.values[striped.observed]
    assert observed.min() <= filled.min() and filled.max() <= observed.max()
    assert filled.max() > striped.values[0][striped.observed[0]].max()
