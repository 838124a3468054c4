"""Compares gap filling with GDAL's Fill nodata and other methods on all test scenes.

It measures error, uncertainty, time and memory. Two kinds of hidden pixels are scored: the reference pixels, which are
removed from the scene before the product reads it (see `scene_cases`), and the hidden test pixels of the product's own
validation, from its report.

Usage: python -m benchmarks.gap_scenes [--scene NAME...] [--deep-prior] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import RESULTS, grass, pages, rasters
from benchmarks.gap_scenes_page import COVERAGE, page
from benchmarks.machine import Machine, PeakMemory, limit_threads
from benchmarks.scene_cases import CASES, GUIDED_SUFFIX, SEED, CaseArrays, GapCase, rmse
from benchmarks.single_methods import expert_fills, other_fills
from benchmarks.worker import run_worker
from dip_core import comparison
from dip_core.arrays import Mask
from dip_core.inpainting.experts.registry import gap_expert_names
from dip_core.inpainting.run_experts import ExpertOptions
from dip_core.job_fields import Outputs
from dip_core.runtime import devices

PRODUCT = ("fast", "best")


@dataclass(frozen=True)
class Setup:
    """Device and threads of all runs; ``with_network``: also run the deep prior where it is not a candidate."""

    device: str
    threads: int
    with_network: bool = False


def main() -> None:
    """Run the requested cases and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap_scenes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--scene", nargs="*", default=list(CASES), choices=list(CASES), metavar="NAME")
    parser.add_argument(
        "--deep-prior", action="store_true", help="also score the deep prior where it is not a candidate (slow)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for gap_scenes.json and gap_scenes.md")
    arguments = parser.parse_args()
    setup = Setup(str(devices.resolve_device(arguments.device)), limit_threads(), arguments.deep_prior)
    record = pages.load(arguments.out, "gap_scenes") or {}
    results: dict[str, dict] = {}
    for name in arguments.scene:
        machine = Machine(setup.device, setup.threads)
        unguided = results.get(name.removesuffix(GUIDED_SUFFIX)) if name.endswith(GUIDED_SUFFIX) else None
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(CASES[name](name, Path(folder)), Path(folder), setup, unguided)
        record[name] = {**results[name], **machine.facts()}
        record = {case: record[case] for case in CASES if case in record}
        pages.save(arguments.out, "gap_scenes", record, page)
        print(name, json.dumps({key: round(value, 4) for key, value in results[name]["rmse"].items()}), flush=True)


def measure(case: GapCase, folder: Path, setup: Setup, unguided: Mapping[str, dict] | None = None) -> dict:
    """All figures of one case.

    ``unguided``: those of the same case without a guide, from the same run; the figures of methods that do not use a
    guide are copied from it.
    """
    copied = {name: value for name, value in (unguided or {}).get("rmse", {}).items() if name not in PRODUCT}
    runs: dict[str, dict] = {}
    fills: dict[str, NDArray] = {}
    deviations: dict[str, NDArray] = {}
    for method in PRODUCT:
        fills[method], deviations[method], runs[method] = _run_product(case, method, folder, setup)
    arrays = case.read()
    candidates = {*runs["best"]["heldout_scores"], *(("deep_prior",) if setup.with_network else ())}
    experts = [name for name in gap_expert_names(published=False) if name in candidates]
    single_fills, single_costs, notes = _run_single_methods(case, arrays, experts, set(copied), folder, setup)
    fills |= single_fills
    costs = {method: {"seconds": run["seconds"], "peak_mib": run["peak_mib"]} for method, run in runs.items()}
    costs |= single_costs
    errors = {name: arrays.errors(fill, case.truth) for name, fill in fills.items()}
    for method, run in runs.items():
        deviation = np.maximum(deviations[method][arrays.scored], 1e-9)
        ratio = np.abs(errors[method]) * arrays.deviations / deviation
        run["coverage"] = {key: float(np.mean(ratio <= number)) for key, number in COVERAGE.items()}
    target, observed = arrays.observation.target, arrays.observation.observed
    return {
        "shape": list(case.truth.shape),
        "missing_percent": 100.0 * float(target.mean()),
        "reference_values": int(np.count_nonzero(arrays.scored)),
        "reference_left": int(np.count_nonzero(case.scored & ~target)),
        "rmse": copied | {name: rmse(error) for name, error in errors.items()},
        "rows": {name: row for name, row in (unguided or {}).get("rows", {}).items() if name in copied}
        | {name: {**scores(fill, case.truth, observed, arrays.scored), **costs[name]} for name, fill in fills.items()},
        "notes": notes,
        "runs": runs,
    }


def scores(fill: NDArray, truth: NDArray, observed: Mask, scored: Mask) -> dict[str, float | None]:
    """PSNR and spectral angle on the scored pixels; SSIM of the whole image, None if its truth is not known.

    The peak of a band is the range of its true pixels; the spectral angle is that of pixels with any scored band.
    """
    known: Mask = observed | scored
    peaks = [comparison.peak_of(*comparison.value_range(band[where])) for band, where in zip(truth, known)]
    hidden = comparison.Comparison(peaks)
    hidden.add(fill, truth, scored)
    found = hidden.scores()
    similarity = comparison.compare(fill, truth)["mssim"] if known.all() else None
    return {"mpsnr": found["mpsnr"], "ssim": similarity, "sam": found["sam"]}


def _run_product(case: GapCase, method: str, folder: Path, setup: Setup) -> tuple[NDArray, NDArray, dict]:
    """The fill, its predicted standard deviation, and the facts of a complete run of the worker."""
    outputs = Outputs(
        output=str(folder / f"{method}.tif"),
        uncertainty=str(folder / f"{method}_deviation.tif"),
        report=str(folder / f"{method}.html"),
    )
    run = run_worker(case.job(method, outputs, setup.device, setup.threads))
    facts = {
        "seconds": run.seconds,
        "peak_mib": run.peak_mib,
        "numbers": run.numbers,
        "heldout_scores": run.record.get("data", {}).get("scores", {}),
        "messages": run.messages,
    }
    return rasters.read_raster(outputs.output or ""), rasters.read_raster(outputs.uncertainty or ""), facts


def _run_single_methods(
    case: GapCase, arrays: CaseArrays, experts: list[str], copied: set[str], folder: Path, setup: Setup
) -> tuple[dict[str, NDArray], dict[str, dict], dict[str, str]]:
    """Fills and costs of each method alone, and a note for each that could not be run."""
    options = ExpertOptions(setup.device, threads=setup.threads)
    functions = {
        **other_fills(arrays.observation, folder, Path(case.scene)),
        **expert_fills(experts, arrays.observation, options, SEED),
    }
    fills: dict[str, NDArray] = {}
    costs: dict[str, dict] = {}
    notes: dict[str, str] = {}
    for name, fill in functions.items():
        if name in copied:
            continue
        memory, start = PeakMemory(), time.monotonic()
        try:
            estimate = fill()
        except grass.GrassError as error:
            notes[name] = str(error)
            continue
        costs[name] = {"seconds": time.monotonic() - start, "peak_mib": memory.mib()}
        fills[name] = arrays.to_output_pixels(estimate)
    return fills, costs, notes


if __name__ == "__main__":
    main()
