"""The jobs that are compared: every task, method and important option, and jobs that end with an error."""

from __future__ import annotations

import fnmatch
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Maximum iterations of networks. A fit is checked every ten iterations, so the lean networks need more than ten.
LEAN_ITERATIONS, PAPER_ITERATIONS = 12, 2

RASTERS = {"output": "output.tif", "uncertainty": "uncertainty.tif", "filled": "filled.tif"}
METRICS = {"metrics": "metrics.csv"}
REPORT = {"report": "report.html"}
MODEL = {"model": "model.safetensors"}
MODEL_CASE = "train_superresolver"

FindRaster = Callable[[str], str]  # returns the path of a raster of `rasters` from its name


@dataclass(frozen=True)
class Case:
    """A job. ``outputs``: file names by output name; ``fields``: the other fields of the job.

    ``iterations``: the maximum for networks; None: schedules are not changed. ``error``: the kind of the error that the
    job ends with. ``needs``: the case that makes this case's model. ``cluster``: tiles run on a Dask cluster.
    ``new_interpreter``: the process is never forked.
    """

    name: str
    task: str
    outputs: dict[str, str]
    fields: dict[str, Any]
    iterations: int | None = None
    error: str | None = None
    needs: str | None = None
    cluster: bool = False
    new_interpreter: bool = False

    def missing_library(self) -> str | None:
        """The library that the case needs and that is not installed."""
        return "distributed" if self.cluster and importlib.util.find_spec("distributed") is None else None


def all_cases(rasters: Path, model: Path) -> list[Case]:
    """All cases. ``rasters``: the folder of the input rasters; ``model``: the file that the training case writes."""

    def raster(name: str) -> str:
        return str(rasters / f"{name}.tif")

    return [
        *_gap_filling(raster),
        *_stripes(raster),
        *_denoising(raster),
        *_superresolution(raster, str(model)),
        *_tools(raster),
        *_errors(raster),
    ]


def select_cases(cases: list[Case], patterns: list[str]) -> list[Case]:
    """The cases whose names match one of the patterns (with ``*`` and ``?``), and those that they need, in order.

    Raises ValueError if a pattern matches no case.
    """
    unknown = [pattern for pattern in patterns if not fnmatch.filter([case.name for case in cases], pattern)]
    if unknown:
        raise ValueError(f"No case matches {', '.join(unknown)}. List the cases with --list.")
    names = {case.name for case in cases if any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns)}
    names |= {case.needs for case in cases if case.name in names and case.needs}
    return [case for case in cases if case.name in names]


def _restoration(
    name: str,
    task: str,
    outputs: dict[str, str] | None = None,
    *,
    compute: dict[str, Any] | None = None,
    iterations: int | None = None,
    needs: str | None = None,
    cluster: bool = False,
    new_interpreter: bool = False,
    **fields: Any,
) -> Case:
    """A case of a job with the field ``compute``: CPU and one thread by default; outputs: all but the report."""
    return Case(
        f"{task}_{name}" if name else task,
        task,
        outputs or {**RASTERS, **METRICS},
        {**fields, "compute": {"device": "cpu", "threads": 1, **(compute or {})}},
        iterations,
        needs=needs,
        cluster=cluster,
        new_interpreter=new_interpreter,
    )


WITH_REPORT = {**RASTERS, **METRICS, **REPORT}
LEAN: dict[str, Any] = {"iterations": LEAN_ITERATIONS}
PAPER: dict[str, Any] = {"iterations": PAPER_ITERATIONS}


def _seed(number: int) -> dict[str, Any]:
    return {"compute": {"seed": number}}


def _tiles(size: int, overlap: int, **compute: int) -> dict[str, Any]:
    return {"compute": {"tile_size": size, "overlap": overlap, **compute}}


def _gap_filling(raster: FindRaster) -> Iterator[Case]:
    def case(name: str, scene: str, *more: str, **options: Any) -> Case:
        return _restoration(name, "gap_fill", inputs=[raster(scene), *map(raster, more)], **options)

    guide = raster("guide")
    yield case("best", "small_slc_off", outputs=WITH_REPORT, method="best", **LEAN)
    yield case("best_guide", "small_slc_off", method="best", guide=guide, **_seed(7), **LEAN)
    yield case("fast", "slc_off", method="fast", new_interpreter=True)
    yield case("fast_guide", "integers_with_gaps", method="fast", guide=guide)
    yield case("deep_prior", "slc_off", method="deep_prior", **_seed(3), **LEAN)
    yield case("deep_prior_many_bands", "cube_with_gaps", method="deep_prior", **LEAN)
    yield case("paper_composite", "small_slc_off", method="paper_composite", **PAPER)
    yield case("paper_per_band_meshgrid", "small_slc_off", method="paper_per_band", network_input="meshgrid", **PAPER)
    by_band = [raster(f"gap_mask_B{number}") for number in (1, 2, 3, 4)]
    yield case("masks_by_band", "integers", method="fast", gap_masks=by_band, mask_polarity="zero_is_gap")
    yield case("masks_auto", "integers_with_gaps", method="fast", gap_masks=by_band, mask_polarity="auto")
    mask = [raster("gap_mask_all_bands")]
    yield case("mask_nonzero_is_gap", "integers", method="fast", gap_masks=mask, mask_polarity="nonzero_is_gap")
    yield case("fill_exterior", "integers_with_gaps", method="fast", fill_exterior=True)
    yield case("tiles_fast", "large_slc_off", method="fast", **_tiles(64, 16, seed=5))
    yield case("tiles_deep_prior", "large_slc_off", method="deep_prior", **_tiles(64, 16), **LEAN)
    yield case("tiles_two_threads", "large_slc_off", method="fast", **_tiles(64, 16, threads=2))
    yield case("bands", "L7_B1", "L7_B2", "L7_B3", method="fast")
    yield case("alpha", "alpha", method="fast")
    yield case("dataset_mask", "dataset_mask", method="fast")
    yield case("zeros_without_nodata", "zeros_without_nodata", method="fast")
    yield case("no_gaps", "colour_table", outputs=WITH_REPORT, method="fast")
    yield case("cluster", "large_slc_off", method="fast", cluster=True, **_tiles(64, 16))


def _stripes(raster: FindRaster) -> Iterator[Case]:
    def case(name: str, scene: str = "striped_cube", **options: Any) -> Case:
        return _restoration(name, "inpaint_stripes", input=raster(scene), **options)

    small = {"scene": "small_cube", "mask": raster("dead_columns")}
    mask = raster("stripe_mask")
    yield case("best", outputs=WITH_REPORT, method="best", **small, **LEAN)
    yield case("fast", outputs=WITH_REPORT, method="fast")
    yield case("deep_prior", method="deep_prior", **small, **LEAN)
    yield case("paper_2d", method="paper_2d", **small, **PAPER)
    yield case("paper_3d", method="paper_3d", **small, **_seed(2), **PAPER)
    yield case("mask", method="fast", mask=mask)
    yield case("mask_no_offsets", method="fast", mask=mask, correct_offsets=False)
    yield case("no_offsets", method="fast", correct_offsets=False)
    yield case("tiles", "large_cube", method="fast", **_tiles(64, 12))
    outputs = {"output": "mask.tif", **METRICS, **REPORT}
    many, few = ({"input": raster(name)} for name in ("striped_cube", "few_striped_bands"))
    yield Case("detect_stripes_many_bands", "detect_stripes", outputs, many)
    yield Case("detect_stripes_few_bands", "detect_stripes", outputs, few, new_interpreter=True)


def _denoising(raster: FindRaster) -> Iterator[Case]:
    def case(name: str, scene: str = "cube", **options: Any) -> Case:
        return _restoration(name, "denoise", input=raster(scene), **options)

    yield case("best", outputs=WITH_REPORT, method="best", **LEAN)
    yield case("fast_clipped", "clipped_cube", method="fast", noise="auto")
    yield case("fast", method="fast", new_interpreter=True)
    yield case("fast_gaussian", "clipped_cube", method="fast", noise="gaussian")
    yield case("fast_mixed", "cube_with_outliers", method="fast", noise="mixed")
    yield case("fast_sigma", method="fast", sigma=0.015)
    yield case("fast_few_bands", "slc_off", method="fast")
    yield case("deep_prior", method="deep_prior", **_seed(4), **LEAN)
    yield case("paper_2d", "small_cube", method="paper_2d", **PAPER)
    yield case("paper_3d", "small_cube", method="paper_3d", **PAPER)
    yield case("tiles", "large_cube", method="fast", **_tiles(64, 16))


def _superresolution(raster: FindRaster, model: str) -> Iterator[Case]:
    def case(name: str, scene: str = "coarse", **options: Any) -> Case:
        return _restoration(name, "superresolve", input=raster(scene), **options)

    yield case("best", outputs=WITH_REPORT, factor=2, method="best", **LEAN)
    yield case("fast_gaussian", factor=3, method="fast", psf="gaussian")
    yield case("fast_gaussian_sigma", factor=2, method="fast", psf="gaussian", psf_sigma=0.8)
    yield case("fast_lanczos", factor=4, method="fast", psf="lanczos")
    yield case("fast_guide", factor=2, method="fast", guide=raster("fine_guide"))
    yield case("deep_prior", factor=2, method="deep_prior", **_seed(6), **LEAN)
    yield case("paper_2d", factor=2, method="paper_2d", psf="lanczos", **PAPER)
    yield case("paper_3d", "coarse_cube", factor=2, method="paper_3d", psf="lanczos", **PAPER)
    yield case("tiles", "large_coarse", factor=2, method="fast", **_tiles(64, 8))
    scenes = [raster("training_1"), raster("training_2")]
    yield _restoration("", MODEL_CASE, MODEL, inputs=scenes, factor=2, **_seed(1), **LEAN)
    yield case("paper_cascade", factor=2, method="paper_cascade", model=model, needs=MODEL_CASE)


def _tools(raster: FindRaster) -> Iterator[Case]:
    def simulate(name: str, scene: str, new_interpreter: bool = False, **fields: Any) -> Case:
        outputs = {"output": "gaps.tif", "mask": "mask.tif"}
        job = {"input": raster(scene), **fields}
        return Case(f"simulate_gaps_{name}", "simulate_gaps", outputs, job, new_interpreter=new_interpreter)

    yield simulate("swath", "complete", swath_from=0.0, swath_to=0.3, seed=3)
    yield simulate("percentage", "complete", percentage=25.0, seed=1, new_interpreter=True)
    yield simulate("high_percentage", "integers", percentage=50.0)
    pair = {"restored": raster("restored"), "reference": raster("complete")}
    yield Case("assess", "assess", {**METRICS, **REPORT}, pair, new_interpreter=True)
    yield Case("assess_mask", "assess", {**METRICS, **REPORT}, {**pair, "mask": raster("evaluation_mask")})
    cubes = {"restored": raster("striped_cube"), "reference": raster("cube"), "mask": raster("stripe_mask")}
    yield Case("assess_cube", "assess", METRICS, cubes)


def _errors(raster: FindRaster) -> Iterator[Case]:
    def case(name: str, error: str, task: str, outputs: dict[str, str] | None = None, **fields: Any) -> Case:
        return Case(f"error_{name}", task, outputs or {"output": "output.tif"}, fields, error=error)

    scene, cube, mask = raster("slc_off"), raster("cube"), raster("stripe_mask")
    yield case("task", "InvalidJob", "sharpen", input=scene)
    yield case("method", "InvalidJob", "gap_fill", inputs=[scene], method="unknown")
    yield case("field", "InvalidJob", "denoise", input=cube, strength=3)
    yield case("missing_file", "UnreadableRaster", "gap_fill", inputs=[f"{scene}.missing"], method="fast")
    yield case("overwriting_input", "InvalidJob", "denoise", {"output": cube}, input=cube)
    yield case("missing_folder", "UnwritableOutput", "denoise", {"output": "no/such/folder/output.tif"}, input=cube)
    yield case("grid", "GridMismatch", "gap_fill", inputs=[scene, raster("shifted_grid")], method="fast")
    yield case("mask_grid", "GridMismatch", "inpaint_stripes", input=raster("large_cube"), mask=mask)
    yield case("mask_bands", "BandCountMismatch", "inpaint_stripes", input=scene, mask=mask)
    yield case("nothing_observed", "NothingObserved", "gap_fill", inputs=[raster("only_nodata")], method="fast")
    missing_device, missing_scheduler = {"device": "cuda:77"}, {"scheduler": "tcp://127.0.0.1:9"}
    yield case("device", "DeviceUnavailable", "gap_fill", inputs=[scene], method="fast", compute=missing_device)
    yield case("too_few_bands", "InvalidJob", "denoise", input=raster("colour_table"), method="paper_3d")
    yield case("model", "UnreadableModel", "superresolve", input=raster("coarse"), method="paper_cascade", model=scene)
    yield case("scheduler", "SchedulerUnavailable", "gap_fill", inputs=[scene], compute=missing_scheduler)
    yield case("too_small", "TooSmall", "train_superresolver", MODEL, inputs=[raster("coarse")])
    large = raster("large_slc_off")
    yield case("assessed_grid", "GridMismatch", "assess", METRICS, restored=scene, reference=large)
