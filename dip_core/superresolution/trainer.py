"""Training the cascade, as the CASCADE paper trains it.

Momentum 0.9, weight decay 1e-4, batches of 128, a learning rate of 0.01 that is divided by 10 after 3 epochs
without improvement on the validation pairs, and the end when it falls below 1e-6 (section 4.1).

The loss is ``alpha * l1 + (1 - alpha) * l2`` with alpha = 0.5, of the final output and of the third stage's alike
(equations 1 to 3). ``l1`` is half the squared error. As ``l2`` the paper prints the mean *cosine* between true and
estimated spectra, which is highest where they agree, and minimises it; what it wants, and measures by SAM, is a small
angle. So ``l2`` is here ``1 - cosine``, which is 0 for equal directions.

As printed, ``l1`` adds up the squares of a patch and ``l2`` takes the mean over its spectra; with such a sum a learning
rate of 0.01 diverges at once. Here ``l1`` is a mean too, over pixels and bands, of errors in each band's standard
deviations. The length of the gradient is limited, of which the paper says nothing; without it, a training that
starts at a rate as high as 0.01 diverges now and then.

A time budget often ends before the first epochs without improvement. The steps at the first rate leave the weights
restless around their goal, in a small training above all; so a training with a budget divides its rate after 60 and
after 85 % of it at the latest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..dip import build
from ..runtime.devices import has_fast_bfloat16
from .cascade import Cascade
from .training_patches import Pairs

# Shares of a time budget after which the learning rate is divided once, and once more.
_HURRY = (0.6, 0.85)


@dataclass(frozen=True)
class Settings:
    """The paper's numbers. ``epochs``: how many at most, None for no limit.

    ``clip``: the length to which a longer gradient is cut back, None for any length. The paper names none.
    ``turned``: patches are turned and mirrored at random. The paper has many images and no need of it; the patches of
    a single raster overlap, and the network soon knows them by heart.
    """

    batch: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    patience: int = 3
    division: float = 10.0
    least_rate: float = 1e-6
    alpha: float = 0.5
    clip: float | None = 1.0
    turned: bool = True
    epochs: int | None = None


@dataclass(frozen=True)
class Figures:
    """Scores on pairs: loss, PSNR (peak 1, in dB), and mean spectral angle in degrees (NaN for one band)."""

    loss: float
    psnr: float
    sam: float


def loss(output: Tensor, fine: Tensor, alpha: float, deviation: Tensor) -> Tensor:
    """``alpha * MSE / 2 + (1 - alpha) * (1 - cosine)`` of ``(patch, band, row, column)``; a scalar.

    ``deviation``: ``(band, 1, 1)``, by which errors are divided.
    """
    half_square = ((output - fine) / deviation).square().mean() / 2
    angle = 1 - functional.cosine_similarity(output, fine, dim=1).mean()
    return alpha * half_square + (1 - alpha) * angle


class Trainer:
    """A cascade under training; `step` and `end_epoch` advance it, `dump` and `load` carry it over a break.

    ``spent``: the share of a time budget that is spent; set it as time goes by, and the learning rate falls in time.
    ``baseline``: the scores of bicubic interpolation on the validation pairs, with which training starts.

    The order of the patches depends on seed and epoch only, so a training that was broken off and loaded goes on
    as if nothing had happened.
    """

    def __init__(self, training: Pairs, validation: Pairs, settings: Settings, seed: int, device: torch.device) -> None:
        self.training, self.validation = training, validation
        self.settings, self.seed, self.device = settings, seed, device
        with build.seeded_weights(seed):
            self.network = Cascade(training.fine.shape[1])
            self.network.adapt(torch.from_numpy(training.enlarged))
        self.network.to(device)
        self.optimiser = torch.optim.SGD(
            self.network.parameters(),
            settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.epoch = self.place = self.waited = self.drops = 0
        self.spent = 0.0
        self.best = self._weights()
        # The first weights leave the enlarged image as it is.
        self.baseline = bicubic_figures(validation, settings, self.network.deviation)
        self.best_figures = self.baseline
        self.history: list[dict[str, float | None]] = []

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(len(self.training) / self.settings.batch)

    @property
    def rate(self) -> float:
        """The present learning rate."""
        hurried = sum(self.spent >= share for share in _HURRY)
        return self.settings.learning_rate / self.settings.division ** max(self.drops, hurried)

    @property
    def finished(self) -> bool:
        """True where the rate has fallen below the least one, or the epochs are over."""
        over = self.settings.epochs is not None and self.epoch >= self.settings.epochs
        rate = self.settings.learning_rate / self.settings.division**self.drops
        return over or rate < self.settings.least_rate * (1 - 1e-9)

    @property
    def share(self) -> float:
        """A cautious share of the training that is done, between 0 and 1: how far the learning rate has come."""
        whole = math.log(self.settings.learning_rate / self.settings.least_rate, self.settings.division) + 1
        part = (self.waited + self.place / self.steps) / (self.settings.patience + 1)
        share = (self.drops + min(part, 1.0)) / whole
        return min(1.0, max(share, self.epoch / self.settings.epochs if self.settings.epochs else 0.0))

    def step(self) -> float:
        """One batch; returns its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.training))
        chosen = order[self.place * self.settings.batch : (self.place + 1) * self.settings.batch]
        pairs = self.training.fine[chosen], self.training.enlarged[chosen]
        if self.settings.turned:
            turns = np.random.default_rng([self.seed, self.epoch, self.place]).integers(0, 8, len(chosen))
            pairs = turned(pairs[0], turns), turned(pairs[1], turns)
        fine, soft = (torch.from_numpy(array).to(self.device) for array in pairs)
        self.network.train()
        outputs = _run(self.network, soft)
        value = sum(loss(output, fine, self.settings.alpha, self.network.deviation) for output in outputs)
        assert isinstance(value, Tensor)  # nosec B101: a sum of tensors
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimiser.step()
        self.place += 1
        return float(value.detach())

    @property
    def at_epochs_end(self) -> bool:
        """True where all batches of the epoch are done."""
        return self.place >= self.steps

    def end_epoch(self) -> Figures:
        """Validate, keep the weights if they are the best, and lower the rate after epochs without improvement."""
        best = self.best_figures
        found = self.judge()
        self.waited = self.waited + 1 if best is self.best_figures else 0
        self.epoch, self.place = self.epoch + 1, 0
        if self.waited >= self.settings.patience:
            self.drops, self.waited = self.drops + 1, 0
        return found

    def judge(self) -> Figures:
        """Validate, and keep the weights if they are the best so far."""
        found = evaluate(self.network, self.validation, self.settings, self.device)
        self.history.append({"epoch": self.epoch + self.place / self.steps, "rate": self.rate, **_plain(found)})
        if found.loss < self.best_figures.loss:
            self.best_figures, self.best = found, self._weights()
        return found

    def dump(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Everything that `load` needs: tensors, and a record for JSON."""
        tensors = {f"network.{name}": array for name, array in self._weights().items()}
        tensors |= {f"best.{name}": array for name, array in self.best.items()}
        for number, parameter in enumerate(self.network.parameters()):
            moment = self.optimiser.state[parameter].get("momentum_buffer")
            if moment is not None:
                tensors[f"momentum.{number}"] = moment.cpu().numpy().copy()
        record = {"epoch": self.epoch, "place": self.place, "waited": self.waited, "drops": self.drops}
        return tensors, {**record, "best_figures": _plain(self.best_figures), "history": self.history}

    def load(self, tensors: Mapping[str, NDArray], record: Mapping[str, Any]) -> None:
        """Go on where `dump` was called. Raises KeyError, TypeError or ValueError, with nothing changed."""
        shapes = {name: tuple(value.shape) for name, value in self.network.state_dict().items()}
        own, best = ({name: tensors[f"{kind}.{name}"] for name in shapes} for kind in ("network", "best"))
        if any(part[name].shape != shape for part in (own, best) for name, shape in shapes.items()):
            raise ValueError("The weights are those of another network.")
        epoch, place, waited, drops = (int(record[name]) for name in ("epoch", "place", "waited", "drops"))
        figures = {name: math.nan if value is None else value for name, value in dict(record["best_figures"]).items()}
        self.best_figures, self.history = Figures(**figures), list(record["history"])
        self.network.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()})
        self.best = best
        for number, parameter in enumerate(self.network.parameters()):
            moment = tensors.get(f"momentum.{number}")
            if moment is not None:
                self.optimiser.state[parameter]["momentum_buffer"] = torch.from_numpy(moment.copy()).to(self.device)
        self.epoch, self.place, self.waited, self.drops = epoch, place, waited, drops

    def _weights(self) -> dict[str, NDArray]:
        return {name: array.detach().cpu().numpy().copy() for name, array in self.network.state_dict().items()}


def _plain(figures: Figures) -> dict[str, float | None]:
    """For JSON, which has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(figures).items()}


def turned(patches: NDArray, turns: NDArray[np.integer]) -> NDArray:
    """Square patches ``(patch, band, row, column)``, each in one of the 8 ways (0 to 7) to turn and mirror a square."""
    out = np.empty_like(patches)
    for turn in np.unique(turns):
        own = np.rot90(patches[turns == turn], turn % 4, (2, 3))
        out[turns == turn] = own[..., ::-1] if turn >= 4 else own
    return out


def evaluate(network: Cascade, pairs: Pairs, settings: Settings, device: torch.device) -> Figures:
    """The scores of the network's final output; the loss is that of both outputs."""
    network.eval()
    total = squares = angles = 0.0
    with torch.no_grad():
        for start in range(0, len(pairs), settings.batch):
            fine, soft = (
                torch.from_numpy(array[start : start + settings.batch]).to(device)
                for array in (pairs.fine, pairs.enlarged)
            )
            outputs = _run(network, soft)
            total += len(fine) * float(sum(loss(output, fine, settings.alpha, network.deviation) for output in outputs))
            square, angle = _errors(outputs[1], fine)
            squares, angles = squares + square, angles + angle
    return _figures(total / len(pairs), squares, angles, pairs)


def bicubic_figures(pairs: Pairs, settings: Settings, deviation: Tensor) -> Figures:
    """The scores of the enlarged patches as they are: the baseline. The loss counts them for both outputs."""
    fine, soft = torch.from_numpy(pairs.fine), torch.from_numpy(pairs.enlarged)
    return _figures(2 * float(loss(soft, fine, settings.alpha, deviation.cpu())), *_errors(soft, fine), pairs)


def _run(network: Cascade, soft: Tensor) -> list[Tensor]:
    """Both outputs, with bfloat16 convolutions where the device is fast at them; twice as fast as float32."""
    with torch.autocast(soft.device.type, torch.bfloat16, enabled=has_fast_bfloat16(soft.device)):
        return [output.float() for output in network(soft)]


def _errors(output: Tensor, fine: Tensor) -> tuple[float, float]:
    """Sum of squared errors, and sum of angles in degrees."""
    cosine = functional.cosine_similarity(output.double(), fine.double(), dim=1).clamp(-1, 1)
    return float((output - fine).double().square().sum()), math.degrees(float(torch.arccos(cosine).sum()))


def _figures(value: float, squares: float, angles: float, pairs: Pairs) -> Figures:
    mean = squares / pairs.fine.size
    psnr = math.inf if mean == 0 else -10 * math.log10(mean)
    bands = pairs.fine.shape[1]
    return Figures(value, psnr, angles * bands / pairs.fine.size if bands > 1 else math.nan)
