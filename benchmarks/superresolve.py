"""Super-resolution of four scenes: each expert without a network, and whole runs of `fast` and `best`.

The protocol of the DHP paper: a fine image in 0..1 by its range, made coarse as MATLAB's ``imresize`` does it. Settings
of the experts were chosen on Olinda, Indian Pines (tensorly) and the ABU scenes.

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

from benchmarks import common
from dip_core.comparison import compare
from dip_core.imaging.psf import Psf, enlarge_bicubic
from dip_core.job import Compute, Outputs, SuperResolveJob
from dip_core.superresolution.enlarge import enlarge_window
from dip_core.superresolution.options import EnlargeOptions
from dip_core.superresolution.registry import METHODS
from dip_core.superresolution.scale_statistics import fit_scale_statistics

EXPERTS = METHODS["fast"].experts
ROWS = ("bicubic", *EXPERTS, "fast", "best", "deep_prior")
COLUMNS = ("method", "MPSNR", "SSIM", "SAM", "seconds", "shares")
Cube = NDArray[np.float64]


def _raster(name: str, rows: slice, columns: slice, left_out: tuple[int, ...] = ()) -> Cube:
    cube = common.read_raster(common.data_file(name))[:, rows, columns].astype(np.float64)
    return np.delete(cube, left_out, axis=0)


def _indian_pines() -> Cube:
    from tensorly.datasets import load_indian_pines

    return np.moveaxis(load_indian_pines().tensor, -1, 0)[:, :144, :144].astype(np.float64)


SCENES: dict[str, Callable[[], Cube]] = {
    "Reno": lambda: _raster("hsi/reno_100b.tif", slice(144), slice(144)),
    "Olinda": lambda: _raster("landsat/l7_slc_on_olinda.tif", slice(192), slice(100, 292)),
    "Indian Pines": _indian_pines,
    # Without its striped bands.
    "ABU urban 1": lambda: _raster("hsi/abu_urban_1_striped.tif", slice(96), slice(96), (140, 200, 201, 202, 203)),
}


def main() -> None:
    """Run the rows asked for and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.superresolve", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--scene", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--factor", nargs="*", type=int, default=[2], choices=(2, 3, 4))
    parser.add_argument("--row", nargs="*", default=list(ROWS), choices=ROWS)
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for superresolve.json and .md")
    chosen = parser.parse_args()
    threads = common.threads()
    kept = chosen.out / "superresolve.json"
    found: dict = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    for scene in chosen.scene:
        for factor in chosen.factor:
            machine = common.Machine("cpu", threads)
            case = found.setdefault(f"{scene}, factor {factor}", {})
            rows = case.setdefault("rows", {})
            for name in chosen.row:
                rows[name] = measure(name, SCENES[scene](), factor, threads)
                print(scene, factor, name, json.dumps(rows[name]), flush=True)
            case["rows"] = {name: rows[name] for name in ROWS if name in rows}
            case["machine"] = machine.describe()
    common.save(chosen.out, "superresolve", found, page(found))


def measure(name: str, fine: Cube, factor: int, threads: int) -> dict:
    """Scores, seconds and shares of one row."""
    fine = (fine - fine.min()) / (fine.max() - fine.min())
    rows, columns = (size // factor * factor for size in fine.shape[1:])
    fine = fine[:, :rows, :columns]
    psf = Psf(factor)
    coarse = psf.operator((rows, columns)).apply(fine).astype(np.float32)
    start, shares = time.monotonic(), None
    if name == "bicubic":
        image: NDArray = enlarge_bicubic(coarse, factor)
    elif name in EXPERTS:
        seen = np.ones(coarse.shape, bool)
        low, high = coarse.min(axis=(1, 2)), coarse.max(axis=(1, 2))
        statistics = fit_scale_statistics([(coarse, seen)], psf)
        options = EnlargeOptions(psf, low, high, threads=threads, statistics=statistics)
        (image,) = enlarge_window([name], coarse, seen, options)
    else:
        with tempfile.TemporaryDirectory() as folder:
            source = common.write_raster(Path(folder, "coarse.tif"), coarse, None, nodata=-9.0)
            outputs = Outputs(str(Path(folder, "fine.tif")), report=str(Path(folder, "report.html")))
            run = common.run_worker(
                SuperResolveJob(source, outputs, factor, method=name, compute=Compute("cpu", threads=threads))
            )
            start, shares = time.monotonic() - run.seconds, run.record["data"]["shares"]
            image = common.read_raster(outputs.output or "").astype(np.float64)
    seconds = time.monotonic() - start
    scores = compare(image, fine, peak=1.0)
    return {
        "mpsnr": scores["mpsnr"],
        "ssim": scores["mssim"],
        "sam": scores["sam"],
        "seconds": seconds,
        "shares": shares,
    }


def page(found: dict) -> str:
    """The tables as Markdown."""
    parts = ["# Super-resolution, expert by expert\n"]
    for case, record in found.items():
        rows = [
            (
                name,
                *(f"{row[key]:.{digits}f}" for key, digits in (("mpsnr", 2), ("ssim", 3), ("sam", 2), ("seconds", 1))),
                ", ".join(f"{key} {100 * share:.0f} %" for key, share in (row["shares"] or {}).items() if share)
                or None,
            )
            for name, row in record["rows"].items()
        ]
        parts.append(
            f"{case}: the experts' seconds are those of one array, the runs' those of a worker with start, validation "
            f"and report. MPSNR in dB (peak 1), SAM in degrees. {record.get('machine', '')}\n"
        )
        parts.append(common.markdown_table(COLUMNS, rows))
    return "\n".join(parts)


if __name__ == "__main__":
    main()
