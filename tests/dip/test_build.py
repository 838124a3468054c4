"""Networks built from presets, their input, and the scaling of the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dip_core.dip import build
from dip_core.dip.presets import PRESETS, preset


def test_every_preset_builds_a_network_with_the_size_of_the_image():
    for task, methods in PRESETS.items():
        for method in methods:
            chosen = preset(task, method)
            bands = 1 if chosen.per_band else 5
            for kind in ("noise", "meshgrid"):
                noise = build.draw_network_input(chosen, (bands, 17, 23), kind, torch.Generator().manual_seed(0))
                image = build.to_network_layout(chosen, torch.zeros(bands, 17, 23))
                network = build.build_network(chosen, bands, noise.shape[1]).eval()
                with torch.no_grad():
                    assert network(noise).shape == image.shape, (task, method, kind)


def test_network_input_matches_the_papers():
    chosen = preset("denoise", "paper_2d")
    noise = build.draw_network_input(chosen, (7, 40, 50), "noise", torch.Generator().manual_seed(1))
    assert noise.shape == (1, 7, 40, 50)  # the shape of the image
    assert 0 <= noise.min() < 0.001 and 0.099 < noise.max() <= 0.1  # uniform in 0..0.1
    assert noise.mean() == pytest.approx(0.05, abs=0.001)  # 14,000 draws with a deviation of 0.029
    volume = build.draw_network_input(preset("denoise", "paper_3d"), (7, 40, 50), "noise", torch.Generator())
    assert volume.shape == (1, 1, 7, 40, 50)
    grid = build.draw_network_input(chosen, (7, 3, 5), "meshgrid", torch.Generator())
    assert grid.shape == (1, 2, 3, 5)
    assert grid[0, 0, :, 0].tolist() == [0, 0.5, 1] and grid[0, 1, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_scaling_maps_observed_values_to_0_1():
    values = np.array([[[1.0, 3.0, 99.0]], [[5.0, 7.0, -99.0]], [[4.0, 4.0, 4.0]]], np.float32)
    observed = np.broadcast_to([True, True, False], values.shape)
    low, span = build.scaling_of(values, observed, "band")
    assert low.ravel().tolist() == [1, 5, 4] and span.ravel().tolist() == [2, 2, 1]  # a flat band is only shifted
    low, span = build.scaling_of(values, observed, "global")
    assert low.ravel().tolist() == [1, 1, 1] and span.ravel().tolist() == [6, 6, 6]
    low, span = build.scaling_of(values, observed, "none")
    assert not low.any() and (span == 1).all()
