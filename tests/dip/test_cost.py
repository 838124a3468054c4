"""The estimated cost of a fit, compared with the counted multiply-adds of its convolutions."""

from __future__ import annotations

import pytest
import torch

from dip_core.dip import build
from dip_core.dip.cost import fit_cost
from dip_core.dip.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS["inpaint"])
def test_the_cost_is_correct_within_a_factor_of_two(name):
    """A backward pass costs two forward passes."""
    chosen = preset("inpaint", name)
    bands, rows, columns = 4, 128, 128
    fitted_bands = 1 if chosen.per_band else bands
    network_input = build.draw_network_input(chosen, (fitted_bands, rows, columns), "noise", torch.Generator())
    network = build.build_network(chosen, fitted_bands, network_input.shape[1]).to("meta")
    operations = 0

    def count(module, inputs, output):
        nonlocal operations
        operations += output.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d)):
            module.register_forward_hook(count)
    network(network_input.to("meta"))
    fits = bands if chosen.per_band else 1
    expected = 3 * operations * chosen.schedule.iterations * fits
    assert 0.5 < fit_cost(name, rows * columns, bands) / expected < 2
