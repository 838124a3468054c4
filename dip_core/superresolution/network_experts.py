"""The experts with a network: untrained ones (DHP paper, equation 6) and the trained cascade (CASCADE paper).

All have the signature of `registry.EnlargementExpertFunction`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..arrays import Cube
from ..dip.image_fit import fit_image
from ..dip.presets import preset
from ..errors import UnreadableModel
from ..imaging.back_projection import band_deviation
from ..runtime.devices import resolve_device
from ..runtime.progress import SILENT, ProgressReporter
from .cascade import Cascade
from .window import CoarseWindow


def deep_prior(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """The lean network, fitted to the residual of bicubic interpolation."""
    return _fit_or_interpolate("deep_prior", window, seed, progress)


def paper_2d(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """The DHP paper's 2-D network."""
    return _fit_or_interpolate("paper_2d", window, seed, progress)


def paper_3d(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """The DHP paper's 3-D network."""
    return _fit_or_interpolate("paper_3d", window, seed, progress)


def paper_cascade(window: CoarseWindow, seed: int = 0, progress: ProgressReporter = SILENT) -> Cube:
    """The final output of the trained cascade, made consistent."""
    model = window.options.model
    if model is None:
        raise ValueError("This expert needs a trained model.")
    device = resolve_device(window.options.device)
    network = Cascade(model.card.bands)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in model.tensors.items()})
    scale = model.card.scale
    with torch.no_grad():
        image = torch.from_numpy((window.bicubic / scale).astype(np.float32))[None].to(device)
        output = network.to(device).eval()(image)[1][0].cpu().numpy().astype(np.float64) * scale
    if not np.isfinite(output).all():
        raise UnreadableModel(path=model.path, reason="its weights give values that are not finite")
    return window.make_consistent(output).astype(np.float32)


def _fit_or_interpolate(name: str, window: CoarseWindow, seed: int, progress: ProgressReporter) -> Cube:
    """The fitted network's image, made consistent; bicubic interpolation if no time is left.

    A single iteration can take longer than the whole time budget, so time is checked before the first one.
    """
    image: NDArray
    if progress.update(0.0):
        image = _fit(name, window, seed, progress)
    else:
        if window.options.on_skipped_fit:
            window.options.on_skipped_fit()
        image = window.bicubic
    return window.make_consistent(image).astype(np.float32)


def _fit(name: str, window: CoarseWindow, seed: int, progress: ProgressReporter) -> NDArray:
    """An untrained network fitted to the coarse image by equation 6, in the data's units.

    The papers' presets fit the image itself, scaled by the minimum and maximum of the scene. The lean network fits the
    residual of bicubic interpolation, each band scaled to a standard deviation of 1.
    """
    network = preset("superresolve", name).with_iterations(window.options.iterations)
    observed, bicubic = window.observed, window.bicubic
    if network.scaling == "none":
        offset, target = bicubic, np.where(observed, window.filled - window.operator.apply(bicubic), 0.0)
        scale = band_deviation(target, observed)[:, None, None]
        scale = np.where(scale > 0, scale, 1.0)
        target = target / scale
    else:
        low, high = float(window.options.low.min()), float(window.options.high.max())
        offset = np.full_like(bicubic[:, :1, :1], low)
        scale = np.full_like(bicubic[:, :1, :1], (high - low) or 1.0)
        target = (window.filled - offset) / scale
    image = fit_image(
        network,
        target,
        weights=None if observed.all() else observed,
        degradation=window.operator,
        shape=window.fine_shape,
        seed=seed,
        device=resolve_device(window.options.device),
        progress=progress,
    )
    return image * scale + offset
