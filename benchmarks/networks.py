"""The lean networks beside the paper's: milliseconds an iteration, time a pixel, and time of a whole fit.

Indian Pines (145 x 145 pixels, 200 bands), a few iterations of each network by the product's own fit, in one run. The
lean prior of *Denoise HSI* sees eigen-images, as the product gives them to it; the others see all bands.

Usage: python -m benchmarks.networks [--iterations N] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import common
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
SIDE = 145  # pixels: of the scene as it was recorded
_WARM_UP = 5  # iterations that are not counted: on a GPU, the fourth is recorded
PAPER, LEAN = "paper_2d", "lean"
_LEAN_RUNS = 6  # times the iterations of the paper's networks
Fit = Callable[[int, ProgressReporter], object]
Network = tuple[str, str, int, Fit]  # task, name, iterations of a whole fit (of all seeds together), and the fit


def main() -> None:
    """Time the networks and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--iterations", type=int, default=9, help="of the paper's networks; lean ones run six times that"
    )
    parser.add_argument("--rounds", type=int, default=3, help="in each of which all networks run; the median counts")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for networks.json and networks.md")
    chosen = parser.parse_args()
    threads = common.threads()
    device = devices.resolve_device(chosen.device)
    machine = common.Machine(str(device), threads)
    rows = measured(networks(device), chosen.iterations, chosen.rounds, threads if device.type == "cpu" else 1)
    found = {"rows": rows, "machine": machine.describe(), "foreign_load": machine.foreign_load()}
    common.save(chosen.out, "networks", found, page(found))
    print(page(found))


def measured(them: list[Network], iterations: int, rounds: int, most: int) -> list[dict]:
    """A row for each network: milliseconds of an iteration, one fit on all cores or ``most`` fits on a core each."""
    ways = sorted({1, most})
    taken: dict[tuple[int, int], list[float]] = {}
    for _ in range(rounds):
        for place, (_, name, _, fit) in enumerate(them):
            for workers in ways:
                number = iterations if name == PAPER else _LEAN_RUNS * iterations
                taken.setdefault((place, workers), []).append(1e3 * seconds(fit, number, workers))
    return [
        {
            "task": task,
            "network": name,
            "iterations": whole,
            "milliseconds": {str(workers): statistics.median(taken[place, workers]) for workers in ways},
        }
        for place, (task, name, whole, _) in enumerate(them)
    ]


def networks(device: torch.device) -> list[Network]:
    """The paper's network and the lean one of either task."""
    problem = protocols.inpainting()
    values = problem.clean[:, :SIDE, :SIDE].astype(np.float32)
    observed = np.ascontiguousarray(problem.observed[:, :SIDE, :SIDE])
    gappy = Observation(np.where(observed, values, np.float32(0)), observed, ~observed)
    everything = np.ones(values.shape, bool)

    def inpainting(name: str) -> Fit:
        return lambda iterations, progress: GAP_EXPERTS[name].estimate(
            gappy, ExpertContext(iterations=iterations, device=device, progress=progress)
        )

    def lean(iterations: int, progress: ProgressReporter) -> object:
        images = values[:EIGEN_IMAGES] * np.float32(10)
        return denoise_eigen_images(
            images, everything[0], device=device, iterations=iterations, seeds=1, progress=progress
        )

    return [
        ("inpaint", PAPER, preset("inpaint", PAPER).schedule.iterations, inpainting(PAPER)),
        ("inpaint", LEAN, preset("inpaint", "deep_prior").schedule.iterations, inpainting("deep_prior")),
        (
            "denoise",
            PAPER,
            preset("denoise", PAPER).schedule.iterations,
            lambda iterations, progress: denoise_bands(
                values, everything, PAPER, iterations=iterations, device=device, progress=progress
            ),
        ),
        ("denoise", LEAN, preset("denoise", "deep_prior").schedule.iterations * SEEDS, lean),
    ]


def seconds(fit: Fit, iterations: int, workers: int = 1) -> float:
    """The time of an iteration, of so many fits side by side on their shares of the cores."""
    threads = torch.get_num_threads()
    told: dict[int, list[float]] = {worker: [] for worker in range(workers)}

    def run(worker: int) -> None:
        torch.set_num_threads(max(1, threads // workers))

        def take_time(fraction: float) -> bool:
            told[worker].append(time.monotonic())
            return True

        fit(iterations, ProgressReporter(take_time))

    try:
        for _ in map_in_order(run, range(workers), workers):
            pass
    finally:
        torch.set_num_threads(threads)
    # What counts is when all fits are under way: from the last one's start to the first one's end.
    start, end = max(times[_WARM_UP] for times in told.values()), min(times[-1] for times in told.values())
    if end <= start:
        raise SystemExit("The fits did not run at the same time: give more --iterations.")
    done = sum(
        np.interp(end, times, range(len(times))) - np.interp(start, times, range(len(times))) for times in told.values()
    )
    return (end - start) / float(done)


def page(found: dict) -> str:
    """The table as Markdown."""
    body = []
    for row in found["rows"]:
        paper = next(other for other in found["rows"] if other["task"] == row["task"] and other["network"] == PAPER)
        (own, whole), (papers, paper_whole) = (
            (min(one["milliseconds"].values()), min(one["milliseconds"].values()) * one["iterations"] / 1e3)
            for one in (row, paper)
        )
        body.append(
            (
                row["task"],
                f"`{row['network']}`",
                " / ".join(f"{value:.0f}" for value in row["milliseconds"].values()),
                f"{1e3 * own / SIDE**2:.2f}",
                f"{papers / own:.1f}",
                str(row["iterations"]),
                f"{whole:.0f}",
                f"{paper_whole / whole:.1f}",
            )
        )
    heads = (
        "Task",
        "Network",
        "ms an iteration: one fit / side by side",
        "µs a pixel",
        "paper's time / its own",
        "Iterations",
        "s a fit",
        "paper's fit / its own",
    )
    text = (
        "Indian Pines, 145 x 145 pixels, 200 bands; time of an iteration, the median of some rounds: of one fit on all "
        "cores, and of as many fits at a time as there are cores, on one core each (so divided by their number). The "
        "product runs the lean networks in the second way where it has several tiles, hold-outs or seeds to fit, and "
        "the paper's in the first; the other columns take the quicker one of both. A whole fit is that time times the "
        "iterations of all seeds: the lean networks stop earlier by the observed pixels left out of the fit, the "
        f"paper's run to their end. {common.measured_on([found])}"
    )
    return f"# The lean networks beside the paper's\n\n{text}\n\n{common.markdown_table(heads, body)}"


if __name__ == "__main__":
    main()
