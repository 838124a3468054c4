"""Does UNCERTAINTY mean what it says in denoising and super-resolution?

Whole runs of the worker on scenes whose truth is known: shares of the errors within one and two of the deviations that
it writes. (Gap filling: see `gap_scenes`.) The truth is a scene as it was taken, so its own noise counts as error.

Usage: python -m benchmarks.uncertainty [--task NAME...] [--scene NAME...] [--method NAME...] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.superresolve import SCENES
from dip_core.imaging.psf import Psf
from dip_core.job import Compute, DenoiseJob, Job, Outputs, SuperResolveJob

LEVELS = (100.0, 25.0)  # of the noise, in 255ths of a band's range
SEEDS = (0, 1, 2)
METHODS = ("fast", "best")
FACTOR = 2
COLUMNS = ("scene", "task", "method", "MPSNR", "within 1", "by seed", "within 2", "by seed")


def main() -> None:
    """Run what is asked for and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.uncertainty", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--task", nargs="*", default=["denoise", "superresolve"], choices=("denoise", "superresolve"))
    parser.add_argument("--scene", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--method", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for uncertainty.json and .md")
    chosen = parser.parse_args()
    machine = common.Machine("cpu", common.threads())
    rows: list[dict] = []
    for scene in chosen.scene:
        for task in chosen.task:
            for method in chosen.method:
                for row in measured(scene, task, method):
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    found = {"rows": rows, "machine": machine.describe(), "foreign_load": machine.foreign_load()}
    common.save(chosen.out, "uncertainty", found, page(found))


def measured(scene: str, task: str, method: str) -> Iterator[dict]:
    """The rows of a scene, a task and a method."""
    fine = SCENES[scene]()
    if task == "denoise":
        low, high = (end(fine, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
        fine = (fine - low) / np.maximum(high - low, 1e-12)
        for level in LEVELS:
            noise = level / 255.0
            given = [fine + noise * np.random.default_rng(100 + seed).standard_normal(fine.shape) for seed in SEEDS]
            yield _row(scene, f"noise of {level:.0f}/255", method, fine, given)
    else:
        fine = (fine - fine.min()) / (fine.max() - fine.min())
        fine = fine[:, : fine.shape[1] // FACTOR * FACTOR, : fine.shape[2] // FACTOR * FACTOR]
        coarse = Psf(FACTOR).operator((fine.shape[1], fine.shape[2])).apply(fine)
        yield _row(scene, f"enlarged {FACTOR} times", method, fine, [coarse])


def _row(scene: str, task: str, method: str, truth: NDArray, given: list[NDArray]) -> dict:
    runs = [_covered(truth, values, method, seed) for seed, values in enumerate(given)]
    mpsnr, one, two = zip(*runs)
    return {"scene": scene, "task": task, "method": method, "mpsnr": mpsnr, "one": one, "two": two}


def _covered(truth: NDArray, given: NDArray, method: str, seed: int) -> tuple[float, float, float]:
    """MPSNR (peak 1) and the shares of the errors within one and two deviations, in per cent."""
    with tempfile.TemporaryDirectory() as folder:
        source = common.write_raster(Path(folder, "given.tif"), given.astype(np.float32), None, nodata=-9.0)
        outputs = Outputs(str(Path(folder, "out.tif")), uncertainty=str(Path(folder, "deviation.tif")))
        compute = Compute("cpu", seed=seed, threads=common.threads())
        job: Job = DenoiseJob(source, outputs, method=method, compute=compute)
        if given.shape != truth.shape:
            job = SuperResolveJob(source, outputs, FACTOR, method=method, compute=compute)
        common.run_worker(job)
        error = common.read_raster(outputs.output or "").astype(np.float64) - truth
        deviation = common.read_raster(outputs.uncertainty or "").astype(np.float64)
    ratio = np.abs(error) / np.maximum(deviation, 1e-12)
    mpsnr = float(np.mean(-10.0 * np.log10(np.square(error).mean(axis=(1, 2)))))
    return mpsnr, 100.0 * float(np.mean(ratio <= 1)), 100.0 * float(np.mean(ratio <= 2))


def page(found: dict) -> str:
    """The table as Markdown."""
    rows = []
    for row in found["rows"]:
        shares = [cell for key in ("one", "two") for cell in (f"{np.mean(row[key]):.1f}", _range(row[key]))]
        rows.append((row["scene"], row["task"], f"`{row['method']}`", f"{np.mean(row['mpsnr']):.2f}", *shares))
    text = (
        "Per cent of the errors within one and two of the deviations that UNCERTAINTY holds (68.3 and 95.4 are right "
        "for normal errors); noise is normal, with another seed in each of three runs. The truth of Indian Pines and "
        f"ABU is noisy itself, which counts as error here. {common.measured_on([found])}"
    )
    return f"# The uncertainty of denoising and super-resolution\n\n{text}\n\n{common.markdown_table(COLUMNS, rows)}"


def _range(values: list[float]) -> str | None:
    return f"{min(values):.0f} to {max(values):.0f}" if len(values) > 1 else None


if __name__ == "__main__":
    main()
