"""The papers' presets as experts that fill: any size and number of bands, observed pixels kept, costs foreseen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dip_core.dip import build
from dip_core.dip.cost import fit_cost
from dip_core.dip.presets import PRESETS, preset
from dip_core.imaging.observation import Observation
from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.registry import GAP_EXPERTS


@pytest.fixture
def striped():
    """17 x 23 pixels, 5 bands of unlike ranges, with dead columns through all bands and more in one."""
    y, x = np.mgrid[:17, :23]
    values = np.stack([(band + 1) * np.sin(x / 6) + y / 10 for band in range(5)]).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[:, :, 7:10] = False
    observed[2, :, 15] = False
    return Observation(np.where(observed, values, np.float32(0)), observed, ~observed)


def run(observation, name, **options):
    return GAP_EXPERTS[name].estimate(observation, ExpertContext(**options))


@pytest.mark.parametrize("name", ["paper_2d", "paper_3d"])
def test_dhp_presets_fill_stripes(striped, name):
    filled = run(striped, name, seed=1, iterations=2)
    assert filled.shape == striped.shape and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[striped.observed], striped.values[striped.observed])
    assert filled[striped.target].any()
    assert run(striped, name, seed=1, iterations=2).tobytes() == filled.tobytes()
    assert run(striped, name, seed=2, iterations=2).tobytes() != filled.tobytes()


@pytest.mark.parametrize("name", ["paper_2d", "paper_3d"])
def test_dhp_presets_start_from_a_mesh_grid_too(striped, name):
    filled = run(striped, name, network_input="meshgrid", iterations=1)
    assert np.isfinite(filled).all()
    assert filled.tobytes() != run(striped, name, iterations=1).tobytes()


def test_a_sigmoid_fill_stays_within_the_scaled_range(striped):
    """paper_2d scales all bands together and ends in a sigmoid: no fill leaves the range of the whole cube."""
    filled = run(striped, "paper_2d", iterations=1)[striped.target]
    seen = striped.values[striped.observed]
    assert seen.min() <= filled.min() and filled.max() <= seen.max()
    assert filled.max() > striped.values[0][striped.observed[0]].max()  # but that of single bands


@pytest.mark.parametrize("name", PRESETS["inpaint"])
def test_cost_is_within_a_factor_of_two(name):
    """Against the multiply-adds of the convolutions, counted; a step is a forward and twice that backward."""
    chosen = preset("inpaint", name)
    bands, rows, columns = 4, 128, 128
    seen = 1 if chosen.per_band else bands
    noise = build.draw_network_input(chosen, (seen, rows, columns), "noise", torch.Generator()).to("meta")
    network = build.build_network(chosen, seen, noise.shape[1]).to("meta")
    counted = 0

    def count(module, inputs, output):
        nonlocal counted
        counted += output.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d)):
            module.register_forward_hook(count)
    network(noise)
    expected = 3 * counted * chosen.schedule.iterations * (bands if chosen.per_band else 1)
    assert 0.5 < fit_cost(name, rows * columns, bands) / expected < 2
