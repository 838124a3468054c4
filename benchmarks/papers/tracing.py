"""The *trace* of an untrained network: the product's own fit, watched.

`Tracer` is an energy that passes everything on to the real one; the loop of `dip_core.dip.fitting` hands it the image
of every iteration, and at some of them it looks. The schedule is the preset's, only shorter where asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dip_core.dip import build
from dip_core.dip.architecture import Architecture
from dip_core.dip.data_fidelity import DataFidelity, DownsamplingFidelity, FullFidelity, MaskedFidelity
from dip_core.dip.fitting import fit, jumped, moving_average
from dip_core.dip.presets import Preset
from dip_core.imaging import degradation

from .protocols import Problem

AVERAGE = 0.99  # of the authors' denoising notebook; here watched in all tasks
# Other published settings for the same networks, to be tried one at a time.
VARIANTS: dict[str, Callable[[Preset], Preset]] = {
    "bfloat16": lambda chosen: replace(chosen, schedule=replace(chosen.schedule, reduced_precision=True)),
    "unperturbed": lambda chosen: replace(chosen, schedule=replace(chosen.schedule, perturbation=0.0)),
    "meshgrid": lambda chosen: chosen,
    "bilinear": lambda chosen: replace(chosen, architecture=replace(chosen.architecture, upsample="bilinear")),
    "no_skips": lambda chosen: replace(chosen, architecture=_NO_SKIPS),
}
_NO_SKIPS = Architecture(
    down=(16, 32, 64, 128, 128, 128), up=(16, 32, 64, 128, 128, 128), skip=(0,) * 6, pointwise_after_up=False
)


@dataclass(frozen=True)
class Look:
    """What was seen at an iteration: its image and the average of all so far ``(band, row, column)``.

    ``seconds``: of fitting until then, without the looks.
    """

    iteration: int
    loss: float
    seconds: float
    image: NDArray[np.float32]
    average: NDArray[np.float32]


class Tracer:
    """An energy that looks at the images it is handed, at the iterations ``at``, and keeps their average."""

    def __init__(self, energy: DataFidelity, at: Collection[int], look: Callable[[Look], None]) -> None:
        self.predict = energy.predict
        self._energy, self._at, self._look = energy, frozenset(at), look
        self._losses: list[float] = []
        self._average: Tensor | None = None
        self._start = perf_counter()
        self._looking = 0.0

    @property
    def iterations(self) -> int:
        """Iterations so far."""
        return len(self._losses)

    @property
    def seconds(self) -> float:
        """Seconds of fitting so far, without the looks."""
        return perf_counter() - self._start - self._looking

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """The real energy of the image."""
        value = self._energy.loss(image, observation)
        self._losses.append(float(value.detach()))
        if not jumped(self._losses):  # else the loop drops the image too
            self._average = moving_average(self._average, image.detach(), AVERAGE, self.iterations)
        if self.iterations in self._at and self._average is not None:
            began = perf_counter()
            seconds = began - self._start - self._looking
            self._look(Look(self.iterations, self._losses[-1], seconds, _cube(image.detach()), _cube(self._average)))
            self._looking += perf_counter() - began
        return value


def when(iterations: int) -> list[int]:
    """The iterations to look at: 100, 250, 400 (as in the authors' log), 500, 750, 1000, then by 500, and the last."""
    return sorted({n for n in (100, 250, 400, 500, 750, *range(1000, iterations, 500), iterations) if n <= iterations})


def trace(
    problem: Problem,
    chosen: Preset,
    look: Callable[[Look], None],
    *,
    at: Collection[int],
    seed: int,
    device: torch.device,
    network_input: str = "noise",
) -> tuple[int, Tracer]:
    """Fit a preset to a problem; the number of its parameters, and the tracer, which knows iterations and seconds.

    The protocols' data are in 0..1 already and are fitted as they stand.
    """
    generator = torch.Generator().manual_seed(seed)
    # The perturbation is drawn where it is added: on the way to a GPU it would take longer than the fit.
    perturbing = torch.Generator(device).manual_seed(seed)

    def tensor(array: NDArray) -> Tensor:
        return build.to_network_layout(chosen, torch.from_numpy(array.astype(np.float32))).to(device)

    shape = (problem.clean.shape[0], problem.clean.shape[1], problem.clean.shape[2])
    drawn = build.draw_network_input(chosen, shape, network_input, generator)
    network, noise = build.place_network(lambda: build.build_network(chosen, shape[0], drawn.shape[1]), drawn, seed, device)
    given = tensor(problem.given)
    tracer = Tracer(energy_of(problem, given, tensor), at, look)
    fit(network, noise, given, tracer, chosen.schedule, generator=perturbing)
    return sum(parameter.numel() for parameter in network.parameters()), tracer


def energy_of(problem: Problem, given: Tensor, tensor: Callable[[NDArray], Tensor]) -> DataFidelity:
    """The energy of equation 4, 5 or 6 for the problem; the authors degrade by Lanczos2, whatever the data's optics."""
    if problem.factor > 1:
        rows, columns = problem.clean.shape[1:]
        return DownsamplingFidelity(degradation.lanczos_decimation((rows, columns), problem.factor), given)
    if problem.hidden is not None:
        return MaskedFidelity(tensor(problem.observed))
    return FullFidelity()


def _cube(image: Tensor) -> NDArray[np.float32]:
    return image.reshape(image.shape[-3:]).float().cpu().numpy().copy()
