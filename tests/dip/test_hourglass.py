"""Hourglass networks in 2-D and 3-D: sizes, options and parameter counts."""

from __future__ import annotations

import pytest
import torch

from dip_core.dip.architecture import Architecture
from dip_core.dip.hourglass import Hourglass, Hourglass3d


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


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (65, 97), (64, 127), (70, 100), (33, 47)])
def test_output_has_the_size_of_the_input(rows, columns, upsample):
    network = Hourglass(3, 2, Architecture((8,) * 5, (8,) * 5, (8,) * 5, upsample=upsample)).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, rows, columns)).shape == (1, 2, rows, columns)


def test_skips_are_optional():
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


@pytest.mark.parametrize("downsample", ["stride", "average"])
@pytest.mark.parametrize("padding", ["reflection", "replication", "zero"])
@pytest.mark.parametrize("skip", [0, 2])
def test_images_of_any_size_can_be_fitted(downsample, padding, skip):
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


def test_the_3d_network_downsamples_the_bands_too():
    network = Hourglass3d(1, 1, Architecture((2,) * 3, (2,) * 3, (0,) * 3, upsample="trilinear"))
    seen = []
    network.body.below.below.down.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    network(torch.rand(1, 1, 32, 16, 24))
    assert seen == [(1, 2, 4, 2, 3)]  # every axis divided by 2 ** 3


def test_padding_at_the_border():
    """A constant input stays constant with reflection and replication, but not with zero padding."""
    for padding, constant in (("reflection", True), ("replication", True), ("zero", False)):
        torch.manual_seed(0)
        network = Hourglass(1, 1, Architecture((4,) * 2, (4,) * 2, (4,) * 2, padding=padding)).eval()
        with torch.no_grad():
            image = network(torch.full((1, 1, 32, 32), 0.7))
        assert (float(image.std()) < 1e-6) is constant


def test_average_downsampling_is_the_mean_of_four_pixels():
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
    """The convolution after the join gets the sum of the skip branch and the upsampled branch."""
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
def test_invalid_architectures_are_rejected(choice):
    with pytest.raises(ValueError):
        Architecture(**choice)


def test_upsampling_must_fit_the_dimensions():
    with pytest.raises(ValueError, match="2-D network has no trilinear"):
        Hourglass(1, 1, Architecture(upsample="trilinear"))
    with pytest.raises(ValueError, match="3-D network has no bilinear"):
        Hourglass3d(1, 1, Architecture(upsample="bilinear"))
