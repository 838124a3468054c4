"""Restoring one tile: a pure function of arrays, alike on this machine and on a cluster.

A *recipe* is what validation has decided: the mixture, and how its experts run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..arrays import Cube, Mask
from ..dip.cost import memory
from ..imaging.observation import Observation
from ..runtime.concurrency import SharedProgress, run_all
from ..runtime.devices import resolve_device
from ..runtime.memory import available_memory
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.threads import set_torch_threads, usable_threads
from .cross_band import borrow
from .experts.registry import LEAN, NUMPY, PLUG_AND_PLAY, expert
from .features import Surroundings, surroundings
from .stacking import Mixture

# Share of the machine's memory that observations restored side by side may take, but so many bytes at most; and what
# one takes per band and pixel, all classical experts together.
_SHARE, _MOST = 0.25, 4e9
_BYTES = 96


@dataclass(frozen=True)
class Options:
    """How experts with a network run; ``device`` as in a job."""

    device: str = "auto"
    network_input: str = "noise"
    iterations: int | None = None
    threads: int = 0


@dataclass(frozen=True)
class Recipe:
    """The elected mixture, and the options of its experts."""

    mixture: Mixture
    options: Options


@dataclass(frozen=True)
class TileTask:
    """One tile: standardised values, observed and target pixels ``(band, row, column)``, and its seed."""

    values: Cube
    observed: Mask
    target: Mask
    seed: int
    guide: Cube | None = None
    assumed: Mask | None = None

    @classmethod
    def of(cls, observation: Observation, seed: int) -> TileTask:
        """The task of restoring an observation."""
        return cls(
            observation.values, observation.observed, observation.target, seed, observation.guide, observation.assumed
        )


def restore_tile(recipe: Recipe, task: TileTask, progress: ProgressReporter = SILENT) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation, both ``(band, row, column)`` and standardised."""
    observation = Observation(task.values, task.observed, task.target, task.guide, task.assumed)
    if not task.target.any():
        return observation.keep_observed(task.values), np.zeros(task.values.shape, np.float32)
    helped, borrowed = borrow(observation)
    names = [recipe.mixture.names[number] for number in recipe.mixture.used]
    wanted = observation.target & ~observation.measured  # what is borrowed, too
    around: list[Surroundings] = []

    def look() -> None:
        around.append(surroundings(helped, borrowed, wanted))

    estimates = run_experts(names, helped, recipe.options, task.seed, progress, beside=[look])
    return recipe.mixture.combine(estimates, helped, wanted, around[0])


def run_experts(
    names: Sequence[str],
    observation: Observation,
    options: Options,
    seed: int,
    progress: ProgressReporter = SILENT,
    kriged: Cube | None = None,
    beside: Sequence[Callable[[], None]] = (),
) -> list[Cube]:
    """The estimates of the experts called ``names``, in order; ``kriged``: that of kriging, where it is at hand.

    ``progress`` is updated by the experts that can stop, until they are done.

    With two cores at hand, one does what is to be done ``beside`` when it has no expert left to run; and on a CPU,
    kriging and plug and play, which starts from it, run beside the other experts.
    """
    device = resolve_device(options.device) if needs_device(names) else None
    on_cpu = device is None or device.type == "cpu"
    threads = usable_threads(options.threads)
    workers = min(threads, 2)
    first = [name for name in names if name in ("kriging", *PLUG_AND_PLAY)]
    others = [name for name in names if name not in first]
    chains: list[Sequence[str]] = [names]
    if first and others and workers > 1 and on_cpu:
        chains = [first, *([name] for name in others)]
    each = threads // 2 if len(chains) > 1 else threads
    shared = SharedProgress(len(names), lambda done, _: progress.update(done))
    found: dict[str, Cube] = {}

    def estimate(name: str) -> None:
        place = names.index(name)

        def update(fraction: float) -> bool:
            # An update after the end could cause a warning about a method that was cut short, though it was not.
            return fraction >= 1.0 or shared.update(place, fraction)

        found[name] = expert(
            name,
            seed=seed,
            device=device,
            network_input=options.network_input,
            iterations=options.iterations,
            kriged=found.get("kriging", kriged),
            progress=ProgressReporter(update),
        )(observation)
        shared.finish(place)

    def run(chain: Sequence[str]) -> None:
        if device is not None:
            set_torch_threads(each)
        for name in chain:
            estimate(name)

    def watched(job: Callable[[], None]) -> None:
        with shared.watch():
            job()

    jobs: list[Callable[[], None]] = [*(partial(run, chain) for chain in chains), *beside]
    try:
        run_all([partial(watched, job) for job in jobs], workers)
    finally:
        if device is not None:
            set_torch_threads(threads)
    return [found[name] for name in names]


def needs_device(names: Sequence[str]) -> bool:
    """Whether any expert of these computes with torch, on a device; the others need the processor and no torch."""
    return not set(names) <= set(NUMPY)


def side_by_side(names: Sequence[str], options: Options, bands: int, pixels: int, count: int) -> tuple[int, Options]:
    """How many of ``count`` observations of so many bands and pixels to restore at a time, and each one's options.

    The papers' networks, and whatever runs on a GPU, use all of it one at a time. The lean network is too narrow to
    keep several cores busy.
    """
    narrow = set(names) <= {*NUMPY, *PLUG_AND_PLAY, LEAN}
    if not narrow or (needs_device(names) and resolve_device(options.device).type != "cpu"):
        return 1, options
    threads = usable_threads(options.threads)
    each = _BYTES * bands * pixels + (memory(LEAN, pixels, bands) if LEAN in names else 0.0)
    workers = max(1, min(threads, count, int(min(_MOST, _SHARE * available_memory()) / each)))
    return workers, replace(options, threads=threads // workers)
