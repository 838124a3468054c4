"""Runs several gap experts on one observation, and decides how many observations are filled at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..arrays import Cube
from ..dip.cost import fit_memory
from ..imaging.observation import Observation
from ..runtime.concurrency import SharedProgress, run_all
from ..runtime.devices import resolve_device
from ..runtime.memory import total_memory
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.threads import set_torch_threads, usable_threads
from .experts.interface import ExpertContext
from .experts.registry import GAP_EXPERTS

# For all observations that are filled at a time: a share of the machine's memory, and bytes.
_MAX_MEMORY_SHARE, _MAX_MEMORY = 0.25, 4e9
_BYTES_PER_VALUE = 96  # per band and pixel, for all experts without a network together
_MAX_CONCURRENT_EXPERTS = 2


@dataclass(frozen=True)
class ExpertOptions:
    """How experts run.

    ``device``: as in a job. ``iterations``: of networks, None for the preset's number. ``threads``: 0 for automatic.
    """

    device: str = "auto"
    network_input: str = "noise"
    iterations: int | None = None
    threads: int = 0


def run_gap_experts(
    names: Sequence[str],
    observation: Observation,
    options: ExpertOptions,
    seed: int,
    progress: ProgressReporter = SILENT,
    beside: Sequence[Callable[[], None]] = (),
) -> list[Cube]:
    """The estimates of the experts called ``names``, in this order.

    ``progress`` is updated by iterative experts until they end. ``beside``: callables that run in the second worker
    once it has no expert left; an error in one of them stops the experts.

    With two threads on a CPU, an expert and those that start from its estimate run one after another, beside the other
    experts.
    """
    device = resolve_device(options.device) if needs_device(names) else None
    on_cpu = device is None or device.type == "cpu"
    threads = usable_threads(options.threads)
    workers = min(threads, _MAX_CONCURRENT_EXPERTS)
    sources = {record.starts_from for record in GAP_EXPERTS.values()}
    dependent = [name for name in names if name in sources or GAP_EXPERTS[name].starts_from]
    independent = [name for name in names if name not in dependent]
    sequences: list[Sequence[str]] = [names]
    if dependent and independent and workers > 1 and on_cpu:
        sequences = [dependent, *([name] for name in independent)]
    threads_each = threads // 2 if len(sequences) > 1 else threads
    shared = SharedProgress(len(names), lambda done, _: progress.update(done))
    estimates: dict[str, Cube] = {}

    def run_expert(name: str) -> None:
        index = names.index(name)

        def update(fraction: float) -> bool:
            # An update after the end could cause a warning about a method that was cut short, though it was not.
            return fraction >= 1.0 or shared.update(index, fraction)

        record = GAP_EXPERTS[name]
        context = ExpertContext(
            seed=seed,
            device=device,
            network_input=options.network_input,
            iterations=options.iterations,
            start=estimates.get(record.starts_from) if record.starts_from else None,
            progress=ProgressReporter(update),
        )
        estimates[name] = record.estimate(observation, context)
        shared.finish(index)

    def run_sequence(sequence: Sequence[str]) -> None:
        if device is not None:
            set_torch_threads(threads_each)
        for name in sequence:
            run_expert(name)

    def run_watched(job: Callable[[], None]) -> None:
        with shared.watch():
            job()

    jobs: list[Callable[[], None]] = [*(partial(run_sequence, sequence) for sequence in sequences), *beside]
    try:
        run_all([partial(run_watched, job) for job in jobs], workers)
    finally:
        if device is not None:
            set_torch_threads(threads)
    return [estimates[name] for name in names]


def needs_device(names: Sequence[str]) -> bool:
    """Whether any of these experts computes with torch."""
    return any(GAP_EXPERTS[name].needs_device for name in names)


def needs_networks(names: Sequence[str]) -> bool:
    """Whether any of these experts fits a network."""
    return any(GAP_EXPERTS[name].network for name in names)


def concurrent_windows(
    names: Sequence[str], options: ExpertOptions, bands: int, pixels: int, count: int
) -> tuple[int, ExpertOptions]:
    """How many of ``count`` windows of ``pixels`` pixels to fill at a time, and the options for each of them.

    One at a time on a GPU, or if one expert uses all cores; otherwise as many as threads and memory allow.
    """
    records = [GAP_EXPERTS[name] for name in names]
    if any(record.uses_all_cores for record in records):
        return 1, options
    if needs_device(names) and resolve_device(options.device).type != "cpu":
        return 1, options
    threads = usable_threads(options.threads)
    networks = sum(fit_memory(record.name, pixels, bands) for record in records if record.network)
    bytes_each = _BYTES_PER_VALUE * bands * pixels + networks
    # Not the available memory: a network's result depends on its number of threads, which must not vary between runs.
    fitting = int(min(_MAX_MEMORY, _MAX_MEMORY_SHARE * total_memory()) / bytes_each)
    workers = max(1, min(threads, count, fitting))
    return workers, replace(options, threads=threads // workers)
