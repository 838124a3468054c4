"""The *lean deep prior*: narrow untrained networks fitted to whitened eigen-images.

Two things make it cheap and hard to overfit: it works on a few eigen-images instead of all bands, and its network is
16 channels wide, which fits noise slowly. Observed pixels left out of the loss tell when to stop; the outputs are
averaged over iterations and over random seeds. (A first estimate beside the noise in the network's input makes the
fit faster, but worse: it learns to pass the estimate's errors on.)

Sources: Ulyanov, Vedaldi, Lempitsky, Deep Image Prior (2018) for the prior; Liu et al., The devil is in the upsampling
(2023) for narrow networks; working on eigen-images and the stopping are our own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..dip import build
from ..dip.architecture import Architecture
from ..dip.data_fidelity import MaskEnergy
from ..dip.fitting import fit
from ..dip.hourglass import Hourglass
from ..dip.presets import Schedule
from ..runtime.concurrency import Shares
from ..runtime.devices import on_cores

LEAN = Architecture(down=(16,) * 4, up=(16,) * 4, skip=(4,) * 4, upsample="bilinear", sigmoid=False)
SCHEDULE = Schedule(iterations=1000, perturbation=0.03, redraw=False, average=0.98, patience=250)
SEEDS = 2
_NOISE_CHANNELS = 32
_CHECK_SHARE = 0.04


def eigen_prior(
    images: Cube,
    seen: Mask,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    schedule: Schedule = SCHEDULE,
    seeds: int = SEEDS,
    follow: Callable[[float], bool] = lambda fraction: True,
) -> Cube:
    """Denoise images ``(channel, row, column)`` whose noise has variance 1, independent between pixels.

    ``seen`` ``(row, column)``: pixels that are not seen take no part and come back as 0. ``follow`` is told the
    share of the iterations that are done and stops the fit by returning False.
    """
    if not seen.any():
        return np.zeros_like(images)
    device = device or torch.device("cpu")
    shares = Shares(seeds, lambda fraction, _: follow(fraction))

    def fitted(number: int) -> NDArray[np.float32]:
        with shares.piece(number) as note:
            return _fit(
                images, seen, seed + number, device, schedule, lambda iteration: note(iteration / schedule.iterations)
            )

    # Layers so narrow gain next to nothing from a second core; another network does.
    total = sum(on_cores(fitted, range(seeds), device, seeds), np.zeros(images.shape, np.float32))
    return np.where(seen, total / np.float32(seeds), np.float32(0))


def _fit(
    images: Cube,
    seen: Mask,
    seed: int,
    device: torch.device,
    schedule: Schedule,
    follow: Callable[[int], bool],
) -> NDArray[np.float32]:
    channels = len(images)
    size = np.array([max(float(image[seen].std()), 1e-3) for image in images], np.float32)[:, None, None]
    margins = build.margins(seen.shape[0], seen.shape[1], len(LEAN.down))

    def tensor(array: NDArray) -> torch.Tensor:
        padded = np.pad(array.astype(np.float32), ((0, 0), *margins), mode="edge")
        return torch.from_numpy(padded)[None].to(device)

    rng = np.random.default_rng(seed)
    check = seen & (rng.random(seen.shape) < _CHECK_SHARE)
    # The network's image has variance 1 in every channel; the loss weighs them by the noise, which is 1 before scaling.
    inside = tensor((seen & ~check)[None]) * _inside(seen.shape, margins, device)
    weights = inside * torch.from_numpy(size).to(device)
    held = tensor(check[None]) * _inside(seen.shape, margins, device) * torch.from_numpy(size).to(device).square()
    generator = torch.Generator().manual_seed(seed)
    values = tensor(np.where(seen, images / size, 0))
    noise = torch.rand((1, _NOISE_CHANNELS, *values.shape[-2:]), generator=generator) / 10
    network, noise = build.placed(lambda: Hourglass(_NOISE_CHANNELS, channels, LEAN), noise, seed, device)
    found = fit(
        network,
        noise,
        values,
        MaskEnergy(weights),
        schedule,
        generator=generator,
        check=held if check.any() else None,
        follow=follow,
    )
    top, left = margins[0][0], margins[1][0]
    cut = found.estimate[:, top : top + seen.shape[0], left : left + seen.shape[1]]
    return cut * size


def _inside(shape: tuple[int, ...], margins: list[tuple[int, int]], device: torch.device) -> torch.Tensor:
    """1 in the image, 0 in the padding."""
    return torch.from_numpy(np.pad(np.ones((1, *shape), np.float32), ((0, 0), *margins)))[None].to(device)
