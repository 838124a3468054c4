"""The fitting loop fits observed values, is reproducible, stops in time, and recovers from a jump of the loss."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from dip_core.dip.architecture import Architecture
from dip_core.dip.data_fidelity import MaskedFidelity
from dip_core.dip.fitting import fit
from dip_core.dip.hourglass import Hourglass
from dip_core.dip.presets import Schedule
from dip_core.runtime.progress import ProgressReporter

SMALL = Architecture((6,) * 2, (6,) * 2, (6,) * 2, upsample="bilinear", sigmoid=False)
QUICK = Schedule(iterations=90, learning_rate=0.02, perturbation=0.03)


@pytest.fixture
def scene():
    """Values and weights ``(1, 2, 20, 24)``: smooth, a quarter missing."""
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    values = torch.stack([torch.sin(x / 8) + y / 20, torch.cos(y / 6)])[None]
    weights = torch.ones_like(values)
    weights[:, :, 8:13] = 0
    return values * weights, weights, values


def run(scene, schedule=QUICK, seed=0, network=None, **options):
    values, weights, _ = scene
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = network or Hourglass(4, 2, SMALL)
    noise = torch.rand((1, 4, *values.shape[-2:]), generator=generator) / 10
    return fit(network, noise, values, MaskedFidelity(weights), schedule, generator=generator, **options)


class Spiking(torch.nn.Module):
    """A network whose output is bad in chosen iterations, as after a bad step of the optimiser."""

    def __init__(self, spikes: dict[int, float]) -> None:
        super().__init__()
        self.inner = Hourglass(4, 2, SMALL)
        self.spikes = spikes
        self.calls = 0

    def forward(self, noise):
        self.calls += 1
        return self.inner(noise) * self.spikes.get(self.calls, 1.0)


def test_the_fit_reproduces_observed_values(scene):
    _, weights, truth = scene
    fitted = run(scene)
    observed = weights[0].bool().numpy()
    error = fitted.image - truth[0].numpy()
    # The observed values have a variance of about 0.5; a fit explains nearly all of it.
    assert np.mean(error[observed] ** 2) < 0.02
    assert len(fitted.losses) == fitted.iteration == QUICK.iterations
    assert fitted.losses[-1] < fitted.losses[0] / 10


def test_missing_values_have_no_influence(scene):
    """The values at missing pixels do not change the fit, bit for bit."""
    values, weights, truth = scene
    poisoned = torch.where(weights > 0, values, torch.tensor(1e6))
    schedule = dataclasses.replace(QUICK, iterations=15)
    np.testing.assert_array_equal(
        run((values, weights, truth), schedule).image, run((poisoned, weights, truth), schedule).image
    )


def test_the_seed_determines_the_result(scene):
    schedule = dataclasses.replace(QUICK, iterations=15)
    first, again, other = (run(scene, schedule, seed).image for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_perturbations_cut_from_one_draw_differ(scene):
    """They have the requested deviation, and no two iterations have the same input."""
    inputs = []

    class Listening(Hourglass):
        def forward(self, noise):
            inputs.append(noise.detach().clone())
            return super().forward(noise)

    for redraw in (True, False):
        inputs.clear()
        schedule = dataclasses.replace(QUICK, iterations=8, perturbation=0.5, redraw=redraw)
        run(scene, schedule, network=Listening(4, 2, SMALL))
        changes = [one - other for place, one in enumerate(inputs) for other in inputs[:place]]
        assert len(changes) == 28
        # The difference of two independent perturbations; a step of the input is no part of it.
        assert all(float(change.std()) == pytest.approx(0.5 * 2**0.5, rel=0.1) for change in changes)


def test_the_average_is_the_exponential_moving_average():
    """A network whose outputs are 1, 2, 3...: with decay 0.5 the weights of the last four are 8, 4, 2 and 1 in 15."""

    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))
            self.calls = 0

        def forward(self, noise):
            self.calls += 1
            return self.calls + 0 * self.unused + 0 * noise[:, :1]

    nothing = torch.zeros(1, 1, 4, 4)
    scene = (nothing, nothing + 1, nothing)

    def estimate(average, iterations):
        schedule = Schedule(iterations, perturbation=0.0, average=average)
        return run(scene, schedule, network=Counting()).image[0, 0, 0]

    assert estimate(None, 40) == 40
    # Mean of n, n - 1, n - 2... with weights that halve: n - 1.
    assert estimate(0.5, 40) == pytest.approx(39, abs=1e-4)
    # The first outputs lose their weight: decay 0.98 would leave 0.98 ** 39 = 45 % of the first without correction.
    assert estimate(0.98, 40) > 30


def test_progress_ends_the_loop(scene):
    seen = []
    fitted = run(scene, progress=ProgressReporter(lambda done: seen.append(done) or len(seen) < 7))
    assert len(seen) == 7 and np.allclose(np.diff(seen), seen[0])
    assert len(fitted.losses) == fitted.iteration == 7
    assert np.isfinite(fitted.image).all()


def test_early_stopping_keeps_the_best_iterate(scene):
    """Pure noise: the longer the fit, the worse it predicts the check pixels, so it stops long before the end."""
    torch.manual_seed(3)
    values = torch.randn(1, 2, 20, 24)
    check = (torch.rand(values.shape) < 0.1).float()
    schedule = Schedule(iterations=1000, perturbation=0.0, patience=30)
    fitted = run((values, 1 - check, values), schedule, check=check)
    assert len(fitted.losses) < 300
    # Scores are taken every 10 iterations, so the loop ends at the first check after the patience is used up.
    assert len(fitted.losses) - fitted.iteration == 30
    assert fitted.iteration % 10 == 0
    longer = run((values, 1 - check, values), dataclasses.replace(schedule, patience=None, iterations=200))

    def score(image):
        return float((check[0].numpy() * (image - values[0].numpy()) ** 2).sum())

    assert score(fitted.image) < score(longer.image)


@pytest.mark.parametrize("bad", [1e4, float("nan"), float("inf")])
@pytest.mark.parametrize("average", [None, 0.98])
def test_a_jump_of_the_loss_is_undone(scene, bad, average):
    """One bad output in iteration 70 of 90 only costs iterations."""
    schedule = dataclasses.replace(QUICK, average=average)
    calm = run(scene, schedule, network=Spiking({}))
    shaken = run(scene, schedule, network=Spiking({70: bad}))
    assert len(shaken.losses) == schedule.iterations
    assert np.isfinite(shaken.image).all()
    # Back to the weights of iteration 50 and a fresh optimiser: somewhat behind, but the same order of loss.
    assert shaken.losses[-1] < 5 * calm.losses[-1]
    assert np.abs(shaken.image - calm.image).max() < 1.0  # the data's range is about 4


def test_a_jump_in_the_last_iteration_is_not_the_result(scene):
    fitted = run(scene, network=Spiking({QUICK.iterations: 1e4}))
    assert np.abs(fitted.image).max() < 5


def test_a_bad_step_after_the_snapshot_is_undone(scene):
    """The snapshot of iteration 50 holds the weights before its step."""
    network, steps = Hourglass(4, 2, SMALL), []

    def leap(optimiser, *_):
        steps.append(optimiser)
        if len(steps) == 50:
            with torch.no_grad():
                for values in network.parameters():
                    values.fill_(float("nan"))

    hook = register_optimizer_step_post_hook(leap)
    try:
        fitted = run(scene, network=network)
    finally:
        hook.remove()
    assert len(steps) == QUICK.iterations - 1  # none after the bad loss
    assert np.isfinite(fitted.losses[-1]) and fitted.losses[-1] < fitted.losses[0] / 5


def test_reduced_precision_gives_nearly_the_same_image(scene):
    """bfloat16 is used on devices where it is fast; elsewhere the option has no effect."""
    exact, reduced = (run(scene, dataclasses.replace(QUICK, reduced_precision=on)) for on in (False, True))
    assert reduced.image.dtype == np.float32
    assert reduced.losses[-1] < 3 * exact.losses[-1] + 0.01
