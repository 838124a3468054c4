"""DHP's tables: inpainting, denoising, super-resolution, and its 3-D networks on small cut-outs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import peers
from dip_core.dip.presets import preset
from dip_core.inpainting.experts.registry import gap_expert_names

from . import methods, printed, protocols
from .methods import Options
from .protocols import Problem
from .tables import Figures, Table

DENOISING_CASES = {"Clipped to [0, 1], as the authors' code does": True, "Not clipped": False}
# Volumes on a CPU must be small: pixels along each side, of the fine image.
VOLUME_SIZES = {"inpaint": 96, "denoise": 64, "superresolve": 64}
VOLUME_BANDS = 16
_SIMPLEST = {"inpaint": "do nothing", "denoise": "noisy", "superresolve": "bicubic"}
_NAMES = {"inpaint": "Inpainting", "denoise": "Denoising", "superresolve": "Super-resolution"}

_UNAVAILABLE = "is not available, so the paper's figures show the order of magnitude, not a race"
_TRACES = (
    "Networks run the product's fit with the preset's schedule, as many iterations as are said (published: {}); "
    "*averaged* is the moving average of the outputs with 0.99. `fast`, `best` and `deep_prior` are whole runs of the "
    "worker, start and report included, and so is their peak memory; the seconds of networks are those of the fit. The "
    "memory of all other rows is that of the benchmark's process, data and libraries included."
)


def _printed(figures: dict, column: str) -> dict[str, Figures]:
    return {"": [(name, {column: psnr, "ssim": ssim, "sam": sam}) for name, (psnr, ssim, sam) in figures.items()]}


def _published(task: str, name: str = "paper_2d") -> str:
    return _TRACES.format(f"{preset(task, name).schedule.iterations:,}")


INPAINT = Table(
    "papers_inpaint",
    "Inpainting in the protocol of DHP",
    "Indian Pines, 200 bands, scaled by the minimum and maximum of the cube, enlarged from 145 x 145 to 192 x 192 "
    "pixels by a cubic spline, 44 of 192 columns masked in all bands. PSNR is that of the whole cube (peak 1), which "
    "is what the paper prints as MPSNR: doing nothing scores its 17.75 dB. Where observed pixels are put back, only "
    "the hidden ones keep an error; *hidden PSNR* counts them alone. The Tucker decomposition starts from the linear "
    "fill. Three random starts of the published network end far apart (1000 of its 10,001 iterations: 36.9, 26.7 and "
    "33.4 dB averaged, observed pixels put back): what it makes of the hidden columns is chance, and none reaches the "
    "printed 37.54 dB or the interpolators. " + _published("inpaint"),
    ("psnr", "hidden_psnr", "hidden_rmse", "mpsnr", "ssim", "sam"),
    ("psnr", "hidden_psnr", "sam"),
    (
        "do nothing",
        *peers.INPAINTERS,
        *gap_expert_names(network=False, needs_guide=False),
        *methods.PRODUCT,
        "paper_2d",
    ),
    _printed(printed.INPAINTING, "psnr"),
)
DENOISE = Table(
    "papers_denoise",
    "Denoising in the protocol of DHP",
    "The paper's DC Mall " + _UNAVAILABLE + ". Here: Reno, 150 x 150 pixels, 100 bands, each scaled to 0..1, noise of "
    f"100/255 in all bands (seed {protocols.NOISE_SEED}). PSNR is that of the whole cube, MPSNR the mean of the bands' "
    "(peak 1). The authors' own log, on clipped DC Mall, tells a PSNR of the cube of about 20.7 dB at iteration 400, "
    f"22.2 at 1800, and 22.6 averaged. scikit-image's methods are told the true noise level, all others estimate it. "
    + _published("denoise"),
    ("psnr", "mpsnr", "ssim", "sam"),
    ("psnr", "mpsnr", "sam"),
    ("noisy", *peers.DENOISERS, *methods.PRODUCT, "paper_2d"),
    _printed(printed.DENOISING, "mpsnr"),
)
SUPERRESOLVE = Table(
    "papers_superresolve",
    "Super-resolution x2 in the protocol of DHP",
    "The paper's Pavia Center "
    + _UNAVAILABLE
    + ". Here: the upper left 144 x 144 pixels of Reno, 100 bands, scaled by the minimum and maximum of the cube and "
    "halved by bicubic decimation with antialiasing (MATLAB's imresize). PSNR is that of the whole cube, MPSNR the "
    "mean of the bands' (peak 1). The networks fit with Lanczos2 as the degradation, as the authors do, though it is "
    "not the data's; *back-projected* brings the image into accord with what was observed, as METHOD `paper_2d` does. "
    f"{_published('superresolve')}",
    ("psnr", "mpsnr", "ssim", "sam"),
    ("psnr", "mpsnr", "sam"),
    ("nearest", "bicubic", *methods.PRODUCT, "paper_2d"),
    _printed(printed.SUPERRESOLUTION, "mpsnr"),
)
VOLUME = Table(
    "papers_volume",
    "The 3-D networks of DHP",
    "Cut-outs from the middle of the three protocols' cubes (denoising: clipped), with bands chosen evenly; `paper_2d` "
    "runs on the same cut-out. The paper prints, for whole cubes, 35.34 dB (inpainting), 23.24 (denoising) and 32.31 "
    "(super-resolution) with 3-D networks, below the 37.54, 25.05 and 33.67 of the 2-D ones. Published iterations of "
    "`paper_3d`: "
    + ", ".join(f"{_NAMES[task].lower()} {preset(task, 'paper_3d').schedule.iterations:,}" for task in _NAMES)
    + ".",
    ("psnr", "mpsnr", "hidden_psnr", "ssim", "sam"),
    ("psnr", "mpsnr", "sam"),
    ("do nothing", "noisy", "bicubic", "paper_2d", "paper_3d"),
)


def inpaint(names: Sequence[str], options: Options) -> None:
    """The rows asked for, all but variants by default."""
    problem = protocols.inpainting()
    for name in names or INPAINT.order:
        methods.row(INPAINT, "Indian Pines, six stripes", name, problem, options)


def denoise(names: Sequence[str], options: Options, cases: Sequence[str] = ()) -> None:
    """The rows asked for, with noise clipped and not."""
    for case, clipped in DENOISING_CASES.items():
        if not cases or ("clipped" if clipped else "unclipped") in cases:
            problem = protocols.denoising(clipped)
            for name in names or DENOISE.order:
                methods.row(DENOISE, case, name, problem, options)


def superresolve(names: Sequence[str], options: Options) -> None:
    """The rows asked for."""
    problem = protocols.superresolution()
    for name in names or SUPERRESOLVE.order:
        methods.row(SUPERRESOLVE, "Reno, factor 2", name, problem, options)


def volume(
    names: Sequence[str], options: Options, tasks: Sequence[str] = (), crop: int | None = None, bands: int | None = None
) -> None:
    """The 3-D presets, and the 2-D ones beside them; ``crop`` and ``bands`` 0: all."""
    whole: dict[str, Callable[[], Problem]] = {
        "inpaint": protocols.inpainting,
        "denoise": lambda: protocols.denoising(clipped=True),
        "superresolve": protocols.superresolution,
    }
    for task in tasks or whole:
        size = VOLUME_SIZES[task] if crop is None else crop
        problem = whole[task]().part(size, VOLUME_BANDS if bands is None else bands)
        count, rows, columns = problem.clean.shape
        case = f"{_NAMES[task]}, {rows} x {columns} pixels, {count} bands"
        for name in names or (_SIMPLEST[task], "paper_2d", "paper_3d"):
            methods.row(VOLUME, case, name, problem, options)
