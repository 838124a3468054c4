"""Optimisation loop of the deep image prior: fits a network's weights to one damaged image.

``min over theta of E(f_theta(z + e), y)`` with a data fidelity term E, a fixed random input z and a new perturbation e
in each iteration (equation 3 of both the GAP and the DHP paper). What E does not determine, missing pixels or fine
detail, comes from the network. The result is the last output or the exponential moving average of the outputs. For
early stopping, check pixels are left out of the loss: the loop keeps the output that is best on them and stops when it
has not improved for long.
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
from .cuda_graph import forward_and_loss, make_gradient
from .data_fidelity import DataFidelity
from .presets import Schedule

_CHECK_INTERVAL = 10  # iterations
_SNAPSHOT_INTERVAL = 50
_WINDOW = 20  # losses that the present one is compared with
_MAX_INCREASE = 10.0  # of the loss


@dataclass(frozen=True)
class FitResult:
    """The network's image ``(band, row, column)``, the iteration that produced it, and the loss of each iteration."""

    image: NDArray[np.float32]
    iteration: int
    losses: list[float] = field(default_factory=list)


@dataclass
class _Best:
    """The lowest check score so far, with its iteration and image."""

    score: float = math.inf
    iteration: int = 0
    image: Tensor | None = None


def fit(
    network: nn.Module,
    network_input: Tensor,
    values: Tensor,
    fidelity: DataFidelity,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    check: Tensor | None = None,
    progress: ProgressReporter = SILENT,
) -> FitResult:
    """Fit the network to the observation ``values``.

    ``network_input``: ``(1, channel, row, column)``, or ``(1, channel, band, row, column)`` for a 3-D network.
    ``values``: the observation, in the layout that ``fidelity`` predicts from the network's output. ``check``: weights
    of the check score, in the same layout. All tensors are on one device. ``generator``, on any device, draws the
    perturbation. ``progress`` is updated after each iteration and can end the loop. If the loss jumps or is not finite,
    the loop returns to the last good weights.
    """
    if schedule.optimise_input:
        network_input = network_input.detach().clone().requires_grad_()
    fitted = [*network.parameters(), *([network_input] if schedule.optimise_input else [])]
    optimiser = _optimiser(fitted, schedule)
    low_precision = schedule.reduced_precision and has_fast_bfloat16(values.device)
    perturbation = _perturbation(network_input, schedule, generator)
    average: Tensor | None = None
    best = _Best()
    good = _snapshot(network, network_input)
    losses: list[float] = []
    image: Tensor | None = None
    evaluate = make_gradient(network, network_input, values, fidelity, fitted, schedule.iterations, low_precision)
    for iteration in range(1, schedule.iterations + 1):
        shift = next(perturbation)
        output, loss = evaluate(shift)
        losses.append(float(loss))
        if loss_jumped(losses):  # before the step, so that weights and average do not use a bad output
            _restore(network, network_input, good)
            optimiser = _optimiser(fitted, schedule)
            if progress.update(iteration / schedule.iterations):
                continue
            break
        if iteration % _SNAPSHOT_INTERVAL == 0:
            good = _snapshot(network, network_input)
        _step(optimiser, loss, partial(evaluate, shift))
        with torch.no_grad():
            image = output
            if schedule.average is not None:
                average = image = moving_average(average, image, schedule.average, iteration)
            if check is not None and iteration % _CHECK_INTERVAL == 0:
                score = float((check * (fidelity.predict(image) - values)).square().sum())
                if score < best.score:
                    best = _Best(score, iteration, image.clone())
        if not progress.update(iteration / schedule.iterations):
            break
        waited = iteration - best.iteration
        if schedule.patience and best.image is not None and waited >= schedule.patience:
            break
    if best.image is not None:
        return FitResult(_cube(best.image), best.iteration, losses)
    if image is None:  # no good iteration at all
        with torch.no_grad():
            image = forward_and_loss(network, network_input, 0.0, values, fidelity)[0]
    return FitResult(_cube(image), len(losses), losses)


def _perturbation(network_input: Tensor, schedule: Schedule, generator: torch.Generator) -> Iterator[Tensor | float]:
    """The noise that is added to the input, one per iteration; 0.0 without perturbation."""

    def draw(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator, device=generator.device)
        return schedule.perturbation * drawn.to(network_input.device)

    size = network_input.numel()
    once = draw(2 * size) if schedule.perturbation and not schedule.redraw else None
    while True:
        if once is not None:
            start = int(torch.randint(size, (), generator=generator, device=generator.device))
            yield once.as_strided(network_input.shape, network_input.stride(), start)
        else:
            yield draw(*network_input.shape) if schedule.perturbation else 0.0


def moving_average(average: Tensor | None, image: Tensor, decay: float, iteration: int) -> Tensor:
    """The moving average with one more output, updated in place.

    The decay is faster at the start, so that the first outputs lose their weight soon.
    """
    decay = min(decay, iteration / (iteration + 9.0))
    return image.clone() if average is None else average.mul_(decay).add_(image, alpha=1 - decay)


def _optimiser(fitted: list[Tensor], schedule: Schedule) -> torch.optim.Optimizer:
    if schedule.optimiser == "lbfgs":
        # One step at a time, so that progress is reported and the fit can stop; at most 25 evaluations per line search.
        return torch.optim.LBFGS(
            fitted, schedule.learning_rate, max_iter=1, max_eval=26, history_size=10, line_search_fn="strong_wolfe"
        )
    # A fused kernel for all weights: with a hundred small tensors, separate kernel calls take most of the time.
    if all(tensor.device.type in ("cpu", "cuda") for tensor in fitted):
        with contextlib.suppress(RuntimeError):  # torch before 2.4 has none for the CPU
            return torch.optim.Adam(fitted, schedule.learning_rate, fused=True)
    return torch.optim.Adam(fitted, schedule.learning_rate)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, evaluate: Callable[[], tuple[Tensor, Tensor]]) -> None:
    """One step from a loss whose gradient is known; a line search evaluates further losses."""
    known = [loss]

    def closure() -> float:
        return float(known.pop() if known else evaluate()[1])

    optimiser.step(closure)


def _snapshot(network: nn.Module, network_input: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Copies of the weights and the input."""
    return copy.deepcopy(network.state_dict()), network_input.detach().clone()


def _restore(network: nn.Module, network_input: Tensor, good: tuple[dict[str, Tensor], Tensor]) -> None:
    weights, kept = good
    network.load_state_dict(weights)
    with torch.no_grad():
        network_input.copy_(kept)


def _cube(image: Tensor) -> NDArray[np.float32]:
    """The output of a 2-D or 3-D network as ``(band, row, column)``."""
    return image.reshape(image.shape[-3:]).cpu().numpy()


def loss_jumped(losses: list[float]) -> bool:
    """Whether the last loss is not finite, or more than ten times the largest of the 20 losses before it."""
    if not math.isfinite(losses[-1]):
        return True
    recent = losses[-_WINDOW - 1 : -1]
    return len(recent) == _WINDOW and losses[-1] > _MAX_INCREASE * max(recent)
