"""The mixture against its own best expert, on twenty small pieces of the test scenes.

A mixture elected on hold-outs may lose to one of its experts on pixels that it never saw. Twelve pieces are quadrants
of the clean scene with gaps at three places of the swath; eight are pieces of the two real SLC-off scenes, of whose own
gap pattern further pieces are taken out. In all of them the best expert is the one that the truth would choose.

Usage: python -m benchmarks.crops [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from benchmarks import common, gap_scenes
from benchmarks.gap_scenes import SEED, Case
from dip_core.imaging.observation import Observation
from dip_core.inpainting import holdout
from dip_core.inpainting.experts.registry import gap_expert_names
from dip_core.inpainting.find_gaps import find_gap_mask
from dip_core.inpainting.run_experts import ExpertOptions
from dip_core.job import Compute, GapFillJob, Outputs
from dip_core.raster.scene import Scene
from dip_core.runtime import devices
from dip_core.tasks import slc_off_geometry

SWATHS = {"edge": (0.0, 0.1), "quarter": (0.2, 0.3), "between": (0.1, 0.2)}
SIDE = 200  # of a piece of a real scene; the lean deep prior does not stand for election there on a CPU
TOLERATED = 1.01  # of the best expert's error
SAME = 5e-4  # of it: as good


def main() -> None:
    """Run all pieces and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crops", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for crops.json and crops.md")
    chosen = parser.parse_args()
    device = str(devices.resolve_device(chosen.device))
    machine = common.Machine(device, common.threads())
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in pieces(Path(folder)):
            rows.append({"crop": case.name, "rmse": errors(case, Path(folder), device)})
            print(rows[-1], flush=True)
            found = {"rows": rows, "machine": machine.describe(), "foreign_load": machine.foreign_load()}
            common.save(chosen.out, "crops", found, page(found))


def pieces(folder: Path) -> Iterator[Case]:
    """The twenty pieces."""
    source = common.data_file("landsat/l7_slc_on_olinda.tif")
    whole = common.read_raster(source)
    tall, wide = whole.shape[1] // 2, whole.shape[2] // 2
    for number in range(4):
        down, right = number // 2 * tall, number % 2 * wide
        truth = whole[:, down : down + tall, right : right + wide]
        for place, swath in SWATHS.items():
            observed = slc_off_geometry.observed_mask(truth.shape[1:], len(truth), *swath, seed=SEED + number)
            damaged = np.where(observed, truth, 0).astype(truth.dtype)
            scene = common.write_raster(folder / "scene.tif", damaged, None)
            mask = common.write_raster(folder / "mask.tif", observed.astype(np.uint8), None)
            yield Case(f"Olinda, piece {number + 1}, {place}", scene, mask, truth, ~observed)
    for file, name in ((gap_scenes.MAY, "May"), (gap_scenes.JANUARY, "January")):
        with Scene([str(common.data_file(file))]) as scene_:
            gaps = find_gap_mask(scene_)
            nodata = scene_.nodata
            places = _fullest(scene_)
            for number, window in enumerate(places):
                truth = scene_.read(window)
                observed, target = gaps.window(window)
                rng = np.random.default_rng(gap_scenes.REFERENCE_SEED + number)
                scored = holdout.draw_hidden_pixels(observed, target, rng, gap_scenes.REFERENCE_SHARE)
                damaged = np.where(scored, np.asarray(nodata, truth.dtype), truth)
                path = common.write_raster(folder / "scene.tif", damaged, None, nodata)
                yield Case(f"{name}, piece {number + 1}", path, None, truth, scored)


def _fullest(scene: Scene, count: int = 4) -> list[Window]:
    """Every third of the windows of a grid that hold most observed pixels, so long as they hold gaps too."""
    rows, columns = scene.grid.shape
    share: list[tuple[float, Window]] = []
    for top in range(0, rows - SIDE + 1, SIDE):
        for left in range(0, columns - SIDE + 1, SIDE):
            window = Window(left, top, SIDE, SIDE)
            seen = float(scene.valid(window).mean())
            if seen < 0.95:
                share.append((seen, window))
    return [window for _, window in sorted(share, key=lambda item: -item[0])[: 3 * count : 3]]


def errors(case: Case, folder: Path, device: str) -> dict[str, float]:
    """RMSE in band deviations on the scored pixels, of ``best`` and of each of its experts alone."""
    outputs = Outputs(output=str(folder / "filled.tif"))
    job = GapFillJob(
        inputs=(case.scene,),
        gap_masks=(case.mask,) if case.mask else (),
        mask_polarity="zero_is_gap",
        method="best",
        outputs=outputs,
        compute=Compute(device=device, seed=SEED, threads=common.threads()),
    )
    common.run_worker(job)
    fills = {"best": common.read_raster(outputs.output or "")}
    with Scene([case.scene]) as scene:
        gaps = find_gap_mask(scene, (case.mask,) if case.mask else (), "zero_is_gap")
        observed, target = gaps.window()
        pixels = scene.read()
    standard = common.standard_of(pixels, observed)
    scored = case.scored & target
    seen = Observation(standard.apply(pixels, observed), observed, target)
    options = ExpertOptions(device, threads=common.threads())
    names = gap_expert_names(network=False, needs_guide=False)
    for name, fill in gap_scenes.alone(names, seen, options, folder, Path(case.scene)).items():
        if name in names:
            fills[name] = common.as_written(fill(), standard, pixels, observed)
    scale = standard.deviation[np.nonzero(scored)[0]]
    return {
        name: float(np.sqrt(np.mean(np.square((fill[scored].astype(np.float64) - case.truth[scored]) / scale))))
        for name, fill in fills.items()
    }


def page(found: dict) -> str:
    """The table as Markdown, with what it says first."""
    body, ratios = [], []
    for row in found["rows"]:
        experts = {name: value for name, value in row["rmse"].items() if name != "best"}
        winner = min(experts, key=lambda name: experts[name])
        ratios.append(row["rmse"]["best"] / experts[winner])
        body.append((row["crop"], winner, f"{experts[winner]:.4f}", f"{row['rmse']['best']:.4f}", f"{ratios[-1]:.3f}"))
    better = sum(ratio < 1.0 - SAME for ratio in ratios)
    same = sum(abs(ratio - 1.0) <= SAME for ratio in ratios)
    worse = sum(ratio > TOLERATED for ratio in ratios)
    text = (
        f"RMSE on pixels that the product never saw, in band deviations. Of {len(ratios)} pieces, `best` is better "
        f"than the best of its experts, chosen with the truth, on {better}, as good on {same}, and more than 1 % worse "
        f"on {worse}; the worst ratio is {max(ratios):.3f}, the mean {np.mean(ratios):.3f}. "
        + common.measured_on([found])
    )
    heads = ("Piece", "Best expert", "Its RMSE", "RMSE of `best`", "Ratio")
    return f"# The mixture against its best expert\n\n{text}\n\n{common.markdown_table(heads, body)}"


if __name__ == "__main__":
    main()
