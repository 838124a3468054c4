"""Enlarging a window with several experts, and combining their estimates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.threads import set_torch_threads
from .options import EnlargeOptions
from .registry import ENLARGEMENT_EXPERTS
from .window import CoarseWindow


def enlarge_window(
    names: Sequence[str],
    values: NDArray,
    observed: Mask,
    options: EnlargeOptions,
    seed: int = 0,
    progress: ProgressReporter = SILENT,
    guide: Cube | None = None,
) -> list[Cube]:
    """The estimates of the experts ``names``, ``factor`` times as large and consistent with the observed pixels.

    ``values``, ``observed``: ``(band, row, column)``, in the data's units. ``progress`` can stop networks; a network
    that is stopped before its first iteration is replaced by consistent interpolation. ``guide``: ``(guide band, row,
    column)`` on the fine grid, NaN where missing. Raises ValueError if an expert lacks statistics or a model.
    """
    set_torch_threads(options.threads)
    window = CoarseWindow(values, observed, options, guide)
    estimates = [
        ENLARGEMENT_EXPERTS[name].function()(window, seed, part)
        for name, part in zip(names, progress.split(len(names)))
    ]
    progress.update(1.0)
    return estimates


def weighted_mean(estimates: Sequence[Cube], weights: Sequence[float]) -> Cube:
    """The weighted mean; with weights that sum to 1 it is as consistent as the estimates."""
    out = np.zeros_like(estimates[0])
    for weight, image in zip(weights, estimates):
        out += np.float32(weight) * image
    return out
