"""The fidelity terms: equations 4 to 6 by hand, their gradients through a network, and fits with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dip_core.dip.architecture import Architecture
from dip_core.dip.cuda_graph import forward_and_loss
from dip_core.dip.data_fidelity import DownsamplingFidelity, FullFidelity, MaskedFidelity
from dip_core.dip.fitting import fit
from dip_core.dip.hourglass import Hourglass, Hourglass3d
from dip_core.dip.presets import Schedule
from dip_core.imaging import degradation

BANDS, ROWS, COLUMNS = 3, 17, 23
TINY = {
    2: Architecture((4,) * 2, (4,) * 2, (2,) * 2, upsample="bilinear", sigmoid=False),
    3: Architecture((3,) * 2, (3,) * 2, (0, 2), upsample="trilinear", padding="replication", sigmoid=False),
}
NAMES = ("reconstruction", "mask", "downsampling", "masked downsampling")


def truth() -> torch.Tensor:
    """A smooth cube ``(band, row, column)`` of odd sizes, values about -2 to 3."""
    y, x = torch.meshgrid(torch.arange(float(ROWS)), torch.arange(float(COLUMNS)), indexing="ij")
    return torch.stack([torch.sin(x / (4 + band)) + y / 10 + torch.cos(y / 5) * band / 2 for band in range(BANDS)])


def problem(name: str, dimensions: int, dtype: torch.dtype = torch.float32):
    """Observation and fidelity, with values missing where the fidelity has a mask."""
    image = truth().to(dtype)
    image = image[None] if dimensions == 2 else image[None, None]
    if name == "reconstruction":
        return image, FullFidelity()
    generator = torch.Generator().manual_seed(1)
    if name == "mask":
        weights = (torch.rand(image.shape, generator=generator) < 0.7).to(dtype)
        return image * weights, MaskedFidelity(weights)
    operator = degradation.bicubic_decimation((ROWS, COLUMNS), 2)
    coarse = operator.as_torch(image)(image)
    if name == "downsampling":
        return coarse, DownsamplingFidelity(operator, coarse)
    weights = (torch.rand(coarse.shape, generator=generator) < 0.7).to(dtype)
    return coarse * weights, DownsamplingFidelity(operator, coarse, weights)


def network_and_noise(dimensions: int, dtype: torch.dtype = torch.float32, seed: int = 0):
    torch.manual_seed(seed)
    if dimensions == 2:
        return Hourglass(BANDS, BANDS, TINY[2]).to(dtype), torch.rand((1, BANDS, ROWS, COLUMNS), dtype=dtype) / 10
    return Hourglass3d(1, 1, TINY[3]).to(dtype), torch.rand((1, 1, BANDS, ROWS, COLUMNS), dtype=dtype) / 10


def run(name: str, dimensions: int, schedule: Schedule, seed: int = 0):
    values, fidelity = problem(name, dimensions)
    network, noise = network_and_noise(dimensions, seed=seed)
    return fit(network, noise, values, fidelity, schedule, generator=torch.Generator().manual_seed(seed))


def test_reconstruction_is_equation_4():
    """(1 + 4 + 0 + 9) / 4."""
    image, observation = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[0.0, 4.0], [3.0, 1.0]]]])
    assert float(FullFidelity().loss(image, observation)) == 3.5


def test_mask_is_equation_5():
    """(1 + 9) / 2 at the observed values; values at missing pixels have no influence."""
    image, observation = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[0.0, 400.0], [-300.0, 1.0]]]])
    fidelity = MaskedFidelity(torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]]))
    assert float(fidelity.loss(image, observation)) == 5
    assert float(MaskedFidelity(torch.zeros(1, 1, 2, 2)).loss(image, observation)) == 0  # nothing observed


def test_downsampling_is_equation_6():
    """A thin Gaussian at factor 2 is the mean of four pixels: 2.5 here, observed as 1."""
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    operator = degradation.gaussian_decimation((2, 2), 2, 0.1)
    fidelity = DownsamplingFidelity(operator, image)
    assert float(fidelity.predict(image)) == 2.5
    assert float(fidelity.loss(image, torch.ones(1, 1, 1, 1))) == pytest.approx(2.25)
    assert (
        float(DownsamplingFidelity(operator, image, torch.zeros(1, 1, 1, 1)).loss(image, torch.ones(1, 1, 1, 1))) == 0
    )


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_the_truth_is_zero(name, dimensions):
    values, fidelity = problem(name, dimensions)
    image = truth()[None] if dimensions == 2 else truth()[None, None]
    assert float(fidelity.loss(image, values)) < 1e-10
    assert fidelity.predict(image).shape == values.shape


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_finite_differences(name, dimensions):
    """In float64, for weights of every layer and for the input: central differences err by about 1e-9 here."""
    double = torch.float64
    values, fidelity = problem(name, dimensions, double)
    network, noise = network_and_noise(dimensions, double, seed=2)
    shift = 0.01 * torch.randn(noise.shape, dtype=double, generator=torch.Generator().manual_seed(3))
    noise.requires_grad_()

    def loss() -> torch.Tensor:
        return forward_and_loss(network, noise, shift, values, fidelity)[1]

    loss().backward()
    rng = np.random.default_rng(0)
    step = 1e-6
    for tensor in (*network.parameters(), noise):
        flat, gradient = tensor.detach().view(-1), tensor.grad.view(-1)
        for place in rng.integers(flat.numel(), size=3):
            kept = float(flat[place])
            with torch.no_grad():
                sides = []
                for side in (step, -step):
                    flat[place] = kept + side
                    sides.append(float(loss()))
                flat[place] = kept
            assert float(gradient[place]) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-4, abs=1e-7)
    assert noise.grad.abs().max() > 1e-5  # the gradient is not negligible


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_adam_lowers_the_loss_and_is_reproducible(name, dimensions):
    schedule = Schedule(iterations=40, learning_rate=0.02, perturbation=0.02)
    fitted = run(name, dimensions, schedule)
    assert fitted.image.shape == (BANDS, ROWS, COLUMNS) and fitted.image.dtype == np.float32
    assert fitted.losses[-1] < fitted.losses[0] / 3
    assert np.mean((fitted.image - truth().numpy()) ** 2) < truth().var()
    assert run(name, dimensions, schedule).image.tobytes() == fitted.image.tobytes()
    assert run(name, dimensions, schedule, seed=1).image.tobytes() != fitted.image.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_lbfgs_lowers_the_loss_in_every_step(name):
    """Without perturbation each step is a line search along a descent direction."""
    schedule = Schedule(iterations=15, learning_rate=1.0, perturbation=0.0, optimiser="lbfgs")
    fitted = run(name, 2, schedule)
    assert all(after <= before for before, after in zip(fitted.losses, fitted.losses[1:]))
    assert fitted.losses[-1] < fitted.losses[0] / 3
    assert run(name, 2, schedule).image.tobytes() == fitted.image.tobytes()


def test_lbfgs_fits_with_a_perturbed_input():
    fitted = run("mask", 2, Schedule(iterations=25, learning_rate=1.0, perturbation=0.01, optimiser="lbfgs"))
    assert np.isfinite(fitted.losses).all() and fitted.losses[-1] < fitted.losses[0] / 3


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_the_input_can_be_fitted_too(optimiser):
    """With the weights held, only the input can lower the fidelity; the caller's own input stays as it is."""
    values, fidelity = problem("reconstruction", 2)
    network, noise = network_and_noise(2)
    network.requires_grad_(False)
    before = noise.clone()
    rate = 1.0 if optimiser == "lbfgs" else 0.2
    schedule = Schedule(25, learning_rate=rate, perturbation=0.0, optimiser=optimiser, optimise_input=True)
    fitted = fit(network, noise, values, fidelity, schedule, generator=torch.Generator())
    assert fitted.losses[-1] < 0.95 * fitted.losses[0]
    assert torch.equal(noise, before) and not noise.requires_grad


def test_a_fitted_input_is_restored_with_the_weights():
    """One bad output: the input must be restored together with the weights."""
    values, fidelity = problem("reconstruction", 2)
    network, noise = network_and_noise(2)
    calls = 0

    def spike(module, inputs, output):
        nonlocal calls
        calls += 1
        seen.append(inputs[0].detach().clone())
        return output * float("nan") if calls == 10 else output

    seen: list[torch.Tensor] = []
    network.register_forward_hook(spike)
    schedule = Schedule(12, learning_rate=0.05, perturbation=0.0, optimise_input=True)
    fitted = fit(network, noise, values, fidelity, schedule, generator=torch.Generator())
    assert not torch.equal(seen[9], noise)  # it had moved
    assert torch.equal(seen[10], noise)  # and is back at the last snapshot, the start
    assert np.isfinite(fitted.losses[10:]).all() and np.isfinite(fitted.image).all()


def test_no_good_iteration_still_gives_an_image():
    """If no loss is finite, the image is that of the untrained network, not the observation."""
    values, fidelity = problem("downsampling", 2)
    network, noise = network_and_noise(2)
    calls = 0

    def spike(module, inputs, output):
        nonlocal calls
        calls += 1
        return output * float("inf") if calls == 1 else output

    network.register_forward_hook(spike)
    fitted = fit(network, noise, values, fidelity, Schedule(1, perturbation=0.0), generator=torch.Generator())
    assert fitted.image.shape == (BANDS, ROWS, COLUMNS) and np.isfinite(fitted.image).all()


def test_check_pixels_of_a_downsampled_observation():
    """The check score compares predicted observations: pure noise cannot be predicted, so the fit stops."""
    torch.manual_seed(3)
    operator = degradation.bicubic_decimation((ROWS + 1, COLUMNS + 1), 2)
    values = torch.randn(1, BANDS, 9, 12)
    check = (torch.rand(values.shape) < 0.2).float()
    fidelity = DownsamplingFidelity(operator, values, 1 - check)
    network = Hourglass(BANDS, BANDS, TINY[2])
    noise = torch.rand(1, BANDS, ROWS + 1, COLUMNS + 1) / 10
    schedule = Schedule(400, learning_rate=0.03, perturbation=0.0, patience=30)
    fitted = fit(network, noise, values, fidelity, schedule, generator=torch.Generator(), check=check)
    assert len(fitted.losses) < 400 and len(fitted.losses) - fitted.iteration == 30
    assert fitted.image.shape == (BANDS, ROWS + 1, COLUMNS + 1)


def test_an_unknown_optimiser_is_rejected():
    with pytest.raises(ValueError, match="'sgd' is unknown"):
        Schedule(10, optimiser="sgd")
    assert dataclasses.replace(Schedule(10), optimiser="lbfgs").optimiser == "lbfgs"
