"""Compares METHOD `best` with the best of its own experts on twenty small crops of the test scenes.

Weights that were selected on hidden pixels can be worse than a single expert on other pixels. Twelve crops are the
quadrants of the clean scene, each with gaps from three parts of the swath. Eight are crops of the two real SLC-off
scenes, from which more pieces of their own gap pattern are removed. The best expert of a crop is selected with the
truth.

Usage: python -m benchmarks.crops [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from benchmarks import RESULTS, pages, rasters, scene_cases
from benchmarks.machine import Machine, limit_threads, measured_on
from benchmarks.scene_cases import SEED, GapCase
from benchmarks.single_methods import expert_fills
from benchmarks.worker import run_worker
from dip_core.inpainting.experts.registry import gap_expert_names
from dip_core.inpainting.gap_rules import find_gap_mask
from dip_core.inpainting.run_experts import ExpertOptions
from dip_core.job_fields import Outputs
from dip_core.raster.scene import Scene
from dip_core.runtime import devices
from dip_core.tasks import slc_off_geometry

SWATHS = {"edge": (0.0, 0.1), "quarter": (0.2, 0.3), "between": (0.1, 0.2)}
SIDE = 200  # pixels, of a crop of a real scene: too large for the deep prior to be a candidate on a CPU
MAX_OBSERVED_SHARE = 0.95  # of a crop of a real scene, so that it contains gaps
MAX_RATIO = 1.01  # of the error of `best` to that of the best expert
EQUAL_TOLERANCE = 5e-4  # of that ratio


def main() -> None:
    """Run all crops and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crops", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for crops.json and crops.md")
    arguments = parser.parse_args()
    device, threads = str(devices.resolve_device(arguments.device)), limit_threads()
    machine = Machine(device, threads)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in crops(Path(folder)):
            rows.append({"crop": case.name, "rmse": errors(case, Path(folder), device, threads)})
            print(rows[-1], flush=True)
            pages.save(arguments.out, "crops", {"rows": rows, **machine.facts()}, page)


def crops(folder: Path) -> Iterator[GapCase]:
    """The twenty crops; the files of a crop are overwritten by the next one."""
    yield from _clean_crops(folder)
    yield from _real_crops(folder, scene_cases.MAY, "May")
    yield from _real_crops(folder, scene_cases.JANUARY, "January")


def errors(case: GapCase, folder: Path, device: str, threads: int) -> dict[str, float]:
    """RMSE on the scored pixels, in standard deviations of the bands, of ``best`` and of each of its experts alone."""
    outputs = Outputs(output=str(folder / "filled.tif"))
    run_worker(case.job("best", outputs, device, threads))
    fills = {"best": rasters.read_raster(outputs.output or "")}
    arrays = case.read()
    names = gap_expert_names(network=False, needs_guide=False)
    options = ExpertOptions(device, threads=threads)
    for name, fill in expert_fills(names, arrays.observation, options, SEED).items():
        fills[name] = arrays.to_output_pixels(fill())
    return {name: scene_cases.rmse(arrays.errors(fill, case.truth)) for name, fill in fills.items()}


def page(record: dict) -> str:
    """The table as Markdown, after a summary."""
    body, ratios = [], []
    for row in record["rows"]:
        experts = {name: value for name, value in row["rmse"].items() if name != "best"}
        name = min(experts, key=experts.__getitem__)
        ratio = row["rmse"]["best"] / experts[name]
        ratios.append(ratio)
        body.append((row["crop"], name, f"{experts[name]:.4f}", f"{row['rmse']['best']:.4f}", f"{ratio:.3f}"))
    better = sum(ratio < 1.0 - EQUAL_TOLERANCE for ratio in ratios)
    equal = sum(abs(ratio - 1.0) <= EQUAL_TOLERANCE for ratio in ratios)
    worse = sum(ratio > MAX_RATIO for ratio in ratios)
    text = (
        "RMSE on pixels that were hidden from the product, in standard deviations of the bands. Compared with the best "
        f"of its experts, selected with the truth, `best` is better on {better} of {len(ratios)} crops, equal on "
        f"{equal}, and more than 1 % worse on {worse}; the highest ratio is {max(ratios):.3f}, the mean "
        f"{np.mean(ratios):.3f}. {measured_on([record])}"
    )
    columns = ("Crop", "Best expert", "RMSE of the expert", "RMSE of `best`", "Ratio")
    return pages.join(["# `best` compared with its best expert", text, pages.markdown_table(columns, body)])


def _clean_crops(folder: Path) -> Iterator[GapCase]:
    """The quadrants of the clean scene, with gaps of each part of the swath."""
    scene = rasters.read_raster(rasters.data_file(scene_cases.OLINDA))
    height, width = scene.shape[1] // 2, scene.shape[2] // 2
    for number in range(4):
        top, left = number // 2 * height, number % 2 * width
        truth = scene[:, top : top + height, left : left + width]
        for place, swath in SWATHS.items():
            observed = slc_off_geometry.observed_mask(truth.shape[1:], len(truth), *swath, seed=SEED + number)
            yield scene_cases.write_masked_case(
                f"Olinda, crop {number + 1}, {place}", truth, observed, folder, like=None
            )


def _real_crops(folder: Path, file: str, name: str) -> Iterator[GapCase]:
    """Four crops of a real SLC-off scene."""
    with Scene([str(rasters.data_file(file))]) as scene:
        gaps = find_gap_mask(scene)
        for number, window in enumerate(_select_windows(scene)):
            truth = scene.read(window)
            rng = np.random.default_rng(scene_cases.REFERENCE_SEED + number)
            scored = scene_cases.draw_reference_pixels(*gaps.window(window), rng)
            yield scene_cases.write_nodata_case(
                f"{name}, crop {number + 1}", truth, scored, scene.nodata, folder, like=None
            )


def _select_windows(scene: Scene, count: int = 4) -> list[Window]:
    """Every third window of a grid, in descending order of the share of observed pixels, if it contains gaps."""
    rows, columns = scene.grid.shape
    windows: list[tuple[float, Window]] = []
    for top in range(0, rows - SIDE + 1, SIDE):
        for left in range(0, columns - SIDE + 1, SIDE):
            window = Window(left, top, SIDE, SIDE)
            observed_share = float(scene.valid(window).mean())
            if observed_share < MAX_OBSERVED_SHARE:
                windows.append((observed_share, window))
    return [window for _, window in sorted(windows, key=lambda item: -item[0])[: 3 * count : 3]]


if __name__ == "__main__":
    main()
