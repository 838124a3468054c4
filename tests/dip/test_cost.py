"""The estimated cost of a fit, compared with the counted multiply-adds of its convolutions, and its memory."""

from __future__ import annotations

import pytest
import torch

from dip_core.dip import build, cost
from dip_core.dip.cost import MAX_FIT_BYTES, MIN_NETWORK_TILE, fit_cost, fit_memory, largest_network_tile
from dip_core.dip.presets import PRESETS, preset
from dip_core.errors import OutOfMemory
from dip_core.runtime.memory import format_bytes


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


def test_the_smallest_tile_may_exceed_the_limit_if_it_fits_into_memory(monkeypatch):
    bands = 2000
    needed = fit_memory("paper_3d", MIN_NETWORK_TILE**2, bands)
    assert needed > MAX_FIT_BYTES
    monkeypatch.setattr(cost, "available_memory", lambda: 2 * needed)
    assert largest_network_tile(["paper_3d"], bands, "inpaint") == MIN_NETWORK_TILE
    monkeypatch.setattr(cost, "available_memory", lambda: needed)
    with pytest.raises(OutOfMemory, match=f"2000 bands, and {format_bytes(needed)} are available.*METHOD fast"):
        largest_network_tile(["paper_3d"], bands, "inpaint")
