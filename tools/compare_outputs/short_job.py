"""Runs a job with short schedules, otherwise like ``python -m dip_core JOB``: ``python short_job.py ITERATIONS JOB``.

The working directory is the checkout. Schedules are changed in place, so that modules that import one by name use the
changed schedule, too.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

EPOCHS, BATCH_SIZE = 2, 8
# With the default rate, the first steps make the model worse, and the untrained weights would be the result.
LEARNING_RATE = 2e-4


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a checkout defines schedules: modules, and names in the module of the training."""

    presets: str
    training: str
    options: str
    batch_size: str
    denoising: str | None = None  # a module with a schedule outside the presets


CURRENT_LAYOUT = Layout("dip_core.dip.presets", "dip_core.superresolution.trainer", "TrainingOptions", "batch_size")

# ---- Old layout: checkouts from before `dip_core` had packages. Remove this part when it is no longer needed. ----
OLD_LAYOUT = Layout("dip_core.presets", "dip_core.training", "Settings", "batch", "dip_core.experts.eigen_prior")


def find_layout() -> Layout:
    """The layout of the checkout."""
    return OLD_LAYOUT if Path("dip_core", "presets.py").exists() else CURRENT_LAYOUT


# ---- End of the old layout. ----


def main(iterations: int, job: str) -> int:
    """Run a job with at most this number of iterations; returns the exit code."""
    sys.path[0] = os.getcwd()  # instead of the folder of this file
    with open(job, encoding="utf-8") as file:
        task = json.load(file)["task"]
    layout = find_layout()
    shorten_presets(layout, iterations)
    if task == "denoise" and layout.denoising:
        shorten(importlib.import_module(layout.denoising).SCHEDULE, iterations)
    if task == "train_superresolver":
        shorten_training(layout)
    worker = importlib.import_module("dip_core.__main__")
    if not Path(str(worker.__file__)).resolve().is_relative_to(Path.cwd().resolve()):
        raise RuntimeError(f"{worker.__file__} is not in the checkout {Path.cwd()}")
    exit_code: int = worker.main([job])
    return exit_code


def shorten(schedule: Any, iterations: int) -> None:
    """Reduce the iterations of a schedule, which is a frozen dataclass."""
    object.__setattr__(schedule, "iterations", min(schedule.iterations, iterations))


def shorten_presets(layout: Layout, iterations: int) -> None:
    """Reduce the iterations of all presets."""
    for methods in importlib.import_module(layout.presets).PRESETS.values():
        for preset in methods.values():
            shorten(preset.schedule, iterations)


def shorten_training(layout: Layout) -> None:
    """Change the default options of the training."""
    options = getattr(importlib.import_module(layout.training), layout.options)
    changes = {"epochs": EPOCHS, layout.batch_size: BATCH_SIZE, "learning_rate": LEARNING_RATE}
    fields = dataclasses.fields(options)
    options.__init__.__defaults__ = tuple(changes.get(field.name, field.default) for field in fields)
    if {name: getattr(options(), name) for name in changes} != changes:
        raise RuntimeError("cannot change the options of the training")


if __name__ == "__main__":
    code = main(int(sys.argv[1]), sys.argv[2])
    sys.stdout.flush()
    os._exit(code)  # as `dip_core` does
