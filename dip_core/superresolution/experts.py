"""The experts without a network: they share the steps of `window.CoarseWindow`.

``back_projection`` is bicubic interpolation, made consistent with the observation; ``vectorial_tv`` starts from it;
``steered_ridge`` corrects both. ``guided`` takes the detail that the guide predicts and enlarges the remainder by the
steered ridge. All have the signature of `registry.EnlargementExpertFunction`.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Cube
from ..runtime.progress import SILENT, ProgressReporter
from .window import CoarseWindow


def back_projection(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """Bicubic interpolation, back-projected."""
    return window.back_projected.astype(np.float32)


def vectorial_tv(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """Least total variation; see `vectorial_tv`."""
    return window.add_detail(window.sharp - window.smooth).astype(np.float32)


def steered_ridge(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """Learned correction of the two others; see `steered_ridge`."""
    return window.add_detail(window.steered - window.smooth).astype(np.float32)


def guided(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """Detail from the guide, the remainder by the steered ridge; without guide only the latter. See `guide_fusion`."""
    prediction = window.guide_prediction
    if prediction is None:
        return steered_ridge(window)
    remainder = window.steer(window.components - prediction.coarse)
    return window.add_detail(prediction.fine + remainder - window.smooth).astype(np.float32)
