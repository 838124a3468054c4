"""Traces an untrained network: takes snapshots during the product's own fit, without changing it.

`Tracer` wraps the data fidelity term, which gets the image of every iteration. The schedule is the preset's, with fewer
iterations on request.
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
from dip_core.dip.fitting import fit, loss_jumped, moving_average
from dip_core.dip.presets import Preset
from dip_core.imaging import degradation

from .protocols import Problem

AVERAGE_DECAY = 0.99  # of the moving average in the authors' denoising notebook; here used in all tasks
_NO_SKIPS = Architecture(
    down=(16, 32, 64, 128, 128, 128), up=(16, 32, 64, 128, 128, 128), skip=(0,) * 6, pointwise_after_up=False
)
# Other published settings of the same networks, to be tried one at a time.
VARIANTS: dict[str, Callable[[Preset], Preset]] = {
    "bfloat16": lambda chosen: replace(chosen, schedule=replace(chosen.schedule, reduced_precision=True)),
    "unperturbed": lambda chosen: replace(chosen, schedule=replace(chosen.schedule, perturbation=0.0)),
    "meshgrid": lambda chosen: chosen,  # an input, not a preset; see `trace`
    "bilinear": lambda chosen: replace(chosen, architecture=replace(chosen.architecture, upsample="bilinear")),
    "no_skips": lambda chosen: replace(chosen, architecture=_NO_SKIPS),
}


@dataclass(frozen=True)
class Snapshot:
    """The image of an iteration and the moving average of all images so far, ``(band, row, column)``.

    ``seconds``: of fitting until then, without the time that snapshots take.
    """

    iteration: int
    loss: float
    seconds: float
    image: NDArray[np.float32]
    average: NDArray[np.float32]


class Tracer:
    """A data fidelity term that also passes a `Snapshot` to ``on_snapshot`` at the iterations ``at``."""

    def __init__(self, fidelity: DataFidelity, at: Collection[int], on_snapshot: Callable[[Snapshot], None]) -> None:
        self.predict = fidelity.predict
        self._fidelity, self._at, self._on_snapshot = fidelity, frozenset(at), on_snapshot
        self._losses: list[float] = []
        self._average: Tensor | None = None
        self._start = perf_counter()
        self._snapshot_seconds = 0.0

    @property
    def iterations(self) -> int:
        """Iterations so far."""
        return len(self._losses)

    @property
    def seconds(self) -> float:
        """Seconds of fitting so far, without the time that snapshots take."""
        return perf_counter() - self._start - self._snapshot_seconds

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """The loss of the wrapped term."""
        value = self._fidelity.loss(image, observation)
        self._losses.append(float(value.detach()))
        if not loss_jumped(self._losses):  # otherwise the fitting loop does not use the image either
            self._average = moving_average(self._average, image.detach(), AVERAGE_DECAY, self.iterations)
        if self.iterations in self._at and self._average is not None:
            start = perf_counter()
            seconds = start - self._start - self._snapshot_seconds
            self._on_snapshot(
                Snapshot(self.iterations, self._losses[-1], seconds, _cube(image.detach()), _cube(self._average))
            )
            self._snapshot_seconds += perf_counter() - start
        return value


def snapshot_iterations(iterations: int) -> list[int]:
    """Iterations of the snapshots: 100, 250, 400 (as in the authors' log), 500, 750, every 500 from 1000, the last."""
    return sorted({n for n in (100, 250, 400, 500, 750, *range(1000, iterations, 500), iterations) if n <= iterations})


def trace(
    problem: Problem,
    chosen: Preset,
    on_snapshot: Callable[[Snapshot], None],
    *,
    at: Collection[int],
    seed: int,
    device: torch.device,
    network_input: str = "noise",
) -> tuple[int, Tracer]:
    """Fit a preset to a problem; returns the number of its parameters and the tracer.

    The data of the protocols lie in 0..1 already and are not scaled.
    """
    generator = torch.Generator().manual_seed(seed)
    # Drawn on the device: copying the perturbation to a GPU would take longer than the fit.
    perturbation_generator = torch.Generator(device).manual_seed(seed)

    def tensor(array: NDArray) -> Tensor:
        return build.to_network_layout(chosen, torch.from_numpy(array.astype(np.float32))).to(device)

    shape = (problem.clean.shape[0], problem.clean.shape[1], problem.clean.shape[2])
    drawn = build.draw_network_input(chosen, shape, network_input, generator)
    network, placed_input = build.place_network(
        lambda: build.build_network(chosen, shape[0], drawn.shape[1]), drawn, seed, device
    )
    given = tensor(problem.given)
    tracer = Tracer(fidelity_of(problem, given, tensor), at, on_snapshot)
    fit(network, placed_input, given, tracer, chosen.schedule, generator=perturbation_generator)
    return sum(parameter.numel() for parameter in network.parameters()), tracer


def fidelity_of(problem: Problem, given: Tensor, tensor: Callable[[NDArray], Tensor]) -> DataFidelity:
    """The data fidelity term of equation 4, 5 or 6.

    The authors downsample with Lanczos2, whatever the point spread function of the data.
    """
    if problem.factor > 1:
        rows, columns = problem.clean.shape[1:]
        return DownsamplingFidelity(degradation.lanczos_decimation((rows, columns), problem.factor), given)
    if problem.hidden is not None:
        return MaskedFidelity(tensor(problem.observed))
    return FullFidelity()


def _cube(image: Tensor) -> NDArray[np.float32]:
    return image.reshape(image.shape[-3:]).float().cpu().numpy().copy()
