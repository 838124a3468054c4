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
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import common
from benchmarks.papers import protocols
from dip_core import devices
from dip_core.experts import eigen_prior
from dip_core.experts.deep_prior import deep_prior, denoised
from dip_core.observation import Observation
from dip_core.presets import preset

EIGEN_IMAGES = 6
SIDE = 145  # pixels: of the scene as it was recorded
_WARM_UP = 2  # iterations that are not counted
PAPER, LEAN = "paper_2d", "lean"
Fit = Callable[[int, Callable[[float], bool]], object]


def main() -> None:
    """Time the networks and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--iterations", type=int, default=12, help="of each network, two of which are not counted")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for networks.json and networks.md")
    chosen = parser.parse_args()
    threads = common.threads()
    device = devices.resolve(chosen.device)
    machine = common.Machine(str(device), threads)
    rows = [
        {"task": task, "network": name, "iterations": whole, "milliseconds": 1e3 * seconds(fit, chosen.iterations)}
        for task, name, whole, fit in networks(device)
    ]
    found = {"rows": rows, "machine": machine.describe(), "foreign_load": machine.foreign_load()}
    common.save(chosen.out, "networks", found, page(found))
    print(page(found))


def networks(device: torch.device) -> list[tuple[str, str, int, Fit]]:
    """Task, name, iterations of a whole fit (of all seeds together), and the fit."""
    problem = protocols.inpainting()
    values = problem.clean[:, :SIDE, :SIDE].astype(np.float32)
    observed = np.ascontiguousarray(problem.observed[:, :SIDE, :SIDE])
    gappy = Observation(np.where(observed, values, np.float32(0)), observed, ~observed)
    everything = np.ones(values.shape, bool)
    schedule = eigen_prior.SCHEDULE

    def inpainting(name: str) -> Fit:
        return lambda iterations, follow: deep_prior(
            gappy, name=name, iterations=iterations, device=device, follow=follow
        )

    def lean(iterations: int, follow: Callable[[float], bool]) -> object:
        images = values[:EIGEN_IMAGES] * np.float32(10)
        shorter = replace(schedule, iterations=iterations)
        return eigen_prior.eigen_prior(images, everything[0], device=device, schedule=shorter, seeds=1, follow=follow)

    return [
        ("inpaint", PAPER, preset("inpaint", PAPER).schedule.iterations, inpainting(PAPER)),
        ("inpaint", LEAN, preset("inpaint", "deep_prior").schedule.iterations, inpainting("deep_prior")),
        (
            "denoise",
            PAPER,
            preset("denoise", PAPER).schedule.iterations,
            lambda iterations, follow: denoised(
                values, everything, PAPER, iterations=iterations, device=device, follow=follow
            ),
        ),
        ("denoise", LEAN, schedule.iterations * eigen_prior.SEEDS, lean),
    ]


def seconds(fit: Fit, iterations: int) -> float:
    """The median time of an iteration."""
    told: list[float] = []

    def follow(fraction: float) -> bool:
        told.append(time.monotonic())
        return True

    fit(iterations, follow)
    return statistics.median(after - before for before, after in zip(told[_WARM_UP:], told[_WARM_UP + 1 :]))


def page(found: dict) -> str:
    """The table as Markdown."""
    body = []
    for row in found["rows"]:
        paper = next(other for other in found["rows"] if other["task"] == row["task"] and other["network"] == PAPER)
        whole, paper_whole = (one["milliseconds"] * one["iterations"] / 1e3 for one in (row, paper))
        body.append(
            (
                row["task"],
                f"`{row['network']}`",
                f"{row['milliseconds']:.0f}",
                f"{1e3 * row['milliseconds'] / SIDE**2:.2f}",
                f"{paper['milliseconds'] / row['milliseconds']:.1f}",
                str(row["iterations"]),
                f"{whole:.0f}",
                f"{paper_whole / whole:.1f}",
            )
        )
    heads = (
        "Task",
        "Network",
        "ms an iteration",
        "µs a pixel",
        "paper's time / its own",
        "Iterations",
        "s a fit",
        "paper's fit / its own",
    )
    text = (
        "Indian Pines, 145 x 145 pixels, 200 bands; median time of an iteration. A whole fit is that time times the "
        "iterations of all seeds: the lean networks stop earlier by the observed pixels left out of the fit, the "
        f"paper's run to their end. {common.measured_on([found])}"
    )
    return f"# The lean networks beside the paper's\n\n{text}\n\n{common.markdown_table(heads, body)}"


if __name__ == "__main__":
    main()
