"""Every test scene against GDAL's fill-nodata and other peers: error, uncertainty, seconds and memory.

Two kinds of hidden pixels are scored. The *reference* pixels are taken out of the scene before the product sees it:
simulated gaps on the clean scene, and further pieces of the scenes' own gap pattern on the real ones. The *hold-outs*
are those that the product hides itself, chooses by, and reports.

Usage: python -m benchmarks.gap_scenes [--scene NAME...] [--deep-prior] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from benchmarks import common, grass, peers
from dip_core import comparison
from dip_core.arrays import Mask
from dip_core.imaging.observation import Observation
from dip_core.inpainting import gdal_baseline, holdout
from dip_core.inpainting.cross_band import predict_from_other_bands
from dip_core.inpainting.experts.registry import gap_expert_names
from dip_core.inpainting.find_gaps import find_gap_mask
from dip_core.inpainting.plan import DEFAULT_TILE
from dip_core.inpainting.run_experts import ExpertOptions, concurrent_windows, run_gap_experts
from dip_core.job import Compute, GapFillJob, Outputs
from dip_core.raster.guide import Guide
from dip_core.raster.scene import Scene
from dip_core.runtime import devices
from dip_core.runtime.concurrency import map_in_order
from dip_core.runtime.tiling import Mosaic, Tile, split_into_tiles, tile_seed
from dip_core.tasks import slc_off_geometry

SEED = 0
REFERENCE_SEED = 2010  # not the product's: the reference pixels must not be the ones that it hides itself
REFERENCE_SHARE = 0.05  # of the observed pixels, so that gaps stay about as many as they are
BLOCK = 384
OVERLAP = 64  # of tiles, as the product has it
BASELINE = peers.FILL_NODATA
PEERS = (BASELINE, "biharmonic (scikit-image)", grass.NAME)
COVERED = ("one", "two")  # standard deviations


@dataclass(frozen=True)
class Case:
    """A scene to fill: its file, its gap mask (None: nodata), true pixels, which of them are scored, and its guide."""

    name: str
    scene: str
    mask: str | None
    truth: NDArray
    scored: Mask
    guide: str | None = None


def main() -> None:
    """Run the cases asked for and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap_scenes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--scene", nargs="*", default=list(CASES), choices=list(CASES), metavar="NAME")
    parser.add_argument(
        "--deep-prior", action="store_true", help="score the deep prior also where it did not stand for election (slow)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for gap_scenes.json and gap_scenes.md")
    chosen = parser.parse_args()
    threads = common.threads()
    device = str(devices.resolve_device(chosen.device))
    found = _earlier(chosen.out)
    fresh: dict[str, dict] = {}
    for name in chosen.scene:
        machine = common.Machine(device, threads)
        with tempfile.TemporaryDirectory() as folder:
            twin = fresh.get(name.removesuffix(", guided"), {}) if name.endswith(", guided") else {}
            case = CASES[name](name, Path(folder))
            result = measure(case, Path(folder), device, threads, chosen.deep_prior, twin)
            fresh[name] = result
        found[name] = {**result, "machine": machine.describe(), "foreign_load": machine.foreign_load()}
        found = {case: found[case] for case in CASES if case in found}
        common.save(chosen.out, "gap_scenes", found, page(found))
        print(name, json.dumps({key: round(value, 4) for key, value in found[name]["rmse"].items()}), flush=True)


def simulated(swath: tuple[float, float] | None, percentage: float | None) -> Callable[[str, Path], Case]:
    """A case on the clean scene, with gaps at a place in the swath or of a percentage."""

    def make(name: str, folder: Path) -> Case:
        source = common.data_file("landsat/l7_slc_on_olinda.tif")
        truth = common.read_raster(source)
        shape, bands = truth.shape[1:], len(truth)
        if swath is not None:
            observed = slc_off_geometry.observed_mask(shape, bands, *swath, seed=SEED)
        else:
            observed = slc_off_geometry.pattern_for_percentage(shape, bands, percentage or 0.0, SEED).observed()
        damaged = np.where(observed, truth, 0).astype(truth.dtype)
        scene = common.write_raster(folder / "scene.tif", damaged, source)
        mask = common.write_raster(folder / "mask.tif", observed.astype(np.uint8), source)
        return Case(name, scene, mask, truth, ~observed)

    return make


def real(file: str, guide: str | None = None) -> Callable[[str, Path], Case]:
    """A case on a real SLC-off scene: further pieces of its own gap pattern are taken out. ``guide``: another date."""

    def make(name: str, folder: Path) -> Case:
        source = common.data_file(file)
        with Scene([str(source)]) as scene:
            truth, nodata = scene.read(), scene.nodata
            gaps = find_gap_mask(scene)
        scored = np.zeros(truth.shape, bool)
        rng = np.random.default_rng(REFERENCE_SEED)
        rows, columns = truth.shape[1:]
        for top in range(0, rows - BLOCK // 2, BLOCK):
            for left in range(0, columns - BLOCK // 2, BLOCK):
                window = Window(left, top, min(BLOCK, columns - left), min(BLOCK, rows - top))
                observed, target = gaps.window(window)
                if target.any() and observed.any():
                    scored[(slice(None), *window.toslices())] = holdout.draw_hidden_pixels(
                        observed, target, rng, REFERENCE_SHARE
                    )
        damaged = np.where(scored, np.asarray(nodata, truth.dtype), truth)
        path = common.write_raster(folder / "scene.tif", damaged, source, nodata)
        return Case(name, path, None, truth, scored, str(common.data_file(guide)) if guide else None)

    return make


MAY, JANUARY = "landsat/l7_slc_off_vpac_20100508.tif", "landsat/l7_slc_off_vpac_20100116.tif"
CASES: dict[str, Callable[[str, Path], Case]] = {
    "real, 8 May 2010": real(MAY),
    "real, 16 January 2010": real(JANUARY),
    "Olinda, edge": simulated((0.0, 0.1), None),
    "Olinda, quarter": simulated((0.2, 0.3), None),
    "Olinda, 55 %": simulated(None, 55.0),
    "real, 8 May 2010, guided": real(MAY, JANUARY),
    "real, 16 January 2010, guided": real(JANUARY, MAY),
}


def measure(
    case: Case, folder: Path, device: str, threads: int, with_network: bool, twin: Mapping[str, dict] | None = None
) -> dict:
    """All figures of one case; ``with_network``: also of a deep prior that did not stand for election.

    ``twin``: those of the same case without a guide, from the same run. What makes no use of a guide is taken from it.
    """
    known = {name: value for name, value in (twin or {}).get("rmse", {}).items() if name not in ("fast", "best")}
    runs: dict[str, dict] = {}
    fills: dict[str, NDArray] = {}
    deviation: dict[str, NDArray] = {}
    for method in ("fast", "best"):
        outputs = Outputs(
            output=str(folder / f"{method}.tif"),
            uncertainty=str(folder / f"{method}_deviation.tif"),
            report=str(folder / f"{method}.html"),
        )
        job = GapFillJob(
            inputs=(case.scene,),
            gap_masks=(case.mask,) if case.mask else (),
            mask_polarity="zero_is_gap",
            guide=case.guide,
            method=method,
            outputs=outputs,
            compute=Compute(device=device, seed=SEED, threads=threads),
        )
        run = common.run_worker(job)
        fills[method] = common.read_raster(outputs.output or "")
        deviation[method] = common.read_raster(outputs.uncertainty or "")
        runs[method] = {
            "seconds": run.seconds,
            "peak_mib": run.peak_mib,
            "numbers": run.numbers,
            "heldout_scores": run.record.get("data", {}).get("scores", {}),
            "messages": run.messages,
        }
    with Scene([case.scene]) as scene:
        gaps = find_gap_mask(scene, (case.mask,) if case.mask else (), "zero_is_gap")
        observed, target = gaps.window()
        pixels = scene.read()
        shown = None
        if case.guide:
            with Guide(case.guide, scene) as guide:
                shown = guide.read()
    standard = common.standard_of(pixels, observed)
    scored = case.scored & target
    seen = Observation(standard.apply(pixels, observed), observed, target, shown)
    elected = {*runs["best"]["heldout_scores"], *(("deep_prior",) if with_network else ())}
    names = [name for name in gap_expert_names(published=False) if name in elected]
    costs = {method: {"seconds": run["seconds"], "peak_mib": run["peak_mib"]} for method, run in runs.items()}
    notes: dict[str, str] = {}
    for name, fill in alone(names, seen, ExpertOptions(device, threads=threads), folder, Path(case.scene)).items():
        if name in known:
            continue
        memory, start = common.PeakMemory(), time.monotonic()
        try:
            estimate = fill()
        except grass.GrassError as why:
            notes[name] = str(why)
            continue
        costs[name] = {"seconds": time.monotonic() - start, "peak_mib": memory.mib()}
        fills[name] = common.as_written(estimate, standard, pixels, observed)
    scale = standard.deviation[np.nonzero(scored)[0]]
    errors = {name: (fill[scored].astype(np.float64) - case.truth[scored]) / scale for name, fill in fills.items()}
    for method, run in runs.items():
        ratio = np.abs(errors[method]) * scale / np.maximum(deviation[method][scored], 1e-9)
        run["coverage"] = {"one": float(np.mean(ratio <= 1)), "two": float(np.mean(ratio <= 2))}
    return {
        "shape": list(case.truth.shape),
        "missing_percent": 100.0 * float(target.mean()),
        "reference_values": int(np.count_nonzero(scored)),
        "reference_left": int(np.count_nonzero(case.scored & ~target)),
        "rmse": known | {name: float(np.sqrt(np.mean(np.square(error)))) for name, error in errors.items()},
        "rows": {name: row for name, row in (twin or {}).get("rows", {}).items() if name in known}
        | {name: {**scores(fill, case.truth, observed, scored), **costs[name]} for name, fill in fills.items()},
        "notes": notes,
        "runs": runs,
    }


def scores(fill: NDArray, truth: NDArray, observed: Mask, scored: Mask) -> dict[str, float | None]:
    """PSNR and spectral angle on the scored pixels; SSIM of the whole image, None where its truth is not known.

    Peaks are the ranges of the truth, band by band; the spectral angle is that of pixels with any band scored.
    """
    known: Mask = observed | scored
    peaks = [comparison.peak_of(*comparison.value_range(band[where])) for band, where in zip(truth, known)]
    hidden = comparison.Comparison(peaks)
    hidden.add(fill, truth, scored)
    found = hidden.scores()
    similarity = comparison.compare(fill, truth)["mssim"] if known.all() else None
    return {"mpsnr": found["mpsnr"], "ssim": similarity, "sam": found["sam"]}


def alone(
    names: Sequence[str], seen: Observation, options: ExpertOptions, folder: Path, like: Path
) -> dict[str, Callable[[], NDArray]]:
    """Functions that fill the whole scene, by name: the peers, and every expert alone, tile by tile as the product."""

    def from_expert(name: str) -> NDArray:
        bands, rows, columns = seen.shape
        flat = [
            (tile, tile_seed(SEED, number, place))
            for number, row in enumerate(split_into_tiles(rows, columns, DEFAULT_TILE, OVERLAP))
            for place, tile in enumerate(row)
        ]
        area = int(max(tile.window.width * tile.window.height for tile, _ in flat))
        workers, own = concurrent_windows([name], options, bands, area, len(flat))

        def one(task: tuple[Tile, int]) -> NDArray:
            tile, seed = task
            cut = (slice(None), *tile.window.toslices())
            guide = None if seen.guide is None else seen.guide[cut]
            window = Observation(seen.values[cut], seen.observed[cut], seen.target[cut], guide)
            return run_gap_experts([name], predict_from_other_bands(window)[0], own, seed)[0]

        mosaic = Mosaic(bands, columns, 1)
        for (tile, _), estimate in zip(flat, map_in_order(one, flat, workers)):
            mosaic.add(tile, estimate)
        return np.concatenate([part for _, part in mosaic.take(rows)], axis=2)[0]

    def from_scikit_image() -> NDArray:
        # It knows no outside of the scene: there, each pixel is given the value of the nearest observed one.
        given = seen.values.astype(np.float64)
        for values, known, target in zip(given, seen.observed, seen.target):
            place = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
            outside = ~known & ~target
            values[outside] = values[tuple(place)][outside]
        return peers.inpaint_biharmonic(given, ~seen.target)

    fills: dict[str, Callable[[], NDArray]] = {
        PEERS[0]: lambda: gdal_baseline.fill_nodata(seen),
        PEERS[1]: from_scikit_image,
        PEERS[2]: lambda: grass.fill(seen.values, seen.observed, folder, like),
    }
    return fills | {name: partial(from_expert, name) for name in names}


def page(found: dict[str, dict]) -> str:
    """The tables as Markdown."""
    parts = [
        "# Scenes",
        "The real scenes are Landsat-7 SLC-off scenes over New South Wales (3 bands), each also "
        "with the other date, of another season, as a guide; Olinda is a clean Landsat-7 scene "
        "(6 bands) with simulated gaps, whose ends differ by a few columns from band to band as Landsat's do. "
        + common.measured_on(list(found.values())),
        "## Error on the reference pixels",
        "RMSE in percent of GDAL's fill-nodata on the very same pixels; bands are divided by their standard deviation "
        "first, so that they weigh alike. Nothing was chosen on these pixels. The last column compares `best` with the "
        "best of the single experts that stood for its election.",
        _reference_table(found),
        "## Error on the product's own hold-outs",
        "As its report says: RMSE in the data's units against that of fill-nodata, and which rule won. Within 1 % of "
        "its best expert is what is promised here.",
        _holdout_table(found),
        "## Uncertainty on the reference pixels",
        "Share of the errors within one and two of the predicted standard deviations; 68.3 and 95.4 % are wanted.",
        common.markdown_table(
            ("Scene", "`fast` one", "`fast` two", "`best` one", "`best` two"),
            [
                (name, *(f"{100 * result['runs'][m]['coverage'][k]:.1f}" for m in ("fast", "best") for k in COVERED))
                for name, result in found.items()
            ],
        ),
        "## Method by method",
        "RMSE as above, in percent; PSNR (mean of the bands, peak: the true band's range) and SAM on the reference "
        "pixels; SSIM of the whole image, which only the clean scene has. Runs of `fast` and `best` are whole ones of "
        "the worker, with start, validation, uncertainty and report; the others are one fill of the array, and their "
        "memory is that of the benchmark's process, data and libraries included.",
        _methods_table(found),
        *(f"{name}: {method}: {note}." for name, result in found.items() for method, note in _notes(result)),
        "## Seconds and memory",
        "Whole runs of the worker with uncertainty and report; peak resident memory of its process.",
        common.markdown_table(
            ("Scene", "Pixels x bands", "`fast` s", "`fast` MiB", "`best` s", "`best` MiB", "pixels left"),
            [_cost_row(name, result) for name, result in found.items()],
        ),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _own_experts(result: dict) -> dict[str, float]:
    """Hold-out scores of the experts that stood for election in `best`, without the mixing rules."""
    return {name: score for name, score in result["runs"]["best"]["heldout_scores"].items() if name in result["rmse"]}


def _reference_table(found: dict[str, dict]) -> str:
    names = list(dict.fromkeys(name for result in found.values() for name in result["rmse"]))
    others = [name for name in names if name not in (*PEERS, "fast", "best")]
    names = [*(name for name in PEERS if name in names), *others, "fast", "best"]
    body = []
    for name, result in found.items():
        rmse = result["rmse"]
        share = [f"{100 * rmse[key] / rmse[BASELINE]:.1f}" if key in rmse else None for key in names]
        winner = min(_own_experts(result), key=rmse.__getitem__)
        ratio = 100 * (rmse["best"] / rmse[winner] - 1)
        body.append((name, f"{result['missing_percent']:.1f}", *share, f"{ratio:+.2f} % ({winner})"))
    columns = ("Scene", "Missing %", *(f"`{name}`" for name in names), "`best` against its best expert")
    return common.markdown_table(columns, body)


def _holdout_table(found: dict[str, dict]) -> str:
    body = []
    for name, result in found.items():
        cells: list[str | None] = [name]
        for method in ("fast", "best"):
            numbers, scores = result["runs"][method]["numbers"], result["runs"][method]["heldout_scores"]
            cells.append(f"{100 * numbers['HELDOUT_RMSE'] / numbers['BASELINE_RMSE']:.1f}")
            cells.append(min(scores, key=scores.__getitem__))
        scores, own = result["runs"]["best"]["heldout_scores"], _own_experts(result)
        winner = min(own, key=own.__getitem__)
        cells.append(f"{100 * (min(scores.values()) / own[winner] - 1):+.2f} % ({winner})")
        body.append(cells)
    columns = ("Scene", "`fast` %", "its rule", "`best` %", "its rule", "`best` against its best expert")
    return common.markdown_table(columns, body)


def _methods_table(found: dict[str, dict]) -> str:
    digits = {"mpsnr": 2, "ssim": 3, "sam": 2, "seconds": 1, "peak_mib": 0}
    body = []
    for name, result in found.items():
        for method, row in result.get("rows", {}).items():
            cells = [None if row[key] is None else f"{row[key]:.{places}f}" for key, places in digits.items()]
            percent = 100 * result["rmse"][method] / result["rmse"][BASELINE]
            body.append((name, f"`{method}`", f"{percent:.1f}", *cells))
    return common.markdown_table(("Scene", "Method", "RMSE %", "PSNR", "SSIM", "SAM", "Seconds", "MiB"), body)


def _notes(result: dict) -> list[tuple[str, str]]:
    return list(result.get("notes", {}).items())


def _cost_row(name: str, result: dict) -> tuple[str, ...]:
    bands, rows, columns = result["shape"]
    cells = [name, f"{columns} x {rows} x {bands}"]
    for method in ("fast", "best"):
        run = result["runs"][method]
        cells += [f"{run['seconds']:.0f}", f"{run['peak_mib']:.0f}"]
    return (*cells, f"{result['runs']['best']['numbers']['PIXELS_LEFT']:.0f}")


def _earlier(folder: Path) -> dict[str, dict]:
    path = folder / "gap_scenes.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


if __name__ == "__main__":
    main()
