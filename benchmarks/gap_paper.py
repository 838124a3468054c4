"""Reproduces the table of the GAP paper: r2 and RMSE of gap filling with 3, 6, 15, 35 and 55 % of a scene hidden.

Every method fills the same gaps in bands 1 to 4 of a clean Landsat-7 scene and is scored on the hidden pixels, which no
method can see. All bands have the same mask, as in the paper. Each row is written when it is finished. It replaces the
row of an earlier run with the same scene, crop, seed and device, so the benchmark can be run in parts.

Usage: python -m benchmarks.gap_paper [--iterations N] [--method NAME...] [--crop PIXELS] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import RESULTS, pages, peers, rasters
from benchmarks.gap_paper_page import PRINTED, PRINTED_PERCENTAGE, page, row_key
from benchmarks.machine import Machine, limit_threads
from benchmarks.worker import run_worker
from dip_core.arrays import Mask
from dip_core.comparison import compare
from dip_core.dip.presets import PRESETS, preset
from dip_core.imaging.observation import Observation, Standardization
from dip_core.inpainting import gdal_baseline
from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.registry import GAP_EXPERTS, gap_expert_names
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import GapFillJob
from dip_core.runtime import devices
from dip_core.runtime.progress import ProgressReporter
from dip_core.runtime.tiling import tile_seed
from dip_core.tasks import slc_off_geometry

SCENE = "landsat/l7_slc_on_olinda.tif"
BANDS = (1, 2, 3, 4)
PERCENTAGES = (3, 6, 15, 35, 55)
SEED = 0
PRODUCT = ("fast", "best")
PAPER = ("paper_composite", "paper_per_band")
METHODS = (peers.FILL_NODATA, *gap_expert_names(network=False, needs_guide=False), *PRODUCT, "deep_prior", *PAPER)


@dataclass(frozen=True)
class MaskedScene:
    """A scene with simulated gaps: true and observed pixels ``(band, row, column)``, and the standardization."""

    truth: NDArray
    observed: Mask
    standardization: Standardization

    @property
    def damaged(self) -> NDArray:
        """The pixels, 0 in the gaps."""
        return np.where(self.observed, self.truth, 0).astype(self.truth.dtype)

    def observation(self) -> Observation:
        """The input of an expert."""
        return Observation(self.standardization.apply(self.damaged, self.observed), self.observed, ~self.observed)


@dataclass(frozen=True)
class Fill:
    """The output pixels of a method, its time, iterations per network, and a note."""

    pixels: NDArray
    seconds: float
    iterations: int | None = None
    note: str = ""


def main() -> None:
    """Run the requested methods and write the tables."""
    arguments = _arguments()
    threads = limit_threads()
    device = str(devices.resolve_device(arguments.device))
    truth = _crop(rasters.read_raster(rasters.data_file(SCENE), BANDS), arguments.crop)
    settings = {"scene": SCENE, "bands": list(BANDS), "crop": list(truth.shape[1:]), "seed": SEED, "device": device}
    rows = _stored_rows(arguments.out, settings)
    for percentage, method, iterations in _runs(arguments):
        machine = Machine(device, threads)
        scene = _hide(truth, percentage)
        fill = _fill(scene, method, iterations, device, threads)
        row = {
            "percentage": percentage,
            "method": method,
            "schedule": iterations,
            "iterations": fill.iterations,
            "hidden_percent": 100.0 * float((~scene.observed).mean()),
            "seconds": fill.seconds,
            **_scores(fill.pixels, scene),
            "note": fill.note,
            **machine.facts(),
        }
        rows = [other for other in rows if row_key(other) != row_key(row)] + [row]
        rows.sort(key=_order)
        record = {"settings": settings, "printed_in_the_paper": PRINTED, "rows": rows}
        pages.save(arguments.out, "gap_paper", record, page)
        scores = f"r2 {row['pearson_r2']:.3f}  RMSE {row['rmse']:.4f}  {fill.seconds:.1f} s"
        print(f"{percentage:2d} %  {method:16s} {scores}  {fill.iterations or ''} {fill.note}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap_paper", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--iterations", type=int, default=100, help="iterations of the paper's presets, which publish 1500"
    )
    parser.add_argument(
        "--full",
        type=int,
        nargs="*",
        default=[PRINTED_PERCENTAGE],
        choices=PERCENTAGES,
        metavar="N",
        help="percentages at which paper_composite also runs with its published iterations",
    )
    parser.add_argument("--method", nargs="*", default=list(METHODS), choices=METHODS, metavar="NAME")
    parser.add_argument("--percent", type=int, nargs="*", default=list(PERCENTAGES), choices=PERCENTAGES, metavar="N")
    parser.add_argument("--crop", type=int, default=128, help="side of the central crop in pixels; 0: the whole scene")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for gap_paper.json and gap_paper.md")
    arguments = parser.parse_args()
    if arguments.iterations < 1 or arguments.crop < 0:
        parser.error("--iterations must be at least 1 and --crop at least 0")
    return arguments


def _runs(arguments: argparse.Namespace) -> list[tuple[int, str, int | None]]:
    """Percentage, method and iterations (None: the method's own number) of each run; the slow ones come last."""
    quick = [name for name in METHODS if name in arguments.method and name not in PAPER]
    runs: list[tuple[int, str, int | None]] = [(number, name, None) for number in arguments.percent for name in quick]
    for name in PAPER:
        published = preset("inpaint", name).schedule.iterations
        if name in arguments.method:
            runs += [(number, name, min(arguments.iterations, published)) for number in reversed(arguments.percent)]
            if name == "paper_composite" and arguments.iterations < published:
                runs += [(number, name, published) for number in arguments.full if number in arguments.percent]
    return runs


def _crop(pixels: NDArray, side: int) -> NDArray:
    """The central ``side`` x ``side`` pixels; all pixels if ``side`` is 0."""
    rows, columns = pixels.shape[1:]
    if not side:
        return pixels
    top, left = max(0, rows - side) // 2, max(0, columns - side) // 2
    return pixels[:, top : top + side, left : left + side]


def _hide(truth: NDArray, percentage: int) -> MaskedScene:
    """The scene with simulated gaps that hide a percentage of its pixels."""
    pattern = slc_off_geometry.pattern_for_percentage(truth.shape[1:], 1, percentage, SEED, band_shift=0.0)
    observed = np.repeat(pattern.observed(), len(truth), axis=0)
    return MaskedScene(truth, observed, rasters.standardization_of(truth, observed))


def _fill(scene: MaskedScene, method: str, iterations: int | None, device: str, threads: int) -> Fill:
    if method in PRODUCT:
        return _run_product(scene, method, device, threads)
    observation = scene.observation()
    completed, last_fraction = 0, 0.0

    def count(fraction: float) -> bool:
        nonlocal completed, last_fraction
        completed += fraction > last_fraction  # the start of a fit is reported too
        last_fraction = fraction
        return True

    start = time.monotonic()
    if method == peers.FILL_NODATA:
        estimate = gdal_baseline.fill_nodata(observation)
    else:
        context = ExpertContext(
            seed=tile_seed(SEED, 0, 0),
            device=devices.resolve_device(device),
            iterations=iterations,
            progress=ProgressReporter(count),
        )
        estimate = GAP_EXPERTS[method].estimate(observation, context)
    seconds = time.monotonic() - start
    pixels = rasters.to_output_pixels(estimate, scene.standardization, scene.damaged, scene.observed)
    known = PRESETS["inpaint"].get(method)
    networks = len(scene.truth) if known and known.per_band else 1
    return Fill(pixels, seconds, completed // networks or None)


def _run_product(scene: MaskedScene, method: str, device: str, threads: int) -> Fill:
    """A complete run of the worker: start, validation, filling, report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mask = scene.observed[:1].astype(np.uint8)
        source = rasters.data_file(SCENE)
        outputs = Outputs(output=str(folder / "filled.tif"), report=str(folder / "report.html"))
        job = GapFillJob(
            inputs=(rasters.write_raster(folder / "scene.tif", scene.damaged, source),),
            gap_masks=(rasters.write_raster(folder / "mask.tif", mask, source),),
            mask_polarity="zero_is_gap",
            fill_exterior=True,
            method=method,
            outputs=outputs,
            compute=Compute(device=device, seed=SEED, threads=threads),
        )
        run = run_worker(job)
        return Fill(rasters.read_raster(outputs.output or ""), run.seconds, note=run.selection_note())


def _scores(pixels: NDArray, scene: MaskedScene) -> dict[str, object]:
    """Scores per band on the hidden pixels and their means, and means on the whole image.

    RMSE is of data scaled to 0..1 per band, by the true minimum and maximum.
    """
    truth = scene.truth.astype(np.float64)
    low = truth.min(axis=(1, 2), keepdims=True)
    span = np.maximum(truth.max(axis=(1, 2), keepdims=True) - low, 1e-12)
    scaled, reference = (pixels - low) / span, (truth - low) / span
    hidden = compare(scaled, reference, ~scene.observed, peak=1.0).bands
    whole = compare(np.where(scene.observed, reference, scaled), reference, peak=1.0).bands
    return {
        "pearson_r2": float(np.mean([band["pearson_r2"] for band in hidden])),
        "r2": float(np.mean([band["r2"] for band in hidden])),
        "rmse": float(np.mean([band["rmse"] for band in hidden])),
        "band_pearson_r2": [band["pearson_r2"] for band in hidden],
        "band_rmse": [band["rmse"] for band in hidden],
        "whole_image_pearson_r2": float(np.mean([band["pearson_r2"] for band in whole])),
        "whole_image_rmse": float(np.mean([band["rmse"] for band in whole])),
    }


def _stored_rows(folder: Path, settings: dict) -> list[dict]:
    """The rows of an earlier run with the same settings."""
    record = pages.load(folder, "gap_paper")
    return record["rows"] if record is not None and record["settings"] == settings else []


def _order(row: dict) -> tuple[int, int, int]:
    return METHODS.index(row["method"]), row["schedule"] or 0, row["percentage"]


if __name__ == "__main__":
    main()
