"""Noise level, subspace and values of clipped data, by expectation and maximisation (see `clipping`)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.subspace import Subspace, find_subspace
from ..runtime.progress import SILENT, STOP, ProgressReporter
from .clipping import Limits, complete, unclipped
from .nl_ridge import nl_ridge

_SUBSPACE_ROUNDS = 6  # each round about halves the error of the noise level
_VALUE_ROUNDS = 4


def clipped_subspace(
    values: NDArray, observed: Mask, limits: Limits, sigma: NDArray[np.float64] | None, device: torch.device
) -> Subspace:
    """Noise levels and subspace of clipped ``values`` ``(band, row, column)``.

    ``sigma``: known noise levels ``(band,)``; None: estimated. Raises ValueError if no pixel is observed in all bands.
    """
    subspace = find_subspace(values, observed, sigma)
    estimate: NDArray = unclipped(_ridge_estimate(values, observed, subspace, device), subspace.sigma, limits)
    noise = subspace.sigma
    for _ in range(_SUBSPACE_ROUNDS):
        completed, level = complete(values, observed, estimate, noise, limits)
        noise = sigma if sigma is not None else np.maximum(level, 1e-6 * noise)
        subspace = find_subspace(completed, observed, noise)
        estimate = _ridge_estimate(completed, observed, subspace, device)
    return subspace


def complete_clipped(
    values: NDArray,
    observed: Mask,
    subspace: Subspace,
    limits: Limits,
    device: torch.device,
    first_stage_only: bool = False,
) -> NDArray:
    """Values with clipped samples replaced by the expectation of the unclipped values.

    ``first_stage_only``: estimate with the first stage of the non-local ridge, which is faster.
    """
    if not limits.any:
        return values
    progress = STOP if first_stage_only else SILENT
    estimate: NDArray = unclipped(_ridge_estimate(values, observed, subspace, device, progress), subspace.sigma, limits)
    completed = values
    for number in range(_VALUE_ROUNDS):
        completed, _ = complete(values, observed, estimate, subspace.sigma, limits)
        if number + 1 < _VALUE_ROUNDS:
            estimate = _ridge_estimate(completed, observed, subspace, device, progress)
    return completed


def _ridge_estimate(
    values: NDArray,
    observed: Mask,
    subspace: Subspace,
    device: torch.device,
    progress: ProgressReporter = SILENT,
) -> Cube:
    """The estimate of the non-local ridge, in the data's units."""
    images, any_observed = subspace.project(values, observed)
    return subspace.reconstruct(nl_ridge(images, any_observed, device=device, progress=progress).images)
