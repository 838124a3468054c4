"""Compares UNCERTAINTY with the true errors in denoising and super-resolution.

Complete runs of the worker on scenes with known truth: percentages of the errors within one and two of the standard
deviations that it writes. (For gap filling see `gap_scenes`.) The truth is a recorded scene, so its own noise counts as
error.

Usage: python -m benchmarks.uncertainty [--task NAME...] [--scene NAME...] [--method NAME...] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import RESULTS, pages, rasters
from benchmarks.machine import Machine, limit_threads, measured_on
from benchmarks.superresolve import SCENES
from benchmarks.worker import run_worker
from dip_core.imaging.psf import Psf
from dip_core.job import Job
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import DenoiseJob, SuperResolveJob

NOISE_LEVELS = (100.0, 25.0)  # standard deviations, in 255ths of the range of a band
SEEDS = (0, 1, 2)
METHODS = ("fast", "best")
TASKS = ("denoise", "superresolve")
FACTOR = 2
COLUMNS = ("scene", "task", "method", "MPSNR", "within 1", "by seed", "within 2", "by seed")


def main() -> None:
    """Run the requested scenes, tasks and methods, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.uncertainty", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--task", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--scene", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--method", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for uncertainty.json and uncertainty.md")
    arguments = parser.parse_args()
    machine = Machine("cpu", limit_threads())
    rows: list[dict] = []
    for scene in arguments.scene:
        for task in arguments.task:
            for method in arguments.method:
                for row in measure(scene, task, method, machine.threads):
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    pages.save(arguments.out, "uncertainty", {"rows": rows, **machine.facts()}, page)


def measure(scene: str, task: str, method: str, threads: int) -> Iterator[dict]:
    """The rows of a scene, a task and a method."""
    truth = SCENES[scene]()
    if task == "denoise":
        low, high = (end(truth, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
        truth = (truth - low) / np.maximum(high - low, 1e-12)
        for level in NOISE_LEVELS:
            sigma = level / 255.0
            inputs = [truth + sigma * np.random.default_rng(100 + seed).standard_normal(truth.shape) for seed in SEEDS]
            yield _row(scene, f"noise of {level:.0f}/255", method, truth, inputs, threads)
    else:
        truth = (truth - truth.min()) / (truth.max() - truth.min())
        truth = truth[:, : truth.shape[1] // FACTOR * FACTOR, : truth.shape[2] // FACTOR * FACTOR]
        coarse = Psf(FACTOR).operator((truth.shape[1], truth.shape[2])).apply(truth)
        yield _row(scene, f"enlarged {FACTOR} times", method, truth, [coarse], threads)


def page(record: dict) -> str:
    """The table as Markdown."""
    rows = []
    for row in record["rows"]:
        coverage = [cell for key in ("one", "two") for cell in (f"{np.mean(row[key]):.1f}", _range(row[key]))]
        rows.append((row["scene"], row["task"], f"`{row['method']}`", f"{np.mean(row['mpsnr']):.2f}", *coverage))
    text = (
        "Percentages of the errors within one and two of the standard deviations in UNCERTAINTY (expected for normal "
        "errors: 68.3 and 95.4). The noise is normal, with a different seed in each of three runs. The truth of Indian "
        f"Pines and ABU contains noise, which counts as error here. {measured_on([record])}"
    )
    heading = "# The uncertainty of denoising and super-resolution"
    return pages.join([heading, text, pages.markdown_table(COLUMNS, rows)])


def _row(
    scene: str, task: str, method: str, truth: NDArray, inputs: Sequence[NDArray], threads: int
) -> dict[str, object]:
    """Name and figures of a row; the figures are tuples with one number per seed."""
    runs = [_measure_run(truth, values, method, seed, threads) for seed, values in enumerate(inputs)]
    mpsnr, one, two = zip(*runs)
    return {"scene": scene, "task": task, "method": method, "mpsnr": mpsnr, "one": one, "two": two}


def _measure_run(truth: NDArray, values: NDArray, method: str, seed: int, threads: int) -> tuple[float, float, float]:
    """MPSNR (peak 1), and the percentages of the errors within one and two standard deviations."""
    with tempfile.TemporaryDirectory() as folder:
        source = rasters.write_raster(Path(folder, "given.tif"), values.astype(np.float32), None, nodata=-9.0)
        outputs = Outputs(str(Path(folder, "out.tif")), uncertainty=str(Path(folder, "deviation.tif")))
        compute = Compute("cpu", seed=seed, threads=threads)
        job: Job = DenoiseJob(source, outputs, method=method, compute=compute)
        if values.shape != truth.shape:
            job = SuperResolveJob(source, outputs, FACTOR, method=method, compute=compute)
        run_worker(job)
        error = rasters.read_raster(outputs.output or "").astype(np.float64) - truth
        deviation = rasters.read_raster(outputs.uncertainty or "").astype(np.float64)
    ratio = np.abs(error) / np.maximum(deviation, 1e-12)
    mpsnr = float(np.mean(-10.0 * np.log10(np.square(error).mean(axis=(1, 2)))))
    return mpsnr, 100.0 * float(np.mean(ratio <= 1)), 100.0 * float(np.mean(ratio <= 2))


def _range(values: Sequence[float]) -> str | None:
    return f"{min(values):.0f} to {max(values):.0f}" if len(values) > 1 else None


if __name__ == "__main__":
    main()
