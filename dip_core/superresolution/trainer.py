"""Training of the cascade as in the CASCADE paper, section 4.1.

Momentum 0.9, weight decay 1e-4, batches of 128, a learning rate of 0.01 that is divided by 10 after 3 epochs without
improvement on the validation pairs; training ends when it falls below 1e-6. Loss: see `training_scores`.

Our additions: the length of the gradient is limited, because training at a rate of 0.01 otherwise diverges
occasionally. A time budget often ends before the first epochs without improvement, while the first rate is too high to
converge; so training with a budget divides its rate after 60 and 85 % of it at the latest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..dip import build
from .cascade import Cascade
from .training_data import PatchPairs
from .training_scores import TrainingScores, bicubic_scores, evaluate, loss, run_network

_BUDGET_SHARES = (0.6, 0.85)  # of a time budget after which the learning rate is divided, once each
_ORIENTATIONS = 8  # of a square


@dataclass(frozen=True)
class TrainingOptions:
    """Options of the training; the defaults are the paper's.

    ``max_gradient``: longer gradients are scaled to this length; None: no limit (as in the paper). ``augment``: patches
    are rotated and mirrored at random, because the patches of a single raster overlap and would be memorised (the paper
    has many images and does not). ``epochs``: at most; None: no limit.
    """

    batch_size: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    patience: int = 3
    rate_divisor: float = 10.0
    min_learning_rate: float = 1e-6
    alpha: float = 0.5
    max_gradient: float | None = 1.0
    augment: bool = True
    epochs: int | None = None


class Trainer:
    """A cascade in training. Call `step` until `epoch_is_complete`, then `end_epoch`, until `finished`.

    ``budget_spent``: the spent share of a time budget; update it during training. ``baseline``: the scores of bicubic
    interpolation on the validation pairs, from which training starts.

    The order of the patches depends only on seed and epoch, so that training continues exactly after `state` and
    `load_state`.
    """

    def __init__(
        self,
        training: PatchPairs,
        validation: PatchPairs,
        options: TrainingOptions,
        seed: int,
        device: torch.device,
    ) -> None:
        self.training, self.validation = training, validation
        self.options, self.seed, self.device = options, seed, device
        with build.seeded_weights(seed):
            self.network = Cascade(training.fine.shape[1])
            self.network.adapt(torch.from_numpy(training.enlarged))
        self.network.to(device)
        self.optimiser = torch.optim.SGD(
            self.network.parameters(),
            options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )
        self.epoch = self.batch = 0  # complete epochs, complete batches of the current one
        self.epochs_without_gain = self.rate_drops = 0
        self.budget_spent = 0.0
        self.best_weights = self._weights()
        # The first weights do not change the enlarged image.
        self.baseline = bicubic_scores(validation, options.alpha, self.network.deviation)
        self.best_scores = self.baseline
        self.history: list[dict[str, float | None]] = []

    @property
    def batches(self) -> int:
        """Batches per epoch."""
        return math.ceil(len(self.training) / self.options.batch_size)

    @property
    def learning_rate(self) -> float:
        """The current learning rate."""
        budget_drops = sum(self.budget_spent >= share for share in _BUDGET_SHARES)
        return self.options.learning_rate / self.options.rate_divisor ** max(self.rate_drops, budget_drops)

    @property
    def finished(self) -> bool:
        """Whether the learning rate has fallen below the minimum, or all epochs are complete."""
        options = self.options
        if options.epochs is not None and self.epoch >= options.epochs:
            return True
        rate = options.learning_rate / options.rate_divisor**self.rate_drops
        return rate < options.min_learning_rate * (1 - 1e-9)

    @property
    def progress(self) -> float:
        """A conservative estimate of the completed share (0 to 1), from the learning rate and the epochs."""
        options = self.options
        levels = math.log(options.learning_rate / options.min_learning_rate, options.rate_divisor) + 1
        within_level = (self.epochs_without_gain + self.batch / self.batches) / (options.patience + 1)
        share = (self.rate_drops + min(within_level, 1.0)) / levels
        return min(1.0, max(share, self.epoch / options.epochs if options.epochs else 0.0))

    @property
    def epoch_is_complete(self) -> bool:
        """Whether all batches of the epoch are complete."""
        return self.batch >= self.batches

    def step(self) -> float:
        """Train on one batch; returns its loss."""
        options = self.options
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.training))
        chosen = order[self.batch * options.batch_size : (self.batch + 1) * options.batch_size]
        pairs = self.training.fine[chosen], self.training.enlarged[chosen]
        if options.augment:
            rng = np.random.default_rng([self.seed, self.epoch, self.batch])
            orientations = rng.integers(0, _ORIENTATIONS, len(chosen))
            pairs = reorient(pairs[0], orientations), reorient(pairs[1], orientations)
        fine, enlarged = (torch.from_numpy(array).to(self.device) for array in pairs)
        self.network.train()
        outputs = run_network(self.network, enlarged)
        value = sum(loss(output, fine, options.alpha, self.network.deviation) for output in outputs)
        assert isinstance(value, Tensor)  # nosec B101: a sum of tensors
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        if options.max_gradient is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), options.max_gradient)
        self.optimiser.step()
        self.batch += 1
        return float(value.detach())

    def end_epoch(self) -> TrainingScores:
        """Validate, and lower the learning rate after epochs without improvement."""
        best_before = self.best_scores
        scores = self.validate()
        self.epochs_without_gain = self.epochs_without_gain + 1 if best_before is self.best_scores else 0
        self.epoch, self.batch = self.epoch + 1, 0
        if self.epochs_without_gain >= self.options.patience:
            self.rate_drops, self.epochs_without_gain = self.rate_drops + 1, 0
        return scores

    def validate(self) -> TrainingScores:
        """Score the validation pairs, and keep the weights if they are the best so far."""
        scores = evaluate(self.network, self.validation, self.options.alpha, self.options.batch_size, self.device)
        epoch = self.epoch + self.batch / self.batches
        self.history.append({"epoch": epoch, "rate": self.learning_rate, **scores.for_json()})
        if scores.loss < self.best_scores.loss:
            self.best_scores, self.best_weights = scores, self._weights()
        return scores

    def state(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Everything that `load_state` needs: tensors, and a record for JSON."""
        tensors = {f"network.{name}": array for name, array in self._weights().items()}
        tensors |= {f"best.{name}": array for name, array in self.best_weights.items()}
        for number, parameter in enumerate(self.network.parameters()):
            momentum = self.optimiser.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{number}"] = momentum.cpu().numpy().copy()
        record = {
            "epoch": self.epoch,
            "place": self.batch,
            "waited": self.epochs_without_gain,
            "drops": self.rate_drops,
            "best_figures": self.best_scores.for_json(),
            "history": self.history,
        }
        return tensors, record

    def load_state(self, tensors: Mapping[str, NDArray], record: Mapping[str, Any]) -> None:
        """Continue from a `state`. Raises KeyError, TypeError or ValueError and then changes nothing."""
        shapes = {name: tuple(value.shape) for name, value in self.network.state_dict().items()}
        weights, best = ({name: tensors[f"{part}.{name}"] for name in shapes} for part in ("network", "best"))
        if any(part[name].shape != shape for part in (weights, best) for name, shape in shapes.items()):
            raise ValueError("The weights are those of another network.")
        epoch, batch, without_gain, drops = (int(record[key]) for key in ("epoch", "place", "waited", "drops"))
        scores = {name: math.nan if value is None else value for name, value in dict(record["best_figures"]).items()}
        self.best_scores, self.history = TrainingScores(**scores), list(record["history"])
        self.network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        self.best_weights = best
        for number, parameter in enumerate(self.network.parameters()):
            momentum = tensors.get(f"momentum.{number}")
            if momentum is not None:
                self.optimiser.state[parameter]["momentum_buffer"] = torch.from_numpy(momentum.copy()).to(self.device)
        self.epoch, self.batch, self.epochs_without_gain, self.rate_drops = epoch, batch, without_gain, drops

    def _weights(self) -> dict[str, NDArray]:
        return {name: array.detach().cpu().numpy().copy() for name, array in self.network.state_dict().items()}


def reorient(patches: NDArray, orientations: NDArray[np.integer]) -> NDArray:
    """Square patches ``(patch, band, row, column)``, each rotated and mirrored in one of 8 ways (0 to 7)."""
    out = np.empty_like(patches)
    for orientation in np.unique(orientations):
        rotated = np.rot90(patches[orientations == orientation], orientation % 4, (2, 3))
        out[orientations == orientation] = rotated[..., ::-1] if orientation >= 4 else rotated
    return out
