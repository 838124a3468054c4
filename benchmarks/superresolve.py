"""Super-resolution of four scenes: each expert without a network, and complete runs of `fast`, `best` and `deep_prior`.

The protocol is that of the DHP paper: a fine image scaled to 0..1 by its range, downsampled like MATLAB's ``imresize``.
Settings of the experts were selected on Olinda, Indian Pines (tensorly) and the ABU scenes.

Usage: python -m benchmarks.superresolve [--scene NAME...] [--factor N...] [--row NAME...] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import RESULTS, pages, rasters
from benchmarks.machine import Machine, limit_threads
from benchmarks.worker import run_worker
from dip_core.comparison import compare
from dip_core.imaging.psf import Psf, enlarge_bicubic
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import SuperResolveJob
from dip_core.superresolution.enlarge import enlarge_window
from dip_core.superresolution.options import EnlargeOptions
from dip_core.superresolution.registry import ENLARGEMENT_METHODS
from dip_core.superresolution.scale_statistics import fit_scale_statistics

ENLARGEMENT_EXPERTS = ENLARGEMENT_METHODS["fast"].experts
ROWS = ("bicubic", *ENLARGEMENT_EXPERTS, "fast", "best", "deep_prior")
COLUMNS = ("method", "MPSNR", "SSIM", "SAM", "seconds", "weights")
Cube = NDArray[np.float64]


def _read_scene(name: str, rows: slice, columns: slice, excluded_bands: tuple[int, ...] = ()) -> Cube:
    cube = rasters.read_raster(rasters.data_file(name))[:, rows, columns].astype(np.float64)
    return np.delete(cube, excluded_bands, axis=0)


def _indian_pines() -> Cube:
    from tensorly.datasets import load_indian_pines

    return np.moveaxis(load_indian_pines().tensor, -1, 0)[:, :144, :144].astype(np.float64)


SCENES: dict[str, Callable[[], Cube]] = {
    "Reno": lambda: _read_scene("hsi/reno_100b.tif", slice(144), slice(144)),
    "Olinda": lambda: _read_scene("landsat/l7_slc_on_olinda.tif", slice(192), slice(100, 292)),
    "Indian Pines": _indian_pines,
    # Without its striped bands.
    "ABU urban 1": lambda: _read_scene("hsi/abu_urban_1_striped.tif", slice(96), slice(96), (140, 200, 201, 202, 203)),
}


def main() -> None:
    """Run the requested rows and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.superresolve", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--scene", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--factor", nargs="*", type=int, default=[2], choices=(2, 3, 4))
    parser.add_argument("--row", nargs="*", default=list(ROWS), choices=ROWS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for superresolve.json and superresolve.md")
    arguments = parser.parse_args()
    threads = limit_threads()
    record = pages.load(arguments.out, "superresolve") or {}
    for scene in arguments.scene:
        for factor in arguments.factor:
            machine = Machine("cpu", threads)
            case = record.setdefault(f"{scene}, factor {factor}", {})
            rows = case.setdefault("rows", {})
            for name in arguments.row:
                rows[name] = measure(name, SCENES[scene](), factor, threads)
                print(scene, factor, name, json.dumps(rows[name]), flush=True)
            case["rows"] = {name: rows[name] for name in ROWS if name in rows}
            case["machine"] = machine.facts()["machine"]
    pages.save(arguments.out, "superresolve", record, page)


def measure(name: str, fine: Cube, factor: int, threads: int) -> dict:
    """Scores, seconds and weights (``shares``) of one row."""
    fine = (fine - fine.min()) / (fine.max() - fine.min())
    rows, columns = (size // factor * factor for size in fine.shape[1:])
    fine = fine[:, :rows, :columns]
    psf = Psf(factor)
    coarse = psf.operator((rows, columns)).apply(fine).astype(np.float32)
    start, weights = time.monotonic(), None
    if name == "bicubic":
        image: NDArray = enlarge_bicubic(coarse, factor)
    elif name in ENLARGEMENT_EXPERTS:
        image = _enlarge_with_expert(name, coarse, psf, threads)
    else:
        with tempfile.TemporaryDirectory() as folder:
            source = rasters.write_raster(Path(folder, "coarse.tif"), coarse, None, nodata=-9.0)
            outputs = Outputs(str(Path(folder, "fine.tif")), report=str(Path(folder, "report.html")))
            run = run_worker(
                SuperResolveJob(source, outputs, factor, method=name, compute=Compute("cpu", threads=threads))
            )
            start, weights = time.monotonic() - run.seconds, run.record["data"]["shares"]
            image = rasters.read_raster(outputs.output or "").astype(np.float64)
    seconds = time.monotonic() - start
    scores = compare(image, fine, peak=1.0)
    return {
        "mpsnr": scores["mpsnr"],
        "ssim": scores["mssim"],
        "sam": scores["sam"],
        "seconds": seconds,
        "shares": weights,
    }


def page(record: dict) -> str:
    """The tables as Markdown."""
    parts = ["# Super-resolution by expert"]
    for case, result in record.items():
        parts.append(
            f"{case}: seconds of experts are those of one array, seconds of `fast`, `best` and `deep_prior` those of "
            "complete runs of the worker with start, validation and report. MPSNR in dB (peak 1), SAM in degrees. "
            f"{result.get('machine', '')}"
        )
        rows = [_table_row(name, row) for name, row in result["rows"].items()]
        parts.append(pages.markdown_table(COLUMNS, rows))
    return pages.join(parts)


def _enlarge_with_expert(name: str, coarse: NDArray, psf: Psf, threads: int) -> NDArray:
    observed = np.ones(coarse.shape, bool)
    statistics = fit_scale_statistics([(coarse, observed)], psf)
    low, high = coarse.min(axis=(1, 2)), coarse.max(axis=(1, 2))
    options = EnlargeOptions(psf, low, high, threads=threads, statistics=statistics)
    (image,) = enlarge_window([name], coarse, observed, options)
    return image


def _table_row(name: str, row: dict) -> tuple[str | None, ...]:
    digits = {"mpsnr": 2, "ssim": 3, "sam": 2, "seconds": 1}
    weights = ", ".join(f"{key} {100 * weight:.0f} %" for key, weight in (row["shares"] or {}).items() if weight)
    return name, *(f"{row[key]:.{places}f}" for key, places in digits.items()), weights or None


if __name__ == "__main__":
    main()
