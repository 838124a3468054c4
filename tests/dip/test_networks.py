"""The networks and the presets: the papers' networks have the papers' sizes and settings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dip_core.dip import build
from dip_core.dip.architecture import Architecture
from dip_core.dip.hourglass import Hourglass, Hourglass3d
from dip_core.dip.presets import PRESETS, Preset, preset
from dip_core.superresolution.cascade import Cascade


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
    lean, published = Hourglass(chosen.inputs, 6, chosen.architecture), Hourglass(4, 6, Architecture())
    assert parameters(lean) < parameters(published) / 10


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


@pytest.mark.parametrize(
    ("task", "method", "bands", "count"),
    [
        # What the notebooks of the DHP paper's code print for their networks.
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
def test_dhp_presets_are_its_code(task, method, iterations, perturbation, average, scaling, sigmoid, upsample):
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


def test_every_preset_makes_a_network_that_gives_the_image():
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


def test_network_input_is_the_papers():
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


def test_scaling_brings_observed_values_to_0_1():
    values = np.array([[[1.0, 3.0, 99.0]], [[5.0, 7.0, -99.0]], [[4.0, 4.0, 4.0]]], np.float32)
    observed = np.broadcast_to([True, True, False], values.shape)
    low, span = build.scaling_of(values, observed, "band")
    assert low.ravel().tolist() == [1, 5, 4] and span.ravel().tolist() == [2, 2, 1]  # a flat band is only shifted
    low, span = build.scaling_of(values, observed, "global")
    assert low.ravel().tolist() == [1, 1, 1] and span.ravel().tolist() == [6, 6, 6]
    low, span = build.scaling_of(values, observed, "none")
    assert not low.any() and (span == 1).all()


def test_impossible_presets_are_refused():
    with pytest.raises(ValueError, match="one volume"):
        Preset(Architecture(), preset("denoise", "paper_3d").schedule, network="hourglass3d", per_band=True)
    with pytest.raises(ValueError, match="scaling 'bands'"):
        Preset(Architecture(), preset("denoise", "paper_2d").schedule, scaling="bands")


@pytest.mark.parametrize("downsample", ["stride", "average"])
@pytest.mark.parametrize("padding", ["reflection", "replication", "zero"])
@pytest.mark.parametrize("skip", [0, 2])
def test_any_size_is_trained_and_comes_back(downsample, padding, skip):
    """17 x 23 pixels and odd numbers of bands, at depths that leave a single pixel, in both networks."""
    flat = Architecture((4,) * 5, (4,) * 5, (skip,) * 5, downsample=downsample, padding=padding)
    deep = Architecture((3,) * 6, (3,) * 6, (skip,) * 6, downsample=downsample, padding=padding)
    for network, shape in (
        (Hourglass(3, 2, flat), (1, 3, 17, 23)),
        (Hourglass(3, 2, flat), (1, 3, 64, 1)),
        (Hourglass3d(1, 1, deep), (1, 1, 11, 17, 23)),
        (Hourglass3d(1, 1, flat), (1, 1, 33, 40, 35)),
        (Hourglass3d(1, 1, flat), (1, 1, 1, 9, 9)),
    ):
        image = network(torch.rand(shape))
        assert image.shape == (1, 2 if shape[1] == 3 else 1, *shape[2:])
        image.sum().backward()
        assert all(torch.isfinite(values.grad).all() for values in network.parameters())


def test_the_3d_network_halves_the_bands_too():
    network = Hourglass3d(1, 1, Architecture((2,) * 3, (2,) * 3, (0,) * 3, upsample="trilinear"))
    seen = []
    network.body.below.below.down.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    network(torch.rand(1, 1, 32, 16, 24))
    assert seen == [(1, 2, 4, 2, 3)]  # every axis divided by 2 ** 3


def test_padding_beyond_the_rim():
    """A constant input stays constant where the rim is reflected or repeated, and does not where zeros stand."""
    for padding, constant in (("reflection", True), ("replication", True), ("zero", False)):
        torch.manual_seed(0)
        network = Hourglass(1, 1, Architecture((4,) * 2, (4,) * 2, (4,) * 2, padding=padding)).eval()
        with torch.no_grad():
            image = network(torch.full((1, 1, 32, 32), 0.7))
        assert (float(image.std()) < 1e-6) is constant


def test_average_downsampling_is_a_mean_of_four():
    network = Hourglass(1, 1, Architecture((3,), (3,), (0,), downsample="average"))
    convolution, pool = network.body.down[1], network.body.down[2]
    assert convolution.stride == (1, 1)
    before = torch.rand(1, 3, 5, 6)
    after = pool(before)
    assert after.shape == (1, 3, 3, 3)  # the odd row is kept
    torch.testing.assert_close(after[..., 0, 0], before[..., :2, :2].mean(dim=(-2, -1)))
    torch.testing.assert_close(after[..., 2, 0], before[..., 4, :2].mean(dim=-1))


def test_kernels_by_level():
    one = Architecture((4, 4), (4, 4), (0, 0), kernel_down=5, kernel_up=(3, 1))
    kernels = [
        module.kernel_size[0] for module in Hourglass(2, 1, one).modules() if isinstance(module, torch.nn.Conv2d)
    ]
    # Down and down again, the level below (down, down, up 1, pointwise), up 3 and pointwise, the head.
    assert kernels == [5, 5, 5, 5, 1, 1, 3, 1, 1]


def test_branches_are_added():
    """A convolution behind the join sees the skip branch and the enlarged one in the same channels."""
    network = Hourglass(2, 1, Architecture((4, 5), (5, 6), (6, 5), join="add", upsample="bilinear")).eval()
    seen = []
    network.body.skip.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network.body.below.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network.body.join.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(torch.rand(1, 2, 21, 26))
    low, side, joined = seen
    high = torch.nn.functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(joined, side + high[:, :, :21])  # 22 rows, of which the last is cropped


@pytest.mark.parametrize(
    "choice",
    [
        {"up": (128,) * 4},
        {"kernel_up": (3, 3)},
        {"kernel_down": 4},
        {"upsample": "cubic"},
        {"downsample": "max"},
        {"padding": "circular"},
        {"join": "multiply"},
        {"join": "add", "skip": (4,) * 5},  # of 128 channels
        {"down": (), "up": (), "skip": ()},
    ],
)
def test_impossible_architectures_are_refused(choice):
    with pytest.raises(ValueError):
        Architecture(**choice)


def test_upsampling_belongs_to_its_dimensions():
    with pytest.raises(ValueError, match="2-D network has no trilinear"):
        Hourglass(1, 1, Architecture(upsample="trilinear"))
    with pytest.raises(ValueError, match="3-D network has no bilinear"):
        Hourglass3d(1, 1, Architecture(upsample="bilinear"))


def test_cascade_has_the_papers_layers():
    network = Cascade(31)
    layers = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert [(layer.kernel_size[0], layer.out_channels) for layer in layers] == [(9, 96), (3, 64), (5, 31)] * 6
    # Weights and biases of a stage by hand: 31*96*81 + 96, 96*64*9 + 64, 64*31*25 + 31.
    assert parameters(network) == 6 * (241_056 + 96 + 55_296 + 64 + 49_600 + 31)
    assert sum(isinstance(module, torch.nn.ReLU) for module in network.modules()) == 12


def stirred(network):
    """The network with weights in the layers that start at 0 as well."""
    torch.manual_seed(0)
    with torch.no_grad():
        for stage in network.stages:
            stage[4].weight.normal_(std=0.01)
    return network


def test_cascade_starts_from_the_enlarged_image():
    image = torch.rand(2, 3, 17, 23)
    network = Cascade(3)
    network.adapt(image)
    for output in network(image):
        torch.testing.assert_close(output, image)


def test_first_weights_of_the_cascade_see_fine_detail_as_well():
    """Images with a hundred times less detail than shape: drawn filters answer to it far more than plain ones."""
    torch.manual_seed(0)
    shape = torch.nn.functional.interpolate(torch.randn(32, 2, 6, 6), size=(32, 32), mode="bicubic")
    images = shape + 0.01 * torch.randn(32, 2, 32, 32)
    network = Cascade(2)

    def answer(pieces):
        first = network.stages[0][0]
        return torch.nn.functional.conv2d(pieces, first.weight.detach(), padding=4).std().item()

    detail = images - shape
    plain = answer(detail) / answer(shape)
    network.adapt(images)
    assert answer(detail) / answer(shape) > 4 * plain
    scaled = (images - network.mean) / network.deviation
    assert answer(scaled) == pytest.approx(2**0.5, rel=0.1)  # as He's have on input of variance 1
    torch.testing.assert_close(network(images)[1], images)


def test_cascade_standardises_what_it_sees():
    """Units do not matter: values of any scale and offset give an image of the same scale and offset."""
    image = torch.rand(1, 2, 17, 23)
    own, other = stirred(Cascade(2)), stirred(Cascade(2))
    for network, images in ((own, image), (other, 300 * image + 70)):
        torch.manual_seed(1)
        network.adapt(images)
        for mine, first in zip(network.stages, own.stages):
            mine[2].load_state_dict(first[2].state_dict())
    torch.testing.assert_close(other(300 * image + 70)[1], 300 * own(image)[1] + 70, rtol=1e-4, atol=1e-2)
    flat = Cascade(1)
    flat.adapt(torch.full((1, 1, 12, 12), 3.0))
    assert flat.deviation.item() == 1.0


def test_cascade_adds_residuals_and_supervises_the_third_stage():
    network = stirred(Cascade(2))
    image = torch.rand(1, 2, 17, 23)
    third, final = network(image)
    assert third.shape == final.shape == image.shape
    expected = image
    for number, stage in enumerate(network.stages, 1):
        expected = expected + stage(expected)
        if number == 3:
            torch.testing.assert_close(third, expected)
    torch.testing.assert_close(final, expected)
    third.sum().backward()
    learns = [stage[0].weight.grad is not None for stage in network.stages]
    assert learns == [True, True, True, False, False, False]


def test_cascade_pads_with_zeros():
    """A stage's residual of a constant image is constant inside, and differs within its reach of the rim."""
    torch.manual_seed(0)
    with torch.no_grad():
        residual = stirred(Cascade(1)).stages[0](torch.ones(1, 1, 30, 30))[0, 0]
    inside = residual[7:-7, 7:-7]
    assert inside.std() < 1e-6 < (residual[0] - inside[0, 0]).abs().min()


def test_cascade_sees_as_far_as_it_says():
    torch.manual_seed(0)
    network = stirred(Cascade(1)).double()
    image = torch.rand(1, 1, 1, 2 * network.radius + 3, dtype=torch.float64)
    middle = network.radius + 1
    image.requires_grad_()
    network(image)[1][0, 0, 0, middle].backward()
    seen = torch.nonzero(image.grad[0, 0, 0]).ravel()
    assert (seen.min(), seen.max()) == (middle - network.radius, middle + network.radius)


def test_cascade_to_the_letter_only_brightens():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        letter, usual = Cascade(3, rectify_residual=True)(image)[1], stirred(Cascade(3))(image)[1]
    assert (letter >= image).all() and not (usual >= image).all()
