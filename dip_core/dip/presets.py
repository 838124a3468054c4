"""Settings of the untrained networks, by task and METHOD: those of the papers and our own.

The task ``inpaint`` is used for gaps and for stripes.

GAP paper (``paper_composite``, ``paper_per_band``), appendix A.1: input of 4 channels of uniform noise in 0 to 1/10 or
a mesh grid, 128 channels and skips of 128 at five levels, 3 x 3 convolutions (1 x 1 in the skips), nearest upsampling,
input perturbation 1/10, Adam with learning rate 0.01, 1500 iterations, the last output.

DHP paper (``paper_2d``, ``paper_3d``), section 3.1: input of uniform noise in 0 to 1/10 with the image's own shape,
leaky ReLU, downsampling by stride, nearest or (tri)linear upsampling, and Adam. For the exact description the paper
refers to its code. The notebooks there give the channels, learning rate 0.01, 3 x 3 (x 3) convolutions (1 x 1 in the
skips), padding by reflection (in 3-D: replication), and what is stated at each preset below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .architecture import Architecture
from .networks import NETWORKS, NetworkType

OPTIMISERS = ("adam", "lbfgs")
SCALINGS = ("band", "global", "none")


@dataclass(frozen=True)
class Schedule:
    """How a network is fitted.

    ``perturbation``: standard deviation of the noise added to the input (sigma_p of the papers). ``redraw``: draw this
    noise anew in each iteration, as published; False cuts it at a random position from numbers drawn once, which is
    faster on a CPU. ``average``: decay of the moving average of outputs, None to use the last output. ``patience``:
    iterations without a better check score before the fit stops, None for never. ``reduced_precision``: bfloat16
    convolutions on devices where they are fast. ``optimiser``: adam, or lbfgs (with a line search; use a learning rate
    of 1). ``optimise_input``: fit the input together with the weights.
    """

    iterations: int
    learning_rate: float = 0.01
    perturbation: float = 0.1
    redraw: bool = True
    average: float | None = None
    patience: int | None = None
    reduced_precision: bool = False
    optimiser: str = "adam"
    optimise_input: bool = False

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"The optimiser '{self.optimiser}' is unknown: use one of {', '.join(OPTIMISERS)}.")


@dataclass(frozen=True)
class Preset:
    """A network, how it is fitted, and how bands and input are arranged.

    ``inputs``: channels of uniform noise in 0..0.1, None for the image's own shape. ``network``: a name in
    `networks.NETWORKS`. ``per_band``: one network per band. ``scaling``: values are scaled to 0..1 per band (``band``)
    or all together (``global``), or stay standardised (``none``). ``add_residual``: the difference between data and
    network at the observed pixels is interpolated into the gaps and added, so that the fill is continuous at the gap's
    edge.
    """

    architecture: Architecture
    schedule: Schedule
    inputs: int | None = None
    network: str = "hourglass"
    per_band: bool = False
    scaling: str = "band"
    add_residual: bool = False

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise ValueError(f"The scaling '{self.scaling}' is unknown: use one of {', '.join(SCALINGS)}.")
        if self.dimensions == 3 and (self.per_band or self.inputs not in (None, 1)):
            raise ValueError("A 3-D network takes all bands as one volume.")

    @property
    def network_type(self) -> NetworkType:
        """The network's record in the registry."""
        return NETWORKS[self.network]

    @property
    def dimensions(self) -> int:
        """2, or 3 for convolutions along the bands too."""
        return self.network_type.axes

    def with_iterations(self, iterations: int | None) -> Preset:
        """The preset with another number of iterations; None keeps the preset's own."""
        return self if not iterations else replace(self, schedule=replace(self.schedule, iterations=iterations))


_GAP = Architecture()
_GAP_SCHEDULE = Schedule(iterations=1500)

# Thin skips, bilinear, no 1 x 1 after upsampling, no sigmoid; used for denoising and super-resolution.
_DHP_THIN = Architecture(skip=(4,) * 5, upsample="bilinear", pointwise_after_up=False, sigmoid=False)
_DHP_VOLUME = Architecture(
    (128,) * 5, (128,) * 5, (4,) * 5, upsample="trilinear", padding="replication", pointwise_after_up=False
)

PRESETS: dict[str, dict[str, Preset]] = {
    "inpaint": {
        "paper_composite": Preset(_GAP, _GAP_SCHEDULE, inputs=4),
        "paper_per_band": Preset(_GAP, _GAP_SCHEDULE, inputs=4, per_band=True),
        # Skips as wide as in the GAP paper, nearest, sigmoid, perturbation 0.1, 10,001 iterations, the last output;
        # scaled by the minimum and maximum of the whole cube.
        "paper_2d": Preset(Architecture(), Schedule(iterations=10001, perturbation=0.1), scaling="global"),
        # Network "skip_depth6" of the notebook: nearest, no skips, no perturbation, 10,001 iterations.
        "paper_3d": Preset(
            Architecture(
                down=(16, 32, 64, 128, 128, 128),
                up=(16, 32, 64, 128, 128, 128),
                skip=(0,) * 6,
                padding="replication",
                pointwise_after_up=False,
                sigmoid=False,
            ),
            Schedule(iterations=10001, perturbation=0.0),
            network="hourglass3d",
            scaling="global",
        ),
        # Our own. 1 x 1 convolutions at the finest level save a third of the time.
        "deep_prior": Preset(
            Architecture(
                down=(32,) * 4,
                up=(32,) * 4,
                skip=(32,) * 4,
                kernel_up=(1, 3, 3, 3),
                upsample="bilinear",
                join="add",
                sigmoid=False,
            ),
            Schedule(600, perturbation=0.03, redraw=False, average=0.98, patience=150, reduced_precision=True),
            inputs=16,
            scaling="none",
            add_residual=True,
        ),
    },
    "denoise": {
        # Our own, for whitened eigen-images.
        "deep_prior": Preset(
            Architecture(down=(16,) * 4, up=(16,) * 4, skip=(4,) * 4, upsample="bilinear", sigmoid=False),
            Schedule(iterations=1000, perturbation=0.03, redraw=False, average=0.98, patience=250),
            inputs=32,
            scaling="none",
        ),
        # 1800 iterations, average of the outputs with 0.99, scaled per band. The perturbation of 0.03 and the missing
        # sigmoid come from a public port of the notebook.
        "paper_2d": Preset(_DHP_THIN, Schedule(iterations=1800, perturbation=0.03, average=0.99)),
        # Narrow levels with two thin skips at the deepest levels, trilinear, perturbation 0.01, 3000 iterations.
        "paper_3d": Preset(
            Architecture(
                down=(8, 16, 32, 64, 128),
                up=(8, 16, 32, 64, 128),
                skip=(0, 0, 0, 4, 4),
                upsample="trilinear",
                padding="replication",
                sigmoid=False,
            ),
            Schedule(iterations=3000, perturbation=0.01, average=0.99),
            network="hourglass3d",
        ),
    },
    "superresolve": {
        # From a public port of the authors' 2-D notebook: Lanczos2 as the degradation, perturbation 0.01, 12,001
        # iterations, the last output.
        "paper_2d": Preset(_DHP_THIN, Schedule(iterations=12001, perturbation=0.01), scaling="global"),
        # Lanczos2 as the degradation, wide levels, trilinear, sigmoid, perturbation 0.05, 10,001 iterations.
        "paper_3d": Preset(
            _DHP_VOLUME, Schedule(iterations=10001, perturbation=0.05), network="hourglass3d", scaling="global"
        ),
        # Our own, for the residual of bicubic interpolation.
        "deep_prior": Preset(
            Architecture(
                down=(32,) * 4,
                up=(32,) * 4,
                skip=(4,) * 4,
                upsample="bilinear",
                pointwise_after_up=False,
                sigmoid=False,
            ),
            Schedule(iterations=300, perturbation=0.03, redraw=False, average=0.98, reduced_precision=True),
            inputs=16,
            scaling="none",
        ),
    },
}


def preset(task: str, method: str) -> Preset:
    """The settings of a METHOD for a task. Raises KeyError if the task has no such preset."""
    return PRESETS[task][method]
