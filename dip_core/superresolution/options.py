"""What the super-resolution experts need besides the pixels of a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.pca import PrincipalComponents
from ..imaging.psf import Psf
from .guide_fusion import GuideRegression
from .model_file import ModelCard, Tensors


@dataclass(frozen=True)
class TrainedModel:
    """A model from a file: weights and description."""

    tensors: Tensors
    card: ModelCard
    path: str = ""


@dataclass(frozen=True)
class ScaleStatistics:
    """Statistics of a scene, fitted on its downsampled copy, that experts without a network use.

    ``typical_strength``: mean strength of the gradients of the enlarged principal images. ``coefficients``: of the
    steered ridge ``(rank, term)``. ``guide_regression``: of the principal images on the guide; None without guide.
    """

    components: PrincipalComponents
    typical_strength: float
    coefficients: NDArray[np.float64]
    guide_regression: GuideRegression | None = None


@dataclass(frozen=True)
class EnlargeOptions:
    """Options of a super-resolution run.

    ``low``, ``high``: range of the scene's bands ``(band,)`` in the data's units. ``iterations``: of untrained
    networks; None: those of their presets. ``model``, ``statistics``: for the experts that need them.
    ``on_skipped_fit``: called for each network that is not fitted because no time is left.
    """

    psf: Psf
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    device: str = "cpu"
    threads: int = 0
    iterations: int | None = None
    model: TrainedModel | None = None
    statistics: ScaleStatistics | None = None
    on_skipped_fit: Callable[[], None] | None = None
