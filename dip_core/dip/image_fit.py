"""Fit of an untrained network to one image: network, input, padding, data fidelity and cropping in one place.

The inpainting, denoising and super-resolution methods differ in the preset and in the data that they pass in.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from ..arrays import Mask
from ..imaging.degradation import SeparableOperator
from ..runtime.progress import SILENT, ProgressReporter
from . import build
from .data_fidelity import DataFidelity, DownsamplingFidelity, MaskedFidelity
from .fitting import fit
from .presets import Preset


def fit_image(
    preset: Preset,
    observed_image: NDArray,
    *,
    weights: NDArray | None = None,
    check: NDArray | None = None,
    degradation: SeparableOperator | None = None,
    shape: tuple[int, int] | None = None,
    network_input: str = "noise",
    seed: int = 0,
    device: torch.device | None = None,
    progress: ProgressReporter = SILENT,
) -> NDArray[np.float32]:
    """The network's image ``(band, row, column)``, fitted to a scaled image.

    ``degradation``: makes the observed image from the network's image, which has ``shape`` (rows, columns).
    ``weights``: weight of each value in the loss, of the image's shape, 0 where missing. With ``degradation`` it may
    be None: every value counts.
    ``check``: weights of the values that are left out of the loss and decide when to stop.
    """
    device = device or torch.device("cpu")
    bands = len(observed_image)
    rows, columns = shape or observed_image.shape[1:]
    padding = [(0, 0), (0, 0)] if degradation else build.padding_for(rows, columns, preset.architecture.depth)

    def tensor(array: NDArray) -> torch.Tensor:
        padded = np.pad(array.astype(np.float32), ((0, 0), *padding))
        return build.to_network_layout(preset, torch.from_numpy(padded)).to(device)

    generator = torch.Generator().manual_seed(seed)
    values = tensor(observed_image)
    padded_shape = (bands, rows + sum(padding[0]), columns + sum(padding[1]))
    drawn = build.draw_network_input(preset, padded_shape, network_input, generator)
    make = partial(build.build_network, preset, bands, drawn.shape[1])
    network, placed_input = build.place_network(make, drawn, seed, device)
    weight_tensor = None if weights is None else tensor(weights)
    fidelity: DataFidelity
    if degradation is not None:
        fidelity = DownsamplingFidelity(degradation, values, weight_tensor)
    else:
        if weight_tensor is None:
            raise ValueError("weights are needed where the image is observed directly.")
        fidelity = MaskedFidelity(weight_tensor)
    fitted = fit(
        network,
        placed_input,
        values,
        fidelity,
        preset.schedule,
        generator=generator,
        check=None if check is None or not check.any() else tensor(check),
        progress=progress,
    )
    top, left = padding[0][0], padding[1][0]
    return fitted.image[:, top : top + rows, left : left + columns]


def fit_observed_image(
    preset: Preset,
    values: NDArray,
    observed: Mask,
    *,
    check: Mask | None = None,
    network_input: str = "noise",
    seed: int = 0,
    device: torch.device | None = None,
    progress: ProgressReporter = SILENT,
) -> NDArray[np.float32]:
    """The network's image of ``values`` ``(band, row, column)`` in their units, fitted to the observed ones.

    Values are scaled as the preset says. ``check``: observed pixels that are left out of the loss and decide when to
    stop.
    """
    low, span = build.scaling_of(values, observed, preset.scaling)
    scaled = np.where(observed, (values - low) / span, 0.0).astype(np.float32)
    image = fit_image(
        preset,
        scaled,
        weights=observed if check is None else observed & ~check,
        check=check,
        network_input=network_input,
        seed=seed,
        device=device,
        progress=progress,
    )
    return image * span + low
