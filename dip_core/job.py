"""Job descriptions: what the worker is asked to do, checked when created, and converted to and from JSON.

A job is plain data: paths, names and numbers. Each task has one frozen dataclass; those of the restorers are in
`restoration_jobs`.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Union

from .errors import InvalidJob
from .job_fields import (
    Compute,
    Outputs,
    as_numbers,
    as_paths,
    as_words,
    require,
    require_numbers,
)
from .job_record import make, parse_object
from .output_paths import require_distinct_paths
from .restoration_jobs import FACTORS, DenoiseJob, GapFillJob, InpaintStripesJob, SuperResolveJob


@dataclass(frozen=True)
class DetectStripesJob:
    """Find the stripes and dead lines of a raster.

    ``outputs.output`` is a mask with one band per band of the raster: 0 clean, 1 dead, 2 offset.
    """

    task: ClassVar[str] = "detect_stripes"

    input: str
    outputs: Outputs
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.requested(), "No OUTPUT file was given: choose one.")
        require_numbers("NODATA", self.nodata)
        require_distinct_paths(self.outputs.requested(), (self.input,))


@dataclass(frozen=True)
class TrainJob:
    """Train a super-resolver on rasters with the same bands; it is written to ``outputs.model``."""

    task: ClassVar[str] = "train_superresolver"

    inputs: tuple[str, ...]
    outputs: Outputs
    factor: int = FACTORS[0]
    compute: Compute = field(default_factory=Compute)
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(self.inputs, "No INPUTS raster was given: choose at least one.")
        require(self.outputs.model, "No MODEL file was given: choose one.")
        require(self.factor in FACTORS, f"FACTOR is {self.factor}: give 2, 3 or 4.")
        require_numbers("NODATA", self.nodata)
        require_distinct_paths(self.outputs.requested(), self.inputs)


@dataclass(frozen=True)
class SimulateGapsJob:
    """Cut SLC-off gaps into a gap-free scene.

    The position in the swath is given by ``swath_from`` and ``swath_to`` (0 and 1: the edges, 0.5: the gap-free
    centre) or by ``percentage`` (missing pixels in percent, 0 < percentage <= 60). ``outputs.output`` is the scene with
    gaps, ``outputs.mask`` the mask (0 missing, 1 observed).
    """

    task: ClassVar[str] = "simulate_gaps"

    input: str
    outputs: Outputs
    swath_from: float = 0.0
    swath_to: float = 0.25
    percentage: float | None = None
    seed: int = 0
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(self.outputs.output or self.outputs.mask, "Neither OUTPUT nor MASK was given: choose at least one.")
        for name, value in (("SWATH_FROM", self.swath_from), ("SWATH_TO", self.swath_to)):
            require(0.0 <= value <= 1.0, f"{name} is {value}: give a position between 0 (west edge) and 1 (east edge).")
        require(
            self.percentage is None or 0.0 < self.percentage <= 60.0,
            f"PERCENTAGE is {self.percentage}: give more than 0 and at most 60.",
        )
        require(self.seed >= 0, f"SEED is {self.seed}: give 0 or a positive whole number.")
        require_numbers("NODATA", self.nodata)
        require_distinct_paths(self.outputs.requested(), (self.input,))


@dataclass(frozen=True)
class AssessJob:
    """Compare a restored raster with its reference: everywhere, and inside and outside a mask.

    ``mask``: pixels that are not 0 are inside; the FILLED output of a restorer can be used.
    """

    task: ClassVar[str] = "assess"

    restored: str
    reference: str
    outputs: Outputs
    mask: str | None = None
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require_numbers("NODATA", self.nodata)
        require_distinct_paths(
            self.outputs.requested(), tuple(path for path in (self.restored, self.reference, self.mask) if path)
        )


Job = Union[
    GapFillJob, InpaintStripesJob, DetectStripesJob, DenoiseJob, SuperResolveJob, TrainJob, SimulateGapsJob, AssessJob
]
# The registry of tasks: the job's class by task id. `dip_core.tasks` has a module of the same name for each.
JOB_TYPES: dict[str, type[Any]] = {
    job_type.task: job_type
    for job_type in (
        GapFillJob,
        InpaintStripesJob,
        DetectStripesJob,
        DenoiseJob,
        SuperResolveJob,
        TrainJob,
        SimulateGapsJob,
        AssessJob,
    )
}

_PARTS: dict[str, type[Any]] = {"Outputs": Outputs, "Compute": Compute}
_LIST_FIELDS = {"inputs": as_paths, "gap_masks": as_paths, "nodata": as_numbers, "qa_classes": as_words}


def to_json(job: Job) -> str:
    """The job as JSON text."""
    return json.dumps({"task": job.task, **asdict(job)}, indent=1)


def from_json(text: str) -> Job:
    """The job in a JSON text; the type of every entry is checked. Raises InvalidJob."""
    record = parse_object(text)
    task = record.pop("task", None)
    if not isinstance(task, str) or task not in JOB_TYPES:
        reason = f"The job file is not a Deep Prior job: its 'task' must be one of {', '.join(JOB_TYPES)}."
        raise InvalidJob(reason=reason)
    job: Job = make(JOB_TYPES[task], record, _PARTS, _LIST_FIELDS)
    return job
