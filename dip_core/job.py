"""What is asked of the worker: a *job*, validated once, to and from JSON.

A job is plain data: paths, names and numbers, no open files and no arrays. Each kind of work has one
frozen dataclass; `to_json` and `from_json` carry it across the process boundary.

Standard library only: the QGIS side builds jobs with this very module.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Union

from .errors import InvalidJob

GAP_METHODS = ("best", "fast", "deep_prior", "paper_composite", "paper_per_band")
STRIPE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d")
DENOISE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d")
NOISES = ("auto", "gaussian", "mixed")
MASK_POLARITIES = ("auto", "zero_is_gap", "nonzero_is_gap")
SUPERRESOLVE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d", "paper_cascade")
FACTORS = (2, 3, 4)
PSFS = ("bicubic", "gaussian", "lanczos")
NETWORK_INPUTS = ("noise", "meshgrid")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class Outputs:
    """Where to write; a path that is None is not wanted."""

    output: str | None = None
    uncertainty: str | None = None
    filled: str | None = None
    mask: str | None = None
    report: str | None = None
    metrics: str | None = None
    model: str | None = None

    def wanted(self) -> dict[str, str]:
        """The paths that are wanted, by output name in capital letters."""
        return {name.upper(): path for name, path in asdict(self).items() if path}


@dataclass(frozen=True)
class Compute:
    """How to compute: device, seed, seconds to spend (None: no limit), tiles in pixels (0: automatic).

    ``scheduler`` is the address of a Dask scheduler, None for this machine alone; ``threads`` 0 leaves
    one core free where there are more than two.
    """

    device: str = "auto"
    seed: int = 0
    time_budget: float | None = None
    tile_size: int = 0
    overlap: int = 0
    scheduler: str | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        _need(_DEVICE.fullmatch(self.device), f"DEVICE '{self.device}' is unknown: use auto, cpu, cuda:N or mps.")
        _need(_whole(self.seed), f"SEED is {self.seed}: give 0 or a positive whole number.")
        _need(_whole(self.threads), f"threads is {self.threads}: give 0 (automatic) or a positive whole number.")
        _need(
            self.time_budget is None or self.time_budget > 0,
            f"TIME_BUDGET is {self.time_budget} s: give a positive number of seconds, or leave it empty.",
        )
        _need(
            _whole(self.tile_size) and (self.tile_size == 0 or self.tile_size >= 64),
            f"TILE_SIZE is {self.tile_size}: give at least 64 pixels, or 0 for automatic.",
        )
        _need(_whole(self.overlap), f"OVERLAP is {self.overlap}: give 0 (automatic) or a positive number of pixels.")
        _need(
            self.tile_size == 0 or 2 * self.overlap < self.tile_size,
            f"OVERLAP {self.overlap} is too large for TILE_SIZE {self.tile_size}: give less than half of it.",
        )


@dataclass(frozen=True)
class GapFillJob:
    """Fill the gaps of one scene.

    ``inputs``: the scene (all its bands), then further single-band rasters of the same scene.
    ``gap_masks``: none (nodata, else 0, marks gaps), one for all bands, or one a band.
    ``guide``: a raster of another date or sensor on an overlapping grid.
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
        _need(self.inputs, "No INPUT raster was given: choose one.")
        _need(not isinstance(self.inputs, str), "The job's 'inputs' must be a list of paths.")
        twin = next((path for path in self.inputs if self.inputs.count(path) > 1), None)
        _need(twin is None, f"'{twin}' is given twice: leave it out of BANDS.")
        _need(self.outputs.output, "No OUTPUT file was given: choose one.")
        _one_of("METHOD", self.method, GAP_METHODS)
        _one_of("MASK_POLARITY", self.mask_polarity, MASK_POLARITIES)
        _one_of("NETWORK_INPUT", self.network_input, NETWORK_INPUTS)
        _apart(self.outputs, (*self.inputs, *self.gap_masks, *((self.guide,) if self.guide else ())))


@dataclass(frozen=True)
class InpaintStripesJob:
    """Repair the stripes of a raster.

    ``mask``: None (stripes are detected) or a raster with one band or one a band: 0 clean, 2 additive
    stripe, other values dead. ``correct_offsets`` False: additive stripes are inpainted like dead lines.
    """

    task: ClassVar[str] = "inpaint_stripes"

    input: str
    outputs: Outputs
    mask: str | None = None
    correct_offsets: bool = True
    method: str = "best"
    network_input: str = "noise"
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        _need(self.input, "No INPUT raster was given: choose one.")
        _need(self.outputs.output, "No OUTPUT file was given: choose one.")
        _one_of("METHOD", self.method, STRIPE_METHODS)
        _one_of("NETWORK_INPUT", self.network_input, NETWORK_INPUTS)
        _apart(self.outputs, (self.input, *((self.mask,) if self.mask else ())))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)


@dataclass(frozen=True)
class DetectStripesJob:
    """Find the stripes and dead lines of a raster.

    ``outputs.output`` receives a mask with a band for each of the raster's: 0 clean, 1 dead, 2 offset.
    """

    task: ClassVar[str] = "detect_stripes"

    input: str
    outputs: Outputs

    def __post_init__(self) -> None:
        _need(self.input, "No INPUT raster was given: choose one.")
        _need(self.outputs.wanted(), "No OUTPUT file was given: choose one.")
        _apart(self.outputs, (self.input,))


@dataclass(frozen=True)
class DenoiseJob:
    """Remove the noise of one raster.

    ``noise``: auto (values that the product clipped are looked for), gaussian (none are assumed) or mixed
    (impulses, dead pixels and lines, and stripes are looked for too).
    ``sigma``: standard deviation of the noise in the data's units, the same in all bands; None to estimate it
    band by band.
    """

    task: ClassVar[str] = "denoise"

    input: str
    outputs: Outputs
    method: str = "best"
    noise: str = NOISES[0]
    sigma: float | None = None
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        _need(self.input, "No INPUT raster was given: choose one.")
        _need(self.outputs.output, "No OUTPUT file was given: choose one.")
        _one_of("METHOD", self.method, DENOISE_METHODS)
        _one_of("NOISE", self.noise, NOISES)
        _need(
            self.sigma is None or self.sigma > 0,
            f"SIGMA is {self.sigma}: give a positive noise level in the data's units, or leave it empty.",
        )
        _apart(self.outputs, (self.input,))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)


@dataclass(frozen=True)
class SuperResolveJob:
    """Enlarge one raster.

    ``psf``: how the sensor made the input from a finer image. ``psf_sigma``: the Gaussian's standard deviation in
    pixels of the output; None for half a pixel of the input. ``guide``: a finer raster of the same place. ``model``: a
    file from a TrainJob.
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
        _need(self.input, "No INPUT raster was given: choose one.")
        _need(self.outputs.output, "No OUTPUT file was given: choose one.")
        _need(self.factor in FACTORS, f"FACTOR is {self.factor}: give 2, 3 or 4.")
        _one_of("PSF", self.psf, PSFS)
        _one_of("METHOD", self.method, SUPERRESOLVE_METHODS)
        _need(
            self.psf_sigma is None or self.psf_sigma > 0,
            f"PSF_SIGMA is {self.psf_sigma}: give a positive number of output pixels, or leave it empty.",
        )
        _need(
            self.model or self.method != "paper_cascade",
            "METHOD paper_cascade needs a MODEL: give a file made by 'Train super-resolver', or choose another METHOD.",
        )
        _apart(self.outputs, tuple(path for path in (self.input, self.guide, self.model) if path))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)


@dataclass(frozen=True)
class TrainJob:
    """Train a super-resolver on rasters that share their bands; ``outputs.model`` receives it."""

    task: ClassVar[str] = "train_superresolver"

    inputs: tuple[str, ...]
    outputs: Outputs
    factor: int = FACTORS[0]
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        _need(self.inputs, "No INPUTS raster was given: choose at least one.")
        _need(self.outputs.model, "No MODEL file was given: choose one.")
        _need(self.factor in FACTORS, f"FACTOR is {self.factor}: give 2, 3 or 4.")
        _apart(self.outputs, self.inputs)


@dataclass(frozen=True)
class SimulateGapsJob:
    """Cut SLC-off gaps into a gap-free scene.

    The place in the swath is given by ``swath_from`` and ``swath_to`` (0 and 1: the edges, 0.5: the
    gap-free centre) or by ``percentage`` (missing pixels in percent, 0 < percentage <= 60).
    ``outputs.output`` receives the scene with gaps, ``outputs.mask`` the mask (0 missing, 1 observed).
    """

    task: ClassVar[str] = "simulate_gaps"

    input: str
    outputs: Outputs
    swath_from: float = 0.0
    swath_to: float = 0.25
    percentage: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _need(self.outputs.output or self.outputs.mask, "Neither OUTPUT nor MASK was given: choose at least one.")
        for name, value in (("SWATH_FROM", self.swath_from), ("SWATH_TO", self.swath_to)):
            _need(0.0 <= value <= 1.0, f"{name} is {value}: give a position between 0 (west edge) and 1 (east edge).")
        _need(
            self.percentage is None or 0.0 < self.percentage <= 60.0,
            f"PERCENTAGE is {self.percentage}: give more than 0 and at most 60.",
        )
        _need(self.seed >= 0, f"SEED is {self.seed}: give 0 or a positive whole number.")
        _apart(self.outputs, (self.input,))


@dataclass(frozen=True)
class AssessJob:
    """Compare a restored raster with its reference, everywhere and inside and outside a mask.

    ``mask``: pixels that are not 0 are inside (the FILLED output of a restorer fits).
    """

    task: ClassVar[str] = "assess"

    restored: str
    reference: str
    outputs: Outputs
    mask: str | None = None

    def __post_init__(self) -> None:
        _apart(self.outputs, tuple(path for path in (self.restored, self.reference, self.mask) if path))


Job = Union[
    GapFillJob, InpaintStripesJob, DetectStripesJob, DenoiseJob, SuperResolveJob, TrainJob, SimulateGapsJob, AssessJob
]
_JOBS: dict[str, type[Any]] = {
    kind.task: kind
    for kind in (
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
    """The job in a JSON text; raises InvalidJob with one sentence where it is not one."""
    try:
        record = json.loads(text)
        kind = _JOBS[record.pop("task")]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidJob(
            reason=f"The job file is not a Deep Prior job: its 'task' must be one of {', '.join(_JOBS)}."
        ) from error
    try:
        for name, part in (("outputs", Outputs), ("compute", Compute)):
            if name in record:
                record[name] = part(**record[name])
        for name, value in record.items():
            if isinstance(value, list):
                record[name] = tuple(value)
            elif isinstance(value, str) and name in ("inputs", "gap_masks"):
                record[name] = (value,)
        return kind(**record)
    except TypeError as error:
        raise InvalidJob(reason=f"The job file has a wrong or missing entry: {error}.") from error


def _need(condition: object, reason: str) -> None:
    if not condition:
        raise InvalidJob(reason=reason)


def _whole(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    _need(value in allowed, f"{name} '{value}' is unknown: use {', '.join(allowed)}.")


def _apart(outputs: Outputs, inputs: tuple[str, ...]) -> None:
    """No output may overwrite an input or another output."""
    wanted = list(outputs.wanted().items())
    taken = {_file(path) for path in inputs}
    for place, (name, path) in enumerate(wanted):
        _need(_file(path) not in taken, f"{name} would overwrite the input '{path}': choose another file.")
        twin = next((other for other, same in wanted[:place] if _file(same) == _file(path)), None)
        _need(twin is None, f"{name} and {twin} are the same file '{path}': choose two.")


def _file(path: str) -> str:
    """One name for a file, whichever way its path is written."""
    return os.path.normcase(os.path.realpath(path))
