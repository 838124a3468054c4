"""Measures the rows of the tables: simple methods, complete runs of the product, and traces of the papers' networks."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks import RESULTS, peers, rasters
from benchmarks.machine import Machine, PeakMemory
from benchmarks.worker import WorkerRun, run_worker
from dip_core.dip.presets import Preset, preset
from dip_core.imaging.back_projection import back_project
from dip_core.imaging.observation import Observation
from dip_core.imaging.psf import Psf, enlarge_bicubic
from dip_core.inpainting.experts.registry import GAP_EXPERTS
from dip_core.job import Job
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import DenoiseJob, InpaintStripesJob, SuperResolveJob
from dip_core.runtime.devices import resolve_device

from . import tables, tracing
from .protocols import SIGMA, Problem
from .scoring import scores
from .tables import AddPoint, Row, Table
from .tracing import Snapshot

PAPER = ("paper_2d", "paper_3d")
PRODUCT = ("fast", "best", "deep_prior")
CPU_ITERATIONS = 100  # of a network on a CPU, unless more are requested
_JOBS = {"inpaint": InpaintStripesJob, "denoise": DenoiseJob, "superresolve": SuperResolveJob}


@dataclass(frozen=True)
class RunOptions:
    """Options of the command line.

    ``iterations``: of networks; None: 100 on a CPU, otherwise those of the preset. ``at``: iterations of the snapshots;
    empty: `tracing.snapshot_iterations`.
    """

    device: str = "cpu"
    iterations: int | None = None
    seed: int = 0
    threads: int = 1
    out: Path = RESULTS
    at: tuple[int, ...] = ()


def run_method(table: Table, case: str, name: str, problem: Problem, options: RunOptions) -> Row:
    """Measure one row and store it. ``name``: a simple method, a METHOD, or a preset with ``+variant``."""
    base, *variants = name.split("+")
    machine = Machine(options.device, options.threads)
    row_key: Row = {"case": case, "row": name, "schedule": None, "seed": None, "device": None}
    if base in PAPER:
        chosen, network_input = _configure(problem.task, base, variants, options)
        row_key |= {"schedule": chosen.schedule.iterations, "seed": options.seed, "device": options.device}

        def trace(add_point: AddPoint) -> Row:
            return _trace(problem, chosen, network_input, options, add_point)

        return tables.measure_row(table, options.out, row_key, machine, trace)
    if base in PRODUCT:
        row_key |= {"seed": options.seed, "device": options.device}

    def run(add_point: AddPoint) -> Row:
        note = ""
        peak: float | None
        memory, start = PeakMemory(), perf_counter()
        if base in PRODUCT:
            image, worker_run = run_product(base, problem, options)
            seconds, peak, note = worker_run.seconds, worker_run.peak_mib, worker_run.selection_note()
        else:
            image = run_simple_method(base, problem)
            seconds, peak = perf_counter() - start, memory.mib()
        images = {"": scores(image, problem)}
        add_point({"iteration": None, "loss": None, "seconds": seconds, "peak_mib": peak, "images": images})
        return {"note": note} if note else {}

    return tables.measure_row(table, options.out, row_key, machine, run)


def run_simple_method(name: str, problem: Problem) -> NDArray[np.float32]:
    """The image of a method of another library, of an interpolator, or of a gap expert alone."""
    if name in ("do nothing", "noisy"):
        return problem.given
    if name == "nearest":
        return problem.given.repeat(problem.factor, axis=1).repeat(problem.factor, axis=2)
    if name == "bicubic":
        return enlarge_bicubic(problem.given, problem.factor).astype(np.float32)
    if name in peers.DENOISERS and problem.task == "denoise":
        return peers.DENOISERS[name](problem.given.astype(np.float64), SIGMA).astype(np.float32)
    if name in peers.INPAINTERS and problem.task == "inpaint":
        return peers.INPAINTERS[name](problem.given, problem.observed).astype(np.float32)
    return GAP_EXPERTS[name].estimate(Observation(problem.given, problem.observed, ~problem.observed))


def run_product(method: str, problem: Problem, options: RunOptions) -> tuple[NDArray[np.float32], WorkerRun]:
    """The image of a complete run of the worker, and the run."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = Outputs(output=str(Path(folder, "restored.tif")))
        parameters: dict[str, object] = {}
        if problem.hidden is not None:
            mask = problem.hidden.astype(np.uint8)
            parameters["mask"] = rasters.write_raster(Path(folder, "mask.tif"), mask, None)
        if problem.factor > 1:
            parameters["factor"] = problem.factor
        job: Job = _JOBS[problem.task](
            input=rasters.write_raster(Path(folder, "given.tif"), problem.given, None),
            outputs=outputs,
            method=method,
            compute=Compute(device=options.device, seed=options.seed, threads=options.threads),
            **parameters,
        )
        run = run_worker(job)
        return rasters.read_raster(outputs.output or ""), run


def images_of(problem: Problem, snapshot: Snapshot) -> dict[str, NDArray]:
    """The images of a snapshot by name: the network's output, and what METHOD would make from it."""
    if problem.hidden is not None:
        return {
            "raw output": snapshot.image,
            "observed put back": np.where(problem.observed, problem.given, snapshot.image),
            "averaged, observed put back": np.where(problem.observed, problem.given, snapshot.average),
        }
    if problem.factor > 1:
        operator = Psf(problem.factor).operator((snapshot.image.shape[1], snapshot.image.shape[2]))
        consistent = back_project(snapshot.image, problem.given, problem.observed, operator)
        return {"raw output": snapshot.image, "averaged": snapshot.average, "back-projected": consistent}
    return {"raw output": snapshot.image, "averaged": snapshot.average}


def _configure(task: str, name: str, variants: list[str], options: RunOptions) -> tuple[Preset, str]:
    """The preset with its variants and iterations, and the kind of the network's input."""
    chosen = preset(task, name)
    for variant in variants:
        chosen = tracing.VARIANTS[variant](chosen)
    on_cpu = resolve_device(options.device).type == "cpu"
    iterations = options.iterations or (CPU_ITERATIONS if on_cpu else chosen.schedule.iterations)
    chosen = replace(chosen, schedule=replace(chosen.schedule, iterations=iterations))
    return chosen, "meshgrid" if "meshgrid" in variants else "noise"


def _trace(problem: Problem, chosen: Preset, network_input: str, options: RunOptions, add_point: AddPoint) -> Row:
    """Trace a preset; a point per snapshot."""
    iterations = chosen.schedule.iterations
    memory = PeakMemory()
    peak: float | None = None

    def on_snapshot(snapshot: Snapshot) -> None:
        nonlocal peak
        if peak is None and options.device == "cpu":  # the memory of a GPU is not measured
            peak = memory.mib()  # before the first scores, whose memory does not count
        last = snapshot.iteration == iterations
        images = {name: scores(image, problem, last) for name, image in images_of(problem, snapshot).items()}
        add_point(
            {
                "iteration": snapshot.iteration,
                "loss": snapshot.loss,
                "seconds": snapshot.seconds,
                "images": images,
                "peak_mib": peak,
            }
        )

    parameters, _ = tracing.trace(
        problem,
        chosen,
        on_snapshot,
        at=(*options.at, iterations) if options.at else tracing.snapshot_iterations(iterations),
        seed=options.seed,
        device=resolve_device(options.device),
        network_input=network_input,
    )
    return {"parameters": parameters}
