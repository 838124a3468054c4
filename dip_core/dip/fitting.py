"""The deep-prior optimisation loop: fit a network's weights to one damaged image.

``min over theta of E(f_theta(z + e), y)`` with an *energy* E, a fixed random input *z* and a fresh
perturbation *e* in every iteration (equation 3 of both the GAP and the DHP paper). What the energy does not
see, missing pixels or fine detail, is the prior. The *average* is the exponential moving average of the
outputs. *Check* pixels are observed pixels left out of the loss: the loop keeps the iterate that is best
on them and stops when it has long been the best (early stopping).
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.devices import has_fast_bfloat16
from ..runtime.progress import SILENT, ProgressReporter
from .cuda_graph import gradient, objective
from .data_fidelity import Energy
from .presets import Schedule

_CHECK_EVERY = 10


@dataclass(frozen=True)
class Fit:
    """The estimate ``(band, row, column)``, the iteration it is from, and the loss of every iteration."""

    estimate: NDArray[np.float32]
    iteration: int
    losses: list[float] = field(default_factory=list)


@dataclass
class _Best:
    """The lowest check score so far and what belongs to it."""

    score: float = math.inf
    iteration: int = 0
    image: Tensor | None = None


def fit(
    network: nn.Module,
    noise: Tensor,
    values: Tensor,
    energy: Energy,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    check: Tensor | None = None,
    progress: ProgressReporter = SILENT,
) -> Fit:
    """Fit the network and return its image.

    ``noise``: the network's input, ``(1, inputs, row, column)``, or ``(1, inputs, band, row, column)`` for a 3-D
    network; ``values``: what was observed, as the energy predicts it from the network's output, and ``check``
    (1 where the score is taken) of the same shape; all on one device. ``generator``, of any device, draws the
    perturbation. ``progress`` is updated after every iteration
    and can end the loop. A loss that jumps or is not finite sends the loop back to the last
    good weights.
    """
    if schedule.optimise_input:
        noise = noise.detach().clone().requires_grad_()
    fitted = [*network.parameters(), *([noise] if schedule.optimise_input else [])]
    optimiser = _optimiser(fitted, schedule)
    low_precision = schedule.reduced_precision and has_fast_bfloat16(values.device)
    perturbation = _perturbation(noise, schedule, generator)
    average: Tensor | None = None
    best = _Best()
    good = _snapshot(network, noise)
    losses: list[float] = []
    image: Tensor | None = None
    evaluate = gradient(network, noise, values, energy, fitted, schedule.iterations, low_precision)
    for iteration in range(1, schedule.iterations + 1):
        shift = next(perturbation)
        output, loss = evaluate(shift)
        losses.append(float(loss))
        if jumped(losses):  # before the step: neither the weights nor the average learn from a bad output
            _restore(network, noise, good)
            optimiser = _optimiser(fitted, schedule)
            if progress.update(iteration / schedule.iterations):
                continue
            break
        if iteration % 50 == 0:
            good = _snapshot(network, noise)
        _step(optimiser, loss, partial(evaluate, shift))
        with torch.no_grad():
            image = output
            if schedule.average is not None:
                average = image = moving_average(average, image, schedule.average, iteration)
            if check is not None and iteration % _CHECK_EVERY == 0:
                score = float((check * (energy.predict(image) - values)).square().sum())
                if score < best.score:
                    best = _Best(score, iteration, image.clone())
        if not progress.update(iteration / schedule.iterations):
            break
        waited = iteration - best.iteration
        if schedule.patience and best.image is not None and waited >= schedule.patience:
            break
    if best.image is not None:
        return Fit(_cube(best.image), best.iteration, losses)
    if image is None:  # no good iteration at all
        with torch.no_grad():
            image = objective(network, noise, 0.0, values, energy)[0]
    return Fit(_cube(image), len(losses), losses)


def _perturbation(noise: Tensor, schedule: Schedule, generator: torch.Generator) -> Iterator[Tensor | float]:
    """What is added to the input, iteration after iteration."""

    def draw(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator, device=generator.device)
        return schedule.perturbation * drawn.to(noise.device)

    size = noise.numel()
    once = draw(2 * size) if schedule.perturbation and not schedule.redraw else None
    while True:
        if once is not None:
            start = int(torch.randint(size, (), generator=generator, device=generator.device))
            yield once.as_strided(noise.shape, noise.stride(), start)
        else:
            yield draw(*noise.shape) if schedule.perturbation else 0.0


def moving_average(average: Tensor | None, image: Tensor, decay: float, iteration: int) -> Tensor:
    """The average of outputs with one more; changed in place.

    At the start it decays faster, so that the first outputs do not linger.
    """
    decay = min(decay, iteration / (iteration + 9.0))
    return image.clone() if average is None else average.mul_(decay).add_(image, alpha=1 - decay)


def _optimiser(fitted: list[Tensor], schedule: Schedule) -> torch.optim.Optimizer:
    if schedule.optimiser == "lbfgs":
        # One step at a time, so that it can be followed and stopped; 25 evaluations at most in its line search.
        return torch.optim.LBFGS(
            fitted, schedule.learning_rate, max_iter=1, max_eval=26, history_size=10, line_search_fn="strong_wolfe"
        )
    # One kernel for all weights, where there is one: networks of a hundred small tensors wait for calls otherwise.
    if all(tensor.device.type in ("cpu", "cuda") for tensor in fitted):
        with contextlib.suppress(RuntimeError):  # before torch 2.4 there is none on the CPU
            return torch.optim.Adam(fitted, schedule.learning_rate, fused=True)
    return torch.optim.Adam(fitted, schedule.learning_rate)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, evaluate: Callable[[], tuple[Tensor, Tensor]]) -> None:
    """One step from a loss whose gradient is at hand; a line search evaluates further ones."""
    at_hand = [loss]

    def closure() -> float:
        return float(at_hand.pop() if at_hand else evaluate()[1])

    optimiser.step(closure)


def _snapshot(network: nn.Module, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The weights and the input, to come back to."""
    return copy.deepcopy(network.state_dict()), noise.detach().clone()


def _restore(network: nn.Module, noise: Tensor, good: tuple[dict[str, Tensor], Tensor]) -> None:
    weights, kept = good
    network.load_state_dict(weights)
    with torch.no_grad():
        noise.copy_(kept)


def _cube(image: Tensor) -> NDArray[np.float32]:
    """``(band, row, column)`` of a 2-D network's bands or a 3-D network's volume."""
    return image.reshape(image.shape[-3:]).cpu().numpy()


def jumped(losses: list[float]) -> bool:
    """True where the last loss is not finite or ten times what it was lately."""
    if not math.isfinite(losses[-1]):
        return True
    recent = losses[-21:-1]
    return len(recent) == 20 and losses[-1] > 10.0 * max(recent)
