"""Presets: the papers' presets have the sizes and settings of the papers."""

from __future__ import annotations

import pytest
import torch

from dip_core.dip import build
from dip_core.dip.architecture import Architecture
from dip_core.dip.hourglass import Hourglass
from dip_core.dip.presets import Preset, preset


def parameters(network) -> int:
    return sum(values.numel() for values in network.parameters())


def test_gap_presets_match_the_appendix():
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


def test_our_network_is_much_smaller_than_the_papers():
    chosen = preset("inpaint", "deep_prior")
    lean, published = Hourglass(chosen.inputs, 6, chosen.architecture), Hourglass(4, 6, Architecture())
    assert parameters(lean) < parameters(published) / 10


@pytest.mark.parametrize(
    ("task", "method", "bands", "count"),
    [
        # Printed in the notebooks of the DHP paper's code.
        ("denoise", "paper_2d", 191, 2_342_047),
        ("inpaint", "paper_2d", 200, 3_243_080),
        ("inpaint", "paper_3d", 192, 4_270_833),
        ("denoise", "paper_3d", 64, 1_666_057),
    ],
)
def test_parameter_counts_of_the_dhp_presets(task, method, bands, count):
    chosen = preset(task, method)
    noise = build.draw_network_input(chosen, (bands, 2, 3), "noise", torch.Generator())
    assert parameters(build.build_network(chosen, bands, noise.shape[1])) == count


@pytest.mark.parametrize(
    ("task", "method", "iterations", "perturbation", "average", "scaling", "sigmoid", "upsample"),
    [
        ("denoise", "paper_2d", 1800, 0.03, 0.99, "band", False, "bilinear"),
        ("denoise", "paper_3d", 3000, 0.01, 0.99, "band", False, "trilinear"),
        ("inpaint", "paper_2d", 10001, 0.1, None, "global", True, "nearest"),
        ("inpaint", "paper_3d", 10001, 0.0, None, "global", False, "nearest"),
        ("superresolve", "paper_2d", 12001, 0.01, None, "global", False, "bilinear"),
        ("superresolve", "paper_3d", 10001, 0.05, None, "global", True, "trilinear"),
    ],
)
def test_dhp_presets_match_the_code(task, method, iterations, perturbation, average, scaling, sigmoid, upsample):
    chosen = preset(task, method)
    network, schedule = chosen.architecture, chosen.schedule
    assert (schedule.iterations, schedule.perturbation, schedule.average) == (iterations, perturbation, average)
    assert (schedule.learning_rate, schedule.optimiser, schedule.optimise_input) == (0.01, "adam", False)
    assert schedule.patience is None and not schedule.reduced_precision and not chosen.add_residual
    assert (chosen.scaling, network.sigmoid, network.upsample, network.downsample) == (
        scaling,
        sigmoid,
        upsample,
        "stride",
    )
    assert {*network.kernels_down, *network.kernels_up} == {3} and network.kernel_skip == 1
    assert chosen.inputs is None  # the image's own shape
    assert network.padding == {2: "reflection", 3: "replication"}[chosen.dimensions]


def test_invalid_presets_are_rejected():
    with pytest.raises(ValueError, match="one volume"):
        Preset(Architecture(), preset("denoise", "paper_3d").schedule, network="hourglass3d", per_band=True)
    with pytest.raises(ValueError, match="scaling 'bands'"):
        Preset(Architecture(), preset("denoise", "paper_2d").schedule, scaling="bands")
