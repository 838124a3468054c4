"""The hourglass network and the presets: the papers' networks have the papers' sizes and settings."""

from __future__ import annotations

import pytest
import torch

from dip_core.networks.hourglass import Architecture, Hourglass
from dip_core.presets import preset


def parameters(network) -> int:
    return sum(values.numel() for values in network.parameters())


@pytest.mark.parametrize(
    ("bands", "inputs", "architecture", "count"),
    [
        # The DHP paper's inpainting network as published, counted in the authors' code for Indian Pines (200 bands).
        (200, 200, Architecture(), 3_243_080),
        # Its denoising network for Washington DC Mall (191 bands): thin skips, bilinear, no 1 x 1 after upsampling.
        (191, 191, Architecture(skip=(4,) * 5, upsample="bilinear", pointwise_after_up=False), 2_342_047),
    ],
)
def test_parameter_counts_of_the_papers(bands, inputs, architecture, count):
    assert parameters(Hourglass(inputs, bands, architecture)) == count


def test_gap_paper_presets_are_its_appendix():
    """Appendix A.1 of the GAP paper, line by line."""
    for name in ("paper_composite", "paper_per_band"):
        chosen = preset("inpaint", name)
        network, schedule = chosen.architecture, chosen.schedule
        assert chosen.inputs == 4  # z in R^(4 x W x H), uniform in 0 to 1/10
        assert network.up == network.down == network.skip == (128, 128, 128, 128, 128)
        assert (network.kernel_up, network.kernel_down, network.kernel_skip) == (3, 3, 1)
        assert network.upsample == "nearest"
        assert schedule.perturbation == 1 / 10
        assert schedule.iterations == 1500
        assert schedule.learning_rate == 0.01
        # The paper stops after 1500 iterations and takes the last output, in full precision.
        assert schedule.average is None and schedule.patience is None and not schedule.reduced_precision
        assert chosen.scaling == "band" and network.sigmoid
        activations = [
            module for module in Hourglass(4, 4, network).modules() if isinstance(module, torch.nn.LeakyReLU)
        ]
        assert activations
    assert preset("inpaint", "paper_per_band").per_band and not preset("inpaint", "paper_composite").per_band


def test_the_lean_network_is_lean():
    chosen = preset("inpaint", "deep_prior")
    assert parameters(Hourglass(chosen.inputs, 6, chosen.architecture)) < parameters(Hourglass(4, 6, Architecture())) / 10


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (65, 97), (64, 127), (70, 100), (33, 47)])
def test_output_has_the_size_of_the_input(rows, columns, upsample):
    network = Hourglass(3, 2, Architecture((8,) * 5, (8,) * 5, (8,) * 5, upsample=upsample)).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, rows, columns)).shape == (1, 2, rows, columns)


def test_skips_may_be_left_out():
    network = Hourglass(3, 2, Architecture((8,) * 3, (8,) * 3, (0, 4, 0))).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 50, 41)).shape == (1, 2, 50, 41)


def test_sigmoid_bounds_the_image():
    noise = 100 * torch.randn(1, 3, 32, 32)
    free, bound = (
        Hourglass(3, 1, Architecture((8,) * 2, (8,) * 2, (8,) * 2, sigmoid=sigmoid)) for sigmoid in (False, True)
    )
    for network in (free, bound):
        torch.nn.init.constant_(network.head.weight, 3.0)
    assert free(noise).abs().max() > 1
    assert 0 <= bound(noise).min() and bound(noise).max() <= 1
