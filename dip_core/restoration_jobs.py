"""The jobs of the restorers: filling gaps, inpainting stripes, denoising and super-resolution. See `job`.

``nodata`` of a job: values that mark missing pixels, besides those that the raster's metadata name.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from .job_fields import Compute, Outputs, require, require_numbers, require_one_of
from .output_paths import require_distinct_paths

GAP_METHODS = ("best", "fast", "deep_prior", "paper_composite", "paper_per_band")
STRIPE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d")
DENOISE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d")
NOISES = ("auto", "gaussian", "mixed")
MASK_POLARITIES = ("auto", "zero_is_gap", "nonzero_is_gap")
SUPERRESOLVE_METHODS = ("best", "fast", "deep_prior", "paper_2d", "paper_3d", "paper_cascade")
FACTORS = (2, 3, 4)
MIN_PSF_SIGMA = 0.01  # output pixels; below 0.125 there is no blur
MAX_PSF_SIGMA = 8  # input pixels; a wider blur leaves nothing to restore
PSFS = ("bicubic", "gaussian", "lanczos")
NETWORK_INPUTS = ("noise", "meshgrid")
QA_KINDS = ("auto", "landsat_c2", "landsat_c1", "sentinel2_scl", "fmask")
QA_CLASSES = ("fill", "cloud", "dilated_cloud", "cirrus", "shadow", "snow")
DEFAULT_QA_CLASSES = ("fill", "cloud", "dilated_cloud", "shadow")


@dataclass(frozen=True)
class GapFillJob:
    """Fill the gaps of one scene.

    ``inputs``: the scene (all its bands), then further single-band rasters of the same scene. ``gap_masks``: empty
    (nodata, or else 0, marks gaps), one mask for all bands, or one mask per band. ``qa``: a raster of quality codes
    whose ``qa_classes`` are gaps too; ``qa_kind``: how to read the codes. ``guide``: a raster of another date or sensor
    that overlaps the scene. ``max_distance``: fill at most this many pixels away from the nearest observed pixel;
    None: no limit. ``extent_mask``: a GeoJSON file with polygons in the scene's CRS; only pixels inside are filled.
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
    nodata: tuple[float, ...] = ()
    qa: str | None = None
    qa_kind: str = QA_KINDS[0]
    qa_classes: tuple[str, ...] = DEFAULT_QA_CLASSES
    max_distance: float | None = None
    extent_mask: str | None = None

    def __post_init__(self) -> None:
        require(self.inputs, "No INPUT raster was given: choose one.")
        require(not isinstance(self.inputs, str), "The job's 'inputs' must be a list of paths.")
        twin = next((path for path in self.inputs if self.inputs.count(path) > 1), None)
        require(twin is None, f"'{twin}' is given twice: remove it from BANDS.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require_one_of("METHOD", self.method, GAP_METHODS)
        require_one_of("MASK_POLARITY", self.mask_polarity, MASK_POLARITIES)
        require_one_of("NETWORK_INPUT", self.network_input, NETWORK_INPUTS)
        require_one_of("QA_KIND", self.qa_kind, QA_KINDS)
        require(self.qa_classes or not self.qa, "QA_CLASSES is empty: choose at least one class, or no QA.")
        for name in self.qa_classes:
            require_one_of("QA_CLASSES", name, QA_CLASSES)
        require(
            self.max_distance is None or self.max_distance > 0,
            f"MAX_DISTANCE is {self.max_distance}: give a positive number of pixels, or leave it empty.",
        )
        require_numbers("NODATA", self.nodata)
        others = (self.qa, self.guide, self.extent_mask)
        require_distinct_paths(
            self.outputs.requested(), (*self.inputs, *self.gap_masks, *(path for path in others if path))
        )


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
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require_one_of("METHOD", self.method, STRIPE_METHODS)
        require_numbers("NODATA", self.nodata)
        require_distinct_paths(self.outputs.requested(), (self.input, *((self.mask,) if self.mask else ())))

    @property
    def network_input(self) -> str:
        """The input of networks: noise, as published for this task."""
        return NETWORK_INPUTS[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)


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
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require_one_of("METHOD", self.method, DENOISE_METHODS)
        require_one_of("NOISE", self.noise, NOISES)
        require(
            self.sigma is None or 0 < self.sigma < math.inf,
            f"SIGMA is {self.sigma}: give a positive noise level in the data's units, or leave it empty.",
        )
        require_numbers("NODATA", self.nodata)
        require_distinct_paths(self.outputs.requested(), (self.input,))

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
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(self.input, "No INPUT raster was given: choose one.")
        require(self.outputs.output, "No OUTPUT file was given: choose one.")
        require(self.factor in FACTORS, f"FACTOR is {self.factor}: give 2, 3 or 4.")
        require_one_of("PSF", self.psf, PSFS)
        require_one_of("METHOD", self.method, SUPERRESOLVE_METHODS)
        largest = MAX_PSF_SIGMA * self.factor
        require(
            self.psf_sigma is None or MIN_PSF_SIGMA <= self.psf_sigma <= largest,
            f"PSF_SIGMA is {self.psf_sigma}: give {MIN_PSF_SIGMA} to {largest} output pixels for FACTOR {self.factor}, "
            "or leave it empty.",
        )
        require(
            self.model or self.method != "paper_cascade",
            "METHOD paper_cascade needs a MODEL: give a file made by 'Train super-resolver', or choose another METHOD.",
        )
        require_numbers("NODATA", self.nodata)
        require_distinct_paths(
            self.outputs.requested(), tuple(path for path in (self.input, self.guide, self.model) if path)
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""
        return (self.input,)
