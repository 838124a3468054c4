"""The deep-prior optimisation loop: fit a network's weights to one damaged image.

``min over theta of || M (f_theta(z + e) - y) ||^2`` with a fixed random input *z* and a fresh perturbation
*e* in every iteration (equation 3 of the GAP paper, equation 5 of the DHP paper). The network never sees
missing pixels; what it puts there is the prior. The *average* is the exponential moving average of the
outputs. *Check* pixels are observed pixels left out of the loss: the loop keeps the iterate that is best
on them and stops when it has long been the best (early stopping).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .devices import has_fast_bfloat16

_CHECK_EVERY = 10


@dataclass(frozen=True)
class Schedule:
    """How long and how to fit.

    ``perturbation``: standard deviation of the noise added to the input (the papers' sigma_p).
    ``average``: decay of the moving average of outputs, None for the last output as it is.
    ``patience``: iterations without a better check score before the loop stops, None for never.
    ``reduced_precision``: bfloat16 convolutions where the device is fast at them.
    """

    iterations: int
    learning_rate: float = 0.01
    perturbation: float = 0.1
    average: float | None = None
    patience: int | None = None
    reduced_precision: bool = False


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
    weights: Tensor,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    check: Tensor | None = None,
    follow: Callable[[int], bool] = lambda iteration: True,
) -> Fit:
    """Fit the network and return its image.

    ``noise``: ``(1, inputs, row, column)``; ``values``, ``weights`` (1 observed, 0 missing) and ``check``
    (1 where the score is taken): ``(1, band, row, column)``, all on one device. ``follow`` is called after
    every iteration and ends the loop by returning False. A loss that jumps or is not finite sends the
    loop back to the last good weights.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    low_precision = schedule.reduced_precision and has_fast_bfloat16(values.device)
    count = weights.sum().clamp(min=1)
    average: Tensor | None = None
    best = _Best()
    good = copy.deepcopy(network.state_dict())
    losses: list[float] = []
    image = values
    for iteration in range(1, schedule.iterations + 1):
        shaken = noise
        if schedule.perturbation:
            shaken = noise + schedule.perturbation * torch.randn(noise.shape, generator=generator).to(noise.device)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(values.device.type, torch.bfloat16, enabled=low_precision):
            output = network(shaken)
        loss = (weights * (output.float() - values)).square().sum() / count
        losses.append(float(loss.detach()))
        if _jumped(losses):  # before the step: neither the weights nor the average learn from a bad output
            network.load_state_dict(good)
            optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
            if follow(iteration):
                continue
            break
        if iteration % 50 == 0:
            good = copy.deepcopy(network.state_dict())
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            image = output.detach().float()
            if schedule.average is not None:
                # A bias-corrected mean at the start, so that the first outputs do not linger.
                decay = min(schedule.average, iteration / (iteration + 9.0))
                average = image if average is None else average.mul_(decay).add_(image, alpha=1 - decay)
                image = average
            if check is not None and iteration % _CHECK_EVERY == 0:
                score = float((check * (image - values)).square().sum())
                if score < best.score:
                    best = _Best(score, iteration, image.clone())
        if not follow(iteration):
            break
        waited = iteration - best.iteration
        if schedule.patience and best.image is not None and waited >= schedule.patience:
            break
    if best.image is not None:
        return Fit(best.image[0].cpu().numpy(), best.iteration, losses)
    return Fit(image[0].cpu().numpy(), len(losses), losses)


def _jumped(losses: list[float]) -> bool:
    """True where the loss is not finite or ten times what it was lately."""
    if not math.isfinite(losses[-1]):
        return True
    recent = losses[-21:-1]
    return len(recent) == 20 and losses[-1] > 10.0 * max(recent)
