"""The rows of the tables: simple methods, whole runs of the product, and traces of the papers' networks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks import common, peers
from dip_core.dip.presets import Preset, preset
from dip_core.imaging.back_projection import back_project
from dip_core.imaging.observation import Observation
from dip_core.imaging.psf import Psf, enlarge_bicubic
from dip_core.inpainting.experts.registry import GAP_EXPERTS
from dip_core.job import Compute, DenoiseJob, InpaintStripesJob, Job, Outputs, SuperResolveJob
from dip_core.runtime.devices import resolve_device

from . import tables, tracing
from .protocols import SIGMA, Problem
from .scoring import scores
from .tables import Table
from .tracing import Look

PAPER = ("paper_2d", "paper_3d")
PRODUCT = ("fast", "best", "deep_prior")
_JOBS = {"inpaint": InpaintStripesJob, "denoise": DenoiseJob, "superresolve": SuperResolveJob}
ON_CPU = 100  # iterations of a network, unless more are asked for


@dataclass(frozen=True)
class Options:
    """What the command line says: iterations of networks (None: 100 on a CPU, else the preset's), device, seed, folder.

    ``at``: the iterations to look at, empty for the usual ones.
    """

    device: str = "cpu"
    iterations: int | None = None
    seed: int = 0
    threads: int = 1
    out: Path = common.RESULTS
    at: tuple[int, ...] = ()


def simple(name: str, problem: Problem) -> NDArray[np.float32]:
    """The image of a method without a network or a choice: a peer's, or one of our interpolators alone."""
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


def row(table: Table, case: str, name: str, problem: Problem, options: Options) -> tables.Row:
    """Run one row and keep it in the table. ``name``: a simple method, a METHOD, or a preset with ``+variant``."""
    base, *variants = name.split("+")
    machine = common.Machine(options.device, options.threads)
    identity: tables.Row = {"case": case, "row": name, "schedule": None, "seed": None, "device": None}
    if base in PAPER:
        chosen, network_input = _chosen(problem.task, base, variants, options)
        identity |= {"schedule": chosen.schedule.iterations, "seed": options.seed, "device": options.device}

        def follow(take: Callable[[dict], None]) -> tables.Row:
            return _traced(problem, chosen, network_input, options, take)

        return tables.run_row(table, options.out, identity, machine, follow)
    if base in PRODUCT:
        identity |= {"seed": options.seed, "device": options.device}

    def once(take: Callable[[dict], None]) -> tables.Row:
        note = ""
        memory, start = common.PeakMemory(), perf_counter()
        if base in PRODUCT:
            image, run = product(base, problem, options)
            seconds, peak = run.seconds, run.peak_mib
            note = next((text for text in run.messages if text.startswith("Chosen")), "")
        else:
            image = simple(base, problem)
            seconds, peak = perf_counter() - start, memory.mib()
        found = {"": scores(image, problem)}
        take({"iteration": None, "loss": None, "seconds": seconds, "peak_mib": peak, "images": found})
        return {"note": note} if note else {}

    return tables.run_row(table, options.out, identity, machine, once)


def product(method: str, problem: Problem, options: Options) -> tuple[NDArray[np.float32], common.WorkerRun]:
    """The image that a whole run of the worker makes, and what the run told."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = Outputs(output=str(Path(folder, "restored.tif")))
        more: dict[str, object] = {}
        if problem.hidden is not None:
            mask = problem.hidden.astype(np.uint8)
            more["mask"] = common.write_raster(Path(folder, "mask.tif"), mask, None)
        if problem.factor > 1:
            more["factor"] = problem.factor
        wanted: Job = _JOBS[problem.task](
            input=common.write_raster(Path(folder, "given.tif"), problem.given, None),
            outputs=outputs,
            method=method,
            compute=Compute(device=options.device, seed=options.seed, threads=options.threads),
            **more,
        )
        run = common.run_worker(wanted)
        return common.read_raster(outputs.output or ""), run


def images(problem: Problem, look: Look) -> dict[str, NDArray]:
    """The images of a look by name: the network's as it is, and what is made of it."""
    if problem.hidden is not None:
        return {
            "raw output": look.image,
            "observed put back": np.where(problem.observed, problem.given, look.image),
            "averaged, observed put back": np.where(problem.observed, problem.given, look.average),
        }
    if problem.factor > 1:
        operator = Psf(problem.factor).operator((look.image.shape[1], look.image.shape[2]))
        agreeing = back_project(look.image, problem.given, problem.observed, operator)
        return {"raw output": look.image, "averaged": look.average, "back-projected": agreeing}
    return {"raw output": look.image, "averaged": look.average}


def _chosen(task: str, name: str, variants: list[str], options: Options) -> tuple[Preset, str]:
    """The preset with its variants and iterations, and the network's input."""
    chosen = preset(task, name)
    for variant in variants:
        chosen = tracing.VARIANTS[variant](chosen)
    on_cpu = resolve_device(options.device).type == "cpu"
    iterations = options.iterations or (ON_CPU if on_cpu else chosen.schedule.iterations)
    chosen = replace(chosen, schedule=replace(chosen.schedule, iterations=iterations))
    return chosen, "meshgrid" if "meshgrid" in variants else "noise"


def _traced(
    problem: Problem, chosen: Preset, network_input: str, options: Options, take: Callable[[dict], None]
) -> tables.Row:
    iterations = chosen.schedule.iterations
    memory, peak = common.PeakMemory(), [0.0]

    def look(seen: Look) -> None:
        # Of the fit alone: what the scores of the first look take comes later.
        peak[0] = peak[0] or (memory.mib() or 0.0)
        last = seen.iteration == iterations
        found = {name: scores(image, problem, last) for name, image in images(problem, seen).items()}
        known = peak[0] if options.device == "cpu" and peak[0] else None  # a GPU's memory is not counted
        point = {"iteration": seen.iteration, "loss": seen.loss, "seconds": seen.seconds, "images": found}
        take({**point, "peak_mib": known})

    parameters, _ = tracing.trace(
        problem,
        chosen,
        look,
        at=(*options.at, iterations) if options.at else tracing.when(iterations),
        seed=options.seed,
        device=resolve_device(options.device),
        network_input=network_input,
    )
    return {"parameters": parameters}
