"""The table of the GAP paper, reproduced: r2 and RMSE of gap filling with 3, 6, 15, 35 and 55 % of a scene hidden.

Every method gets the very same gaps of a clean Landsat-7 scene, bands 1 to 4, and is scored on the hidden pixels,
which no method ever sees. One mask serves all bands, as in the paper. Rows are written as they are finished, and
replace the rows of an earlier run with the same scene, crop, seed and device, so a run can be made in parts.

Usage: python -m benchmarks.gap_paper [--iterations N] [--method NAME...] [--crop PIXELS] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from dip_core.arrays import Mask
from dip_core.comparison import compare
from dip_core.dip.presets import PRESETS, preset
from dip_core.imaging.observation import Observation, Standardization
from dip_core.inpainting import gdal_baseline
from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.registry import GAP_EXPERTS, gap_expert_names
from dip_core.job import Compute, GapFillJob, Outputs
from dip_core.runtime import devices
from dip_core.runtime.progress import ProgressReporter
from dip_core.runtime.tiling import tile_seed
from dip_core.tasks import slc_off_geometry

SCENE = "landsat/l7_slc_on_olinda.tif"
BANDS = (1, 2, 3, 4)
PERCENTAGES = (3, 6, 15, 35, 55)
SEED = 0
BASELINE = "fill-nodata"
PRODUCT = ("fast", "best")
PAPER = ("paper_composite", "paper_per_band")
METHODS = (BASELINE, *gap_expert_names(network=False, needs_guide=False), *PRODUCT, "deep_prior", *PAPER)
LABELS = {
    BASELINE: "GDAL fill-nodata (baseline)",
    "plug_and_play": "Plug and play",
    "plug_and_play_fine": "Plug and play, small patches",
    "fast": "`fast`",
    "best": "`best`",
    "deep_prior": "`deep_prior`",
    "paper_composite": "`paper_composite`",
    "paper_per_band": "`paper_per_band`",
}

# The GAP paper, Table 1 and section 3, all at 55 %: r2 and RMSE by band, then the means that its text gives.
PRINTED = {
    "Kriging": ((0.610, 0.627, 0.728, 0.690), (0.010, 0.015, 0.023, 0.063), None),
    "WLR": ((0.622, 0.694, 0.742, 0.765), (0.010, 0.014, 0.023, 0.055), None),
    "DS": ((0.685, 0.755, 0.792, 0.780), (0.009, 0.012, 0.020, 0.052), None),
    "DIP, band by band": ((0.812, 0.853, 0.874, 0.832), (0.020, 0.024, 0.043, 0.052), (0.842, 0.034)),
    "DIP, composite": (None, None, (0.880, 0.030)),
}


@dataclass(frozen=True)
class Task:
    """One scene with gaps: true pixels, observed pixels (both ``(band, row, column)``), and what standardises them."""

    truth: NDArray
    observed: Mask
    standard: Standardization

    @property
    def damaged(self) -> NDArray:
        """The pixels with zeros in the gaps."""
        return np.where(self.observed, self.truth, 0).astype(self.truth.dtype)

    def observation(self) -> Observation:
        """What an expert sees."""
        return Observation(self.standard.apply(self.damaged, self.observed), self.observed, ~self.observed)


@dataclass(frozen=True)
class Fill:
    """What a method made of a task: its pixels as written, and how."""

    pixels: NDArray
    seconds: float
    iterations: int | None = None
    note: str = ""


def main() -> None:
    """Run what is asked for and write the tables."""
    chosen = _arguments()
    threads = common.threads()
    device = str(devices.resolve_device(chosen.device))
    truth = _crop(common.read_raster(common.data_file(SCENE), BANDS), chosen.crop)
    settings = {"scene": SCENE, "bands": BANDS, "crop": truth.shape[1:], "seed": SEED, "device": device}
    rows = _earlier(chosen.out, settings)
    for percentage, method, iterations in _plan(chosen):
        machine = common.Machine(device, threads)
        task = _task(truth, percentage)
        found = _fill(task, method, iterations, device, threads)
        row = {
            "percentage": percentage,
            "method": method,
            "schedule": iterations,
            "iterations": found.iterations,
            "hidden_percent": 100.0 * float((~task.observed).mean()),
            "seconds": found.seconds,
            **_scores(found.pixels, task),
            "note": found.note,
            "machine": machine.describe(),
            "foreign_load": machine.foreign_load(),
        }
        rows = [other for other in rows if _key(other) != _key(row)] + [row]
        rows.sort(key=_order)
        record = {"settings": settings, "printed_in_the_paper": PRINTED, "rows": rows}
        common.save(chosen.out, "gap_paper", record, _page(rows, truth.shape))
        score = f"r2 {row['pearson_r2']:.3f}  RMSE {row['rmse']:.4f}  {found.seconds:.1f} s"
        print(f"{percentage:2d} %  {method:16s} {score}  {found.iterations or ''} {found.note}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap_paper", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--iterations", type=int, default=100, help="of the paper's presets; they publish 1500")
    parser.add_argument("--full", type=int, nargs="*", default=[55], choices=PERCENTAGES, metavar="PERCENT")
    parser.add_argument("--method", nargs="*", default=list(METHODS), choices=METHODS, metavar="NAME")
    parser.add_argument("--percent", type=int, nargs="*", default=list(PERCENTAGES), choices=PERCENTAGES, metavar="N")
    parser.add_argument("--crop", type=int, default=128, help="pixels along each side, from the centre; 0: whole scene")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for gap_paper.json and gap_paper.md")
    chosen = parser.parse_args()
    if chosen.iterations < 1 or chosen.crop < 0:
        parser.error("give a positive number of iterations, and a crop of 0 or more pixels")
    return chosen


def _plan(chosen: argparse.Namespace) -> list[tuple[int, str, int | None]]:
    """Percentage, method and iterations (None: the method's own schedule), the slow ones last."""
    quick = [name for name in METHODS if name in chosen.method and name not in PAPER]
    plan: list[tuple[int, str, int | None]] = [(percent, name, None) for percent in chosen.percent for name in quick]
    for name in PAPER:
        published = preset("inpaint", name).schedule.iterations
        if name in chosen.method:
            plan += [(percent, name, min(chosen.iterations, published)) for percent in reversed(chosen.percent)]
            if name == "paper_composite" and chosen.iterations < published:
                plan += [(percent, name, published) for percent in chosen.full if percent in chosen.percent]
    return plan


def _crop(pixels: NDArray, size: int) -> NDArray:
    """The central ``size`` x ``size`` pixels; all for size 0."""
    rows, columns = pixels.shape[1:]
    if not size:
        return pixels
    top, left = max(0, rows - size) // 2, max(0, columns - size) // 2
    return pixels[:, top : top + size, left : left + size]


def _task(truth: NDArray, percentage: int) -> Task:
    pattern = slc_off_geometry.pattern_for_percentage(truth.shape[1:], 1, percentage, SEED, band_shift=0.0)
    observed = np.repeat(pattern.observed(), len(truth), axis=0)
    return Task(truth, observed, common.standard_of(truth, observed))


def _fill(task: Task, method: str, iterations: int | None, device: str, threads: int) -> Fill:
    if method in PRODUCT:
        return _product(task, method, device, threads)
    observation = task.observation()
    done = 0

    def count(fraction: float) -> bool:
        nonlocal done
        done += 1
        return True

    start = time.monotonic()
    if method == BASELINE:
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
    pixels = common.as_written(estimate, task.standard, task.damaged, task.observed)
    known = PRESETS["inpaint"].get(method)
    networks = len(task.truth) if known and known.per_band else 1
    return Fill(pixels, seconds, done // networks or None)


def _product(task: Task, method: str, device: str, threads: int) -> Fill:
    """A whole run of the worker, as a user's: start, validation, filling, report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mask = task.observed[:1].astype(np.uint8)
        scene = common.data_file(SCENE)
        outputs = Outputs(output=str(folder / "filled.tif"), report=str(folder / "report.html"))
        job = GapFillJob(
            inputs=(common.write_raster(folder / "scene.tif", task.damaged, scene),),
            gap_masks=(common.write_raster(folder / "mask.tif", mask, scene),),
            mask_polarity="zero_is_gap",
            fill_exterior=True,
            method=method,
            outputs=outputs,
            compute=Compute(device=device, seed=SEED, threads=threads),
        )
        run = common.run_worker(job)
        note = next((text for text in run.messages if text.startswith("Chosen")), "")
        return Fill(common.read_raster(outputs.output or ""), run.seconds, note=note)


def _scores(pixels: NDArray, task: Task) -> dict[str, object]:
    """Means over the bands on the hidden pixels, and the bands' own scores; RMSE on data scaled to 0..1 by band."""
    truth = task.truth.astype(np.float64)
    low = truth.min(axis=(1, 2), keepdims=True)
    span = np.maximum(truth.max(axis=(1, 2), keepdims=True) - low, 1e-12)
    scaled, reference = (pixels - low) / span, (truth - low) / span
    hidden = compare(scaled, reference, ~task.observed, peak=1.0).bands
    everywhere = compare(np.where(task.observed, reference, scaled), reference, peak=1.0).bands
    return {
        "pearson_r2": float(np.mean([band["pearson_r2"] for band in hidden])),
        "r2": float(np.mean([band["r2"] for band in hidden])),
        "rmse": float(np.mean([band["rmse"] for band in hidden])),
        "band_pearson_r2": [band["pearson_r2"] for band in hidden],
        "band_rmse": [band["rmse"] for band in hidden],
        "whole_image_pearson_r2": float(np.mean([band["pearson_r2"] for band in everywhere])),
        "whole_image_rmse": float(np.mean([band["rmse"] for band in everywhere])),
    }


def _earlier(folder: Path, settings: dict) -> list[dict]:
    """The rows of an earlier run with the same settings."""
    path = folder / "gap_paper.json"
    if not path.is_file():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    return record["rows"] if record["settings"] == json.loads(json.dumps(settings)) else []


def _key(row: dict) -> tuple[int, str, int | None]:
    return row["percentage"], row["method"], row["schedule"]


def _order(row: dict) -> tuple[int, int, int]:
    return METHODS.index(row["method"]), row["schedule"] or 0, row["percentage"]


def _page(rows: list[dict], shape: tuple[int, ...]) -> str:
    """The tables as Markdown, with all that must be known to read them."""
    lines = {(row["method"], row["schedule"]): _label(row) for row in rows}
    percentages = sorted({row["percentage"] for row in rows})

    def table(name: str, digits: int) -> str:
        found = {_key(row): f"{row[name]:.{digits}f}" for row in rows}
        body = [
            (label, *_iterations(rows, line), *(found.get((percent, *line)) for percent in percentages))
            for line, label in lines.items()
        ]
        return common.markdown_table(("Method", "Iterations", *(f"{percent} %" for percent in percentages)), body)

    hidden = {row["percentage"]: row["hidden_percent"] for row in rows}
    shares = ", ".join(f"{hidden[percent]:.1f}" for percent in percentages)
    parts = [
        "# The GAP paper's table",
        f"Landsat-7 ETM+ over Olinda, bands {BANDS[0]} to {BANDS[-1]}, central {shape[1]} x {shape[2]} pixels, one "
        f"mask for all bands; really hidden: {shares} %. Scores are means over the bands on the hidden pixels "
        "alone. The paper's own scene (California, 24 July 2002) is not available, so its figures show the "
        "order of magnitude, not a race.",
        f"{common.measured_on(rows)} `fast` and `best` are whole runs of the worker (start, validation, filling and "
        "report); the others are the fill alone. Iterations are those really run, for one network; the paper's "
        "presets publish 1500.",
        "## Pearson r2, as the paper counts (higher is better)",
        table("pearson_r2", 3),
        "## RMSE, of data scaled to 0..1 by band (lower is better)",
        "The paper does not say its unit; its magnitudes fit data between 0 and 1.",
        table("rmse", 4),
        "## R2, coefficient of determination (punishes bias)",
        table("r2", 3),
        "## Seconds",
        table("seconds", 1),
        "## At 55 %, band by band, beside the paper's Table 1",
        "The last two columns count the whole image with the observed pixels in place. The paper does not say which "
        "pixels it counts; it explains its RMSE by the error of the observed ones, so it may be the whole image.",
        _beside_the_paper(rows),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _beside_the_paper(rows: list[dict]) -> str:
    body: list[tuple[str | None, ...]] = []
    for name, (r2, rmse, means) in PRINTED.items():
        mean = means or (float(np.mean(r2 or ())), float(np.mean(rmse or ())))
        bands = tuple(f"{value:.3f}" for value in r2) if r2 else (None,) * 4
        body.append((f"*{name}, as printed*", None, *bands, f"{mean[0]:.3f}", f"{mean[1]:.3f}", None, None))
    for row in rows:
        if row["percentage"] == 55:
            bands = tuple(f"{value:.3f}" for value in row["band_pearson_r2"])
            means = (f"{row['pearson_r2']:.3f}", f"{row['rmse']:.4f}")
            whole = (f"{row['whole_image_pearson_r2']:.3f}", f"{row['whole_image_rmse']:.4f}")
            body.append((_label(row), str(row["iterations"] or "–"), *bands, *means, *whole))
    columns = ("Method", "Iterations", *(f"r2 band {band}" for band in BANDS), "r2", "RMSE", "whole r2", "whole RMSE")
    return common.markdown_table(columns, body)


def _label(row: dict) -> str:
    return LABELS.get(row["method"], row["method"].capitalize())


def _iterations(rows: list[dict], line: tuple[str, int | None]) -> tuple[str | None]:
    counts = sorted({row["iterations"] for row in rows if _key(row)[1:] == line and row["iterations"]})
    if not counts:
        return (None,)
    return (str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}",)


if __name__ == "__main__":
    main()
