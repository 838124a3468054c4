"""Job descriptions: what the worker is asked to do, checked when created, and converted to and from JSON.

A job is plain data: paths, names and numbers. Each task has one frozen dataclass.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Union

from .errors import InvalidJob
from .job_fields import Compute, Outputs, require, require_distinct_paths, require_one_of

GAP_METHODS = ("best", "fast", "deep_prior", "paper_composite", "paper_per_band")
STRIPE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d")
DENOISE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d")
NOISES = ("auto", "gaussian", "mixed")
MASK_POLARITIES = ("auto", "zero_is_gap", "nonzero_is_gap")
SUPERRESOLVE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d", "paper_cascade")
FACTORS = (2, 3, 4)
PSFS = ("bicubic", "gaussian", "lanczos")
NETWORK_INPUTS = ("noise", "meshgrid")


@dataclass(frozen=True)
class GapFillJob:
    """Fill the gaps of one scene.

    ``inputs``: the scene (all its bands), then further single-band rasters of the same scene. ``gap_masks``: empty
    (nodata, or else 0, marks gaps), one mask for all bands, or one mask per band. ``guide``: a raster of another date
    or sensor that overlaps the scene.
    """

    task: ClassVar[str] = "gap_fill"

    inputs: tuple[str, ...]
    outputs: Outputs
    gap_masks: tuple[str, ...] = ()
    mask_polarity: str = "auto"
    guide: str | None = None
    fill_exterior: bool = False
    method: str = "best"
    network_input: str = "noise"
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        require(self.inputs, "No INPUT raster was given: choose one.")
        require(not isinstance(self.inputs, str), "The job's 'inputs' must be a list of paths.")
        twin = next((path for path in self.inputs if self.inputs.count(path) > 1), None)
        require(twin is None, f"'{twin}' is given twice: remove it from BANDS.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require_one_of("METHOD", self.method, GAP_METHODS)
        require_one_of("MASK_POLARITY", self.mask_polarity, MASK_POLARITIES)
        require_one_of("NETWORK_INPUT", self.network_input, NETWORK_INPUTS)
        require_distinct_paths(self.outputs, (*self.inputs, *self.gap_masks, *((self.guide,) if self.guide else ())))


@dataclass(frozen=True)
class InpaintStripesJob:
    """Repair the stripes of a raster.

    ``mask``: None to detect stripes, or a raster with one band for all bands or one band per band: 0 clean, 2 additive
    stripe, other values dead. ``correct_offsets``: False inpaints additive stripes like dead lines.
    """

    task: ClassVar[str] = "inpaint_stripes"

    input: str
    outputs: Outputs
    mask: str | None = None
    correct_offsets: bool = True
    method: str = "best"
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require_one_of("METHOD", self.method, STRIPE_METHODS)
        require_distinct_paths(self.outputs, (self.input, *((self.mask,) if self.mask else ())))

    @property
    def network_input(self) -> str:
        """The input of networks: noise, as published for this task."""
        return NETWORK_INPUTS[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)


@dataclass(frozen=True)
class DetectStripesJob:
    """Find the stripes and dead lines of a raster.

    ``outputs.output`` is a mask with one band per band of the raster: 0 clean, 1 dead, 2 offset.
    """

    task: ClassVar[str] = "detect_stripes"

    input: str
    outputs: Outputs

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.requested(), "No OUTPUT file was given: choose one.")
        require_distinct_paths(self.outputs, (self.input,))


@dataclass(frozen=True)
class DenoiseJob:
    """Remove the noise of one raster.

    ``noise``: auto (clipped values are detected and handled), gaussian (no value is clipped) or mixed (auto, and also
    impulses, dead pixels and lines, and stripes). ``sigma``: standard deviation of the noise of all bands, in the
    data's units; None to estimate it per band.
    """

    task: ClassVar[str] = "denoise"

    input: str
    outputs: Outputs
    method: str = "best"
    noise: str = NOISES[0]
    sigma: float | None = None
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require_one_of("METHOD", self.method, DENOISE_METHODS)
        require_one_of("NOISE", self.noise, NOISES)
        require(
            self.sigma is None or self.sigma > 0,
            f"SIGMA is {self.sigma}: give a positive noise level in the data's units, or leave it empty.",
        )
        require_distinct_paths(self.outputs, (self.input,))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)


@dataclass(frozen=True)
class SuperResolveJob:
    """Enlarge one raster.

    ``psf``: point spread function of the sensor. ``psf_sigma``: standard deviation of the Gaussian in pixels of the
    output; None for half a pixel of the input. ``guide``: a finer raster of the same area. ``model``: a file from a
    TrainJob.
    """

    task: ClassVar[str] = "superresolve"

    input: str
    outputs: Outputs
    factor: int = FACTORS[0]
    psf: str = PSFS[0]
    psf_sigma: float | None = None
    guide: str | None = None
    model: str | None = None
    method: str = SUPERRESOLVE_METHODS[0]
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require(self.factor in FACTORS, f"FACTOR is {self.factor}: give 2, 3 or 4.")
        require_one_of("PSF", self.psf, PSFS)
        require_one_of("METHOD", self.method, SUPERRESOLVE_METHODS)
        require(
            self.psf_sigma is None or self.psf_sigma > 0,
            f"PSF_SIGMA is {self.psf_sigma}: give a positive number of output pixels, or leave it empty.",
        )
        require(
            self.model or self.method != "paper_cascade",
            "METHOD paper_cascade needs a MODEL: give a file made by 'Train super-resolver', or choose another METHOD.",
        )
        require_distinct_paths(self.outputs, tuple(path for path in (self.input, self.guide, self.model) if path))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)


@dataclass(frozen=True)
class TrainJob:
    """Train a super-resolver on rasters with the same bands; it is written to ``outputs.model``."""

    task: ClassVar[str] = "train_superresolver"

    inputs: tuple[str, ...]
    outputs: Outputs
    factor: int = FACTORS[0]
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        require(self.inputs, "No INPUTS raster was given: choose at least one.")
        require(self.outputs.model, "No MODEL file was given: choose one.")
        require(self.factor in FACTORS, f"FACTOR is {self.factor}: give 2, 3 or 4.")
        require_distinct_paths(self.outputs, self.inputs)


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

    def __post_init__(self) -> None:
        require(self.outputs.output or self.outputs.mask, "Neither OUTPUT nor MASK was given: choose at least one.")
        for name, value in (("SWATH_FROM", self.swath_from), ("SWATH_TO", self.swath_to)):
            require(0.0 <= value <= 1.0, f"{name} is {value}: give a position between 0 (west edge) and 1 (east edge).")
        require(
            self.percentage is None or 0.0 < self.percentage <= 60.0,
            f"PERCENTAGE is {self.percentage}: give more than 0 and at most 60.",
        )
        require(self.seed >= 0, f"SEED is {self.seed}: give 0 or a positive whole number.")
        require_distinct_paths(self.outputs, (self.input,))


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

    def __post_init__(self) -> None:
        require_distinct_paths(self.outputs, tuple(path for path in (self.restored, self.reference, self.mask) if path))


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


def to_json(job: Job) -> str:
    """The job as JSON text."""
    return json.dumps({"task": job.task, **asdict(job)}, indent=1)


def from_json(text: str) -> Job:
    """The job in a JSON text. Raises InvalidJob."""
    try:
        record = json.loads(text)
        job_type = JOB_TYPES[record.pop("task")]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        reason = f"The job file is not a Deep Prior job: its 'task' must be one of {', '.join(JOB_TYPES)}."
        raise InvalidJob(reason=reason) from error
    try:
        for name, part in (("outputs", Outputs), ("compute", Compute)):
            if name in record:
                record[name] = part(**record[name])
        for name, value in record.items():
            if isinstance(value, list):
                record[name] = tuple(value)
            elif isinstance(value, str) and name in ("inputs", "gap_masks"):
                record[name] = (value,)
        return job_type(**record)
    except TypeError as error:
        raise InvalidJob(reason=f"The job file has a wrong or missing entry: {error}.") from error
