"""Running denoisers on a window and combining their estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.subspace import Subspace
from ..runtime.devices import resolve_device
from ..runtime.progress import ProgressReporter
from .options import DenoiseOptions
from .registry import DENOISERS


@dataclass(frozen=True)
class Estimate:
    """A denoiser's estimate in the data's units, and the leverage of its eigen-images ``(rank, row, column)``."""

    values: Cube
    leverage: Cube | None = None


def run_denoisers(
    names: Sequence[str],
    subspace: Subspace,
    values: NDArray,
    observed: Mask,
    options: DenoiseOptions,
    seed: int,
    progress: ProgressReporter,
) -> list[Estimate]:
    """The estimates of the denoisers ``names`` for ``values`` ``(band, row, column)``, in this order."""
    device = resolve_device(options.device)
    records = [DENOISERS[name] for name in names]
    if any(record.on_eigen_images for record in records):
        images, any_observed = subspace.project(values, observed)
    estimates = []
    for record, part in zip(records, progress.split(len(records))):
        denoise = record.function()
        if not record.on_eigen_images:
            result = denoise(values, observed, seed=seed, device=device, iterations=options.iterations, progress=part)
            estimates.append(Estimate(result.images))
            continue
        result = denoise(images, any_observed, seed=seed, device=device, iterations=options.iterations, progress=part)
        leverage = result.leverage
        if leverage is not None:
            # The error of values predicted for missing bands counts as noise; without any band, all signal is lost.
            lost = subspace.signal_variance[:, None, None].astype(np.float32)
            leverage = np.where(any_observed, leverage * subspace.error_variance(observed), lost)
        estimates.append(Estimate(subspace.reconstruct(result.images), leverage))
    return estimates


def combine_estimates(
    estimates: Sequence[Estimate], weights: NDArray[np.float64], subspace: Subspace
) -> tuple[Cube, Cube, Cube | None]:
    """Weighted mean, spread and leverage of estimates.

    The spread is the mean squared difference to the weighted mean in noise variances ``(row, column)``. The leverage is
    the weighted mean of those that are known; None if none is.
    """
    known = [(weight, item.leverage) for weight, item in zip(weights, estimates) if item.leverage is not None]
    total = sum(weight for weight, _ in known)
    leverage = sum(np.float32(weight / total) * own for weight, own in known) if total > 0 else None
    images = [item.values for item in estimates]
    if len(images) == 1:
        return images[0], np.zeros(images[0].shape[1:], np.float32), leverage
    mean = sum(np.float32(weight) * image for weight, image in zip(weights, images))
    spread = np.zeros(images[0].shape[1:], np.float32)
    for weight, image in zip(weights, images):
        difference = (image - mean) / subspace.sigma[:, None, None].astype(np.float32)
        spread += np.float32(weight) * np.square(difference).mean(axis=0)
    return np.asarray(mean, np.float32), spread, leverage


def scale_leverage(leverage: Cube | None, gains: NDArray[np.float64]) -> Cube | None:
    """The leverage of eigen-images that are multiplied by ``gains`` ``(rank,)``."""
    return None if leverage is None else leverage * gains[:, None, None].astype(np.float32)
