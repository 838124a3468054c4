"""The cascade has the layers of the CASCADE paper, and starts training from bicubic interpolation."""

from __future__ import annotations

import pytest
import torch

from dip_core.superresolution.cascade import Cascade


def parameters(network) -> int:
    return sum(values.numel() for values in network.parameters())


def with_random_residuals(network):
    """The network with random weights in the layers that start at 0."""
    torch.manual_seed(0)
    with torch.no_grad():
        for stage in network.stages:
            stage[4].weight.normal_(std=0.01)
    return network


def test_cascade_has_the_papers_layers():
    network = Cascade(31)
    layers = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert [(layer.kernel_size[0], layer.out_channels) for layer in layers] == [(9, 96), (3, 64), (5, 31)] * 6
    # Weights and biases of a stage by hand: 31*96*81 + 96, 96*64*9 + 64, 64*31*25 + 31.
    assert parameters(network) == 6 * (241_056 + 96 + 55_296 + 64 + 49_600 + 31)
    assert sum(isinstance(module, torch.nn.ReLU) for module in network.modules()) == 12


def test_an_untrained_cascade_returns_the_enlarged_image():
    image = torch.rand(2, 3, 17, 23)
    network = Cascade(3)
    network.adapt(image)
    for output in network(image):
        torch.testing.assert_close(output, image)


def test_initial_weights_respond_to_fine_detail():
    """Detail is a hundred times weaker than shape: whitened filters respond to it far more than plain ones."""
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
    assert answer(scaled) == pytest.approx(2**0.5, rel=0.1)  # as He initialisation for input of variance 1
    torch.testing.assert_close(network(images)[1], images)


def test_cascade_standardises_its_input():
    """The result does not depend on the units: scaled and shifted values give a scaled and shifted image."""
    image = torch.rand(1, 2, 17, 23)
    own, other = with_random_residuals(Cascade(2)), with_random_residuals(Cascade(2))
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
    network = with_random_residuals(Cascade(2))
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
    """The residual of a constant image is constant inside and differs near the border."""
    torch.manual_seed(0)
    with torch.no_grad():
        residual = with_random_residuals(Cascade(1)).stages[0](torch.ones(1, 1, 30, 30))[0, 0]
    inside = residual[7:-7, 7:-7]
    assert inside.std() < 1e-6 < (residual[0] - inside[0, 0]).abs().min()


def test_radius_is_the_receptive_field():
    torch.manual_seed(0)
    network = with_random_residuals(Cascade(1)).double()
    image = torch.rand(1, 1, 1, 2 * network.radius + 3, dtype=torch.float64)
    middle = network.radius + 1
    image.requires_grad_()
    network(image)[1][0, 0, 0, middle].backward()
    seen = torch.nonzero(image.grad[0, 0, 0]).ravel()
    assert (seen.min(), seen.max()) == (middle - network.radius, middle + network.radius)


def test_a_rectified_residual_only_brightens():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        letter, usual = Cascade(3, rectify_residual=True)(image)[1], with_random_residuals(Cascade(3))(image)[1]
    assert (letter >= image).all() and not (usual >= image).all()
