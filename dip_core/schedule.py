"""The *schedule* of a fit: how long and how, without the fit."""

from __future__ import annotations

from dataclasses import dataclass

OPTIMISERS = ("adam", "lbfgs")


@dataclass(frozen=True)
class Schedule:
    """How long and how to fit.

    ``perturbation``: standard deviation of the noise added to the input (the papers' sigma_p). ``redraw``: draw it anew
    for every iteration, as published; otherwise it is cut from numbers that were drawn once, each time at another
    place, which on a CPU saves up to a tenth of a lean network's time.
    ``average``: decay of the moving average of outputs, None for the last output as it is.
    ``patience``: iterations without a better check score before the loop stops, None for never.
    ``reduced_precision``: bfloat16 convolutions where the device is fast at them.
    ``optimiser``: adam, or lbfgs (with a line search; give it a learning rate of 1).
    ``optimise_input``: fit the input together with the weights.
    """

    iterations: int
    learning_rate: float = 0.01
    perturbation: float = 0.1
    redraw: bool = True
    average: float | None = None
    patience: int | None = None
    reduced_precision: bool = False
    optimiser: str = "adam"
    optimise_input: bool = False

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"The optimiser '{self.optimiser}' is unknown: use one of {', '.join(OPTIMISERS)}.")
