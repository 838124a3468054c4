"""Times the lean networks and the paper's: milliseconds per iteration, time per pixel, and time of a complete fit.

Runs some iterations of each network on Indian Pines (145 x 145 pixels, 200 bands) with the product's fitting loop. The
lean network of *Denoise HSI* gets eigen-images, as in the product; the others get all bands.

Usage: python -m benchmarks.networks [--iterations N] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import RESULTS, pages
from benchmarks.machine import Machine, limit_threads, measured_on
from benchmarks.papers import protocols
from dip_core.denoising.deep_prior import SEEDS, denoise_bands, denoise_eigen_images
from dip_core.dip.presets import preset
from dip_core.imaging.observation import Observation
from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.registry import GAP_EXPERTS
from dip_core.runtime import devices
from dip_core.runtime.concurrency import map_in_order
from dip_core.runtime.progress import ProgressReporter

EIGEN_IMAGES = 6
SIDE = 145  # pixels, of the recorded image
PAPER, LEAN = "paper_2d", "lean"
_WARM_UP_ITERATIONS = 5  # not timed: on a GPU, the fourth is recorded as a CUDA graph
_LEAN_ITERATIONS = 6  # times those of the paper's networks

Fit = Callable[[int, ProgressReporter], object]


@dataclass(frozen=True)
class Network:
    """A network of a task, the iterations of a complete fit (of all seeds together), and the fit."""

    task: str
    name: str
    iterations: int
    fit: Fit


def main() -> None:
    """Time the networks and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--iterations", type=int, default=9, help="iterations of the paper's networks; lean ones run six times as many"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all networks; the median is reported")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for networks.json and networks.md")
    arguments = parser.parse_args()
    threads = limit_threads()
    device = devices.resolve_device(arguments.device)
    machine = Machine(str(device), threads)
    max_workers = threads if device.type == "cpu" else 1
    rows = time_networks(networks(device), arguments.iterations, arguments.rounds, max_workers)
    print(pages.save(arguments.out, "networks", {"rows": rows, **machine.facts()}, page))


def time_networks(entries: Sequence[Network], iterations: int, rounds: int, max_workers: int) -> list[dict]:
    """A row per network: milliseconds per iteration of one fit on all cores, and of ``max_workers`` fits at a time."""
    worker_counts = sorted({1, max_workers})
    times: dict[tuple[int, int], list[float]] = {}
    for _ in range(rounds):
        for index, network in enumerate(entries):
            for workers in worker_counts:
                number = iterations if network.name == PAPER else _LEAN_ITERATIONS * iterations
                milliseconds = 1e3 * seconds_per_iteration(network.fit, number, workers)
                times.setdefault((index, workers), []).append(milliseconds)
    return [
        {
            "task": network.task,
            "network": network.name,
            "iterations": network.iterations,
            "milliseconds": {str(workers): statistics.median(times[index, workers]) for workers in worker_counts},
        }
        for index, network in enumerate(entries)
    ]


def networks(device: torch.device) -> list[Network]:
    """The paper's network and the lean one, for inpainting and for denoising."""
    problem = protocols.inpainting()
    values = problem.clean[:, :SIDE, :SIDE].astype(np.float32)
    observed = np.ascontiguousarray(problem.observed[:, :SIDE, :SIDE])
    observation = Observation(np.where(observed, values, np.float32(0)), observed, ~observed)
    all_observed = np.ones(values.shape, bool)

    def inpainting(name: str) -> Fit:
        return lambda iterations, progress: GAP_EXPERTS[name].estimate(
            observation, ExpertContext(iterations=iterations, device=device, progress=progress)
        )

    def lean_denoising(iterations: int, progress: ProgressReporter) -> object:
        images = values[:EIGEN_IMAGES] * np.float32(10)
        return denoise_eigen_images(
            images, all_observed[0], device=device, iterations=iterations, seeds=1, progress=progress
        )

    def paper_denoising(iterations: int, progress: ProgressReporter) -> object:
        return denoise_bands(values, all_observed, PAPER, iterations=iterations, device=device, progress=progress)

    def published(task: str, name: str) -> int:
        return preset(task, name).schedule.iterations

    return [
        Network("inpaint", PAPER, published("inpaint", PAPER), inpainting(PAPER)),
        Network("inpaint", LEAN, published("inpaint", "deep_prior"), inpainting("deep_prior")),
        Network("denoise", PAPER, published("denoise", PAPER), paper_denoising),
        Network("denoise", LEAN, published("denoise", "deep_prior") * SEEDS, lean_denoising),
    ]


def seconds_per_iteration(fit: Fit, iterations: int, workers: int = 1) -> float:
    """The time of an iteration if ``workers`` fits run at a time and share the threads, divided by their number."""
    threads = torch.get_num_threads()
    iteration_times: dict[int, list[float]] = {worker: [] for worker in range(workers)}

    def run(worker: int) -> None:
        torch.set_num_threads(max(1, threads // workers))

        def record_time(fraction: float) -> bool:
            iteration_times[worker].append(time.monotonic())
            return True

        fit(iterations, ProgressReporter(record_time))

    try:
        for _ in map_in_order(run, range(workers), workers):
            pass
    finally:
        torch.set_num_threads(threads)
    # Only the time during which all fits run counts.
    start = max(times[_WARM_UP_ITERATIONS] for times in iteration_times.values())
    end = min(times[-1] for times in iteration_times.values())
    if end <= start:
        raise SystemExit("The fits did not run at the same time: use more --iterations.")
    completed = sum(
        np.interp(end, times, range(len(times))) - np.interp(start, times, range(len(times)))
        for times in iteration_times.values()
    )
    return (end - start) / float(completed)


def page(record: dict) -> str:
    """The table as Markdown."""
    papers = {row["task"]: row for row in record["rows"] if row["network"] == PAPER}
    body = []
    for row in record["rows"]:
        own, paper = _fastest(row), _fastest(papers[row["task"]])
        fit_seconds, paper_fit_seconds = (
            milliseconds * entry["iterations"] / 1e3
            for milliseconds, entry in ((own, row), (paper, papers[row["task"]]))
        )
        body.append(
            (
                row["task"],
                f"`{row['network']}`",
                " / ".join(f"{value:.0f}" for value in row["milliseconds"].values()),
                f"{1e3 * own / SIDE**2:.2f}",
                f"{paper / own:.1f}",
                str(row["iterations"]),
                f"{fit_seconds:.0f}",
                f"{paper_fit_seconds / fit_seconds:.1f}",
            )
        )
    columns = (
        "Task",
        "Network",
        "ms per iteration: one fit / several",
        "µs per pixel",
        "paper's time / own time",
        "Iterations",
        "s per fit",
        "paper's fit / own fit",
    )
    text = (
        "Indian Pines, 145 x 145 pixels, 200 bands. The time of an iteration is the median of some rounds. It is "
        "measured in two ways: one fit on all cores; and several fits at a time, one per core, divided by their "
        "number. The product uses the second way for the lean networks if there are several tiles, validation runs or "
        "seeds to fit, and the first for the paper's networks. The other columns use the faster of the two. The time "
        "of a fit is that of all iterations of all seeds. The lean networks often stop earlier, according to observed "
        f"pixels that are left out of the loss; the paper's run to the end. {measured_on([record])}"
    )
    heading = "# The lean networks compared with the paper's"
    return pages.join([heading, text, pages.markdown_table(columns, body)])


def _fastest(row: dict) -> float:
    return min(row["milliseconds"].values())


if __name__ == "__main__":
    main()
