"""Deep image prior as a denoiser: a lean network on whitened eigen-images, and the DHP paper's networks on the bands.

The lean network is narrow (16 channels) and therefore fits noise slowly. Observed pixels that are left out of the loss
decide when to stop; outputs are averaged over iterations and over random seeds.

Sources: Ulyanov, Vedaldi, Lempitsky, Deep Image Prior (CVPR 2018); Liu et al., The devil is in the upsampling (2023),
for narrow networks; DHP paper for the presets ``paper_2d`` and ``paper_3d``. Eigen-images and stopping rule: our own.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..dip.image_fit import fit_image, fit_observed_image
from ..dip.presets import Preset, preset
from ..runtime.concurrency import SharedProgress
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.threads import map_on_cores
from .denoiser import Denoised, DenoiserFunction

SEEDS = 2
_CHECK_SHARE = 0.04  # of the observed pixels: left out of the loss to decide when to stop
_MIN_DEVIATION = 1e-3


def deep_prior(
    images: Cube,
    observed: Mask,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    iterations: int | None = None,
    progress: ProgressReporter = SILENT,
) -> Denoised:
    """The lean network; see `denoiser.DenoiserFunction`."""
    return Denoised(
        denoise_eigen_images(images, observed, seed=seed, device=device, iterations=iterations, progress=progress)
    )


def _published(name: str) -> DenoiserFunction:
    """The denoiser that applies a preset of the DHP paper to the bands."""

    def denoise(
        images: Cube,
        observed: Mask,
        *,
        seed: int = 0,
        device: torch.device | None = None,
        iterations: int | None = None,
        progress: ProgressReporter = SILENT,
    ) -> Denoised:
        return Denoised(
            denoise_bands(images, observed, name, seed=seed, device=device, iterations=iterations, progress=progress)
        )

    return denoise


paper_2d = _published("paper_2d")
paper_3d = _published("paper_3d")


def denoise_eigen_images(
    images: Cube,
    observed: Mask,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    iterations: int | None = None,
    seeds: int = SEEDS,
    progress: ProgressReporter = SILENT,
) -> Cube:
    """Denoise images ``(channel, row, column)`` whose noise has variance 1, independent between pixels.

    ``observed`` ``(row, column)``: other pixels are not used and are 0 in the result. ``iterations`` None: as in the
    preset. The result is the mean over ``seeds`` fits; ``progress`` can stop them.
    """
    if not observed.any():
        return np.zeros_like(images)
    device = device or torch.device("cpu")
    lean = preset("denoise", "deep_prior").with_iterations(iterations)
    shared = SharedProgress(seeds, lambda fraction, _: progress.update(fraction))

    def fit_seed(index: int) -> NDArray[np.float32]:
        with shared.piece(index) as own:
            return _fit(images, observed, lean, seed + index, device, own)

    # A second core hardly speeds up such narrow layers, but it can fit a second network.
    total = sum(map_on_cores(fit_seed, range(seeds), device, seeds), np.zeros(images.shape, np.float32))
    return np.where(observed, total / np.float32(seeds), np.float32(0))


def denoise_bands(
    values: Cube,
    observed: Mask,
    name: str,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    iterations: int | None = None,
    progress: ProgressReporter = SILENT,
) -> Cube:
    """Denoise ``values`` ``(band, row, column)`` with a preset of the DHP paper (``paper_2d`` or ``paper_3d``).

    The network is fitted to the observed values only. ``iterations`` None: as in the preset.
    """
    paper = preset("denoise", name).with_iterations(iterations)
    image = fit_observed_image(paper, values, observed, seed=seed, device=device, progress=progress)
    return image.astype(np.float32)


def _fit(
    images: Cube,
    observed: Mask,
    lean: Preset,
    seed: int,
    device: torch.device,
    progress: ProgressReporter,
) -> NDArray[np.float32]:
    """One fit of the lean network to the observed pixels."""
    deviation = np.array([max(float(image[observed].std()), _MIN_DEVIATION) for image in images], np.float32)
    deviation = deviation[:, None, None]
    rng = np.random.default_rng(seed)
    check = observed & (rng.random(observed.shape) < _CHECK_SHARE)
    # The network's image has variance 1 in every channel. The weights restore the noise variance of 1 before scaling.
    image = fit_image(
        lean,
        np.where(observed, images / deviation, 0),
        weights=(observed & ~check).astype(np.float32) * deviation,
        check=check.astype(np.float32) * np.square(deviation),
        seed=seed,
        device=device,
        progress=progress,
    )
    return image * deviation
