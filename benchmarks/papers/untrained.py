"""DHP's tables: inpainting, denoising, super-resolution, and its 3-D networks on small crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import peers
from dip_core.dip.presets import preset
from dip_core.inpainting.experts.registry import gap_expert_names

from . import methods, printed, protocols
from .methods import RunOptions
from .protocols import Problem
from .tables import Figures, Table

DENOISING_CASES = {"Clipped to [0, 1], as the authors' code does": True, "Not clipped": False}
# Sides of the crops in fine pixels; 3-D networks are slow on a CPU.
VOLUME_SIDES = {"inpaint": 96, "denoise": 64, "superresolve": 64}
VOLUME_BANDS = 16
_INPUT_ROWS = {"inpaint": "do nothing", "denoise": "noisy", "superresolve": "bicubic"}
_NAMES = {"inpaint": "Inpainting", "denoise": "Denoising", "superresolve": "Super-resolution"}

_UNAVAILABLE = "is not available, so the paper's figures show the order of magnitude and cannot be compared directly"
_NETWORKS = (
    "Networks run the product's fit with the preset's schedule and the given number of iterations (published: {}); "
    "*averaged* is the moving average of the outputs with 0.99. `fast`, `best` and `deep_prior` are complete runs of "
    "the worker: time and peak memory include its start and the report. The seconds of networks are those of the fit. "
    "The memory of all other rows is that of the benchmark's process, including data and libraries."
)


def _printed(figures: dict, column: str) -> dict[str, Figures]:
    return {"": [(name, {column: psnr, "ssim": ssim, "sam": sam}) for name, (psnr, ssim, sam) in figures.items()]}


def _describe_networks(task: str, name: str = "paper_2d") -> str:
    return _NETWORKS.format(f"{preset(task, name).schedule.iterations:,}")


INPAINT = Table(
    name="papers_inpaint",
    title="Inpainting with the protocol of DHP",
    protocol=(
        "Indian Pines, 200 bands, scaled by the minimum and maximum of the cube, enlarged from 145 x 145 to 192 x 192 "
        "pixels by a cubic spline; 44 of 192 columns are masked in all bands. PSNR is that of the whole cube (peak 1), "
        "which the paper prints as MPSNR: the input has its 17.75 dB. If observed pixels are put back, only the hidden "
        "ones have an error; *hidden PSNR* is of these alone. The Tucker decomposition starts from the linear fill. "
        "Three random starts of the published network have very different results (1000 of its 10,001 iterations: "
        "36.9, 26.7 and 33.4 dB averaged, observed pixels put back): its estimate of the hidden columns depends on "
        f"chance. None reaches the printed 37.54 dB or the interpolators. {_describe_networks('inpaint')}"
    ),
    shown=("psnr", "hidden_psnr", "hidden_rmse", "mpsnr", "ssim", "sam"),
    curve=("psnr", "hidden_psnr", "sam"),
    order=(
        "do nothing",
        *peers.INPAINTERS,
        *gap_expert_names(network=False, needs_guide=False),
        *methods.PRODUCT,
        "paper_2d",
    ),
    printed=_printed(printed.INPAINTING, "psnr"),
)
DENOISE = Table(
    name="papers_denoise",
    title="Denoising with the protocol of DHP",
    protocol=(
        f"The paper's DC Mall {_UNAVAILABLE}. The data are Reno, 150 x 150 pixels, 100 bands, each scaled to 0..1, "
        f"with noise of 100/255 in all bands (seed {protocols.NOISE_SEED}). PSNR is that of the whole cube, MPSNR the "
        "mean of the bands (peak 1). The authors' log of clipped DC Mall shows a PSNR of the cube of about 20.7 dB at "
        "iteration 400, 22.2 at 1800, and 22.6 averaged. scikit-image's methods get the true noise level; all others "
        f"estimate it. {_describe_networks('denoise')}"
    ),
    shown=("psnr", "mpsnr", "ssim", "sam"),
    curve=("psnr", "mpsnr", "sam"),
    order=("noisy", *peers.DENOISERS, *methods.PRODUCT, "paper_2d"),
    printed=_printed(printed.DENOISING, "mpsnr"),
)
SUPERRESOLVE = Table(
    name="papers_superresolve",
    title="Super-resolution x2 with the protocol of DHP",
    protocol=(
        f"The paper's Pavia Center {_UNAVAILABLE}. The data are the upper left 144 x 144 pixels of Reno, 100 bands, "
        "scaled by the minimum and maximum of the cube and halved by bicubic decimation with antialiasing (MATLAB's "
        "imresize). PSNR is that of the whole cube, MPSNR the mean of the bands (peak 1). The networks are fitted with "
        "Lanczos2 as the degradation, like the authors', although the data were made with bicubic decimation; "
        "*back-projected* is the image made consistent with the observed pixels, as in METHOD `paper_2d`. "
        f"{_describe_networks('superresolve')}"
    ),
    shown=("psnr", "mpsnr", "ssim", "sam"),
    curve=("psnr", "mpsnr", "sam"),
    order=("nearest", "bicubic", *methods.PRODUCT, "paper_2d"),
    printed=_printed(printed.SUPERRESOLUTION, "mpsnr"),
)
_VOLUME_ITERATIONS = ", ".join(
    f"{name.lower()} {preset(task, 'paper_3d').schedule.iterations:,}" for task, name in _NAMES.items()
)
VOLUME = Table(
    name="papers_volume",
    title="The 3-D networks of DHP",
    protocol=(
        "Crops from the centre of the cubes of the three protocols (denoising: clipped), with evenly spaced bands; "
        "`paper_2d` runs on the same crop. For whole cubes the paper prints 35.34 dB (inpainting), 23.24 (denoising) "
        "and 32.31 (super-resolution) with 3-D networks, less than 37.54, 25.05 and 33.67 with 2-D ones. Published "
        f"iterations of `paper_3d`: {_VOLUME_ITERATIONS}."
    ),
    shown=("psnr", "mpsnr", "hidden_psnr", "ssim", "sam"),
    curve=("psnr", "mpsnr", "sam"),
    order=("do nothing", "noisy", "bicubic", "paper_2d", "paper_3d"),
)


def inpaint(names: Sequence[str], options: RunOptions) -> None:
    """Measure the rows ``names`` of inpainting; empty: all rows of the table."""
    problem = protocols.inpainting()
    for name in names or INPAINT.order:
        methods.run_method(INPAINT, "Indian Pines, six stripes", name, problem, options)


def denoise(names: Sequence[str], options: RunOptions, cases: Sequence[str] = ()) -> None:
    """Measure rows of denoising. ``cases``: ``clipped``, ``unclipped``; empty: both."""
    for case, clipped in DENOISING_CASES.items():
        if not cases or ("clipped" if clipped else "unclipped") in cases:
            problem = protocols.denoising(clipped)
            for name in names or DENOISE.order:
                methods.run_method(DENOISE, case, name, problem, options)


def superresolve(names: Sequence[str], options: RunOptions) -> None:
    """Measure rows of super-resolution."""
    problem = protocols.superresolution()
    for name in names or SUPERRESOLVE.order:
        methods.run_method(SUPERRESOLVE, "Reno, factor 2", name, problem, options)


def volume(
    names: Sequence[str],
    options: RunOptions,
    tasks: Sequence[str] = (),
    side: int | None = None,
    bands: int | None = None,
) -> None:
    """Measure the 3-D presets and `paper_2d` on crops. ``side``, ``bands`` of the crop: None: the default, 0: all."""
    make_problem: dict[str, Callable[[], Problem]] = {
        "inpaint": protocols.inpainting,
        "denoise": lambda: protocols.denoising(clipped=True),
        "superresolve": protocols.superresolution,
    }
    for task in tasks or make_problem:
        own_side = VOLUME_SIDES[task] if side is None else side
        problem = make_problem[task]().crop(own_side, VOLUME_BANDS if bands is None else bands)
        count, rows, columns = problem.clean.shape
        case = f"{_NAMES[task]}, {rows} x {columns} pixels, {count} bands"
        for name in names or (_INPUT_ROWS[task], "paper_2d", "paper_3d"):
            methods.run_method(VOLUME, case, name, problem, options)
