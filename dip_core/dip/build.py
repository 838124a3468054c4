"""Builds an untrained network with its input and scales the data, as a preset describes.

A 2-D network takes the bands as channels, ``(1, band, row, column)``; a 3-D network takes the cube as one channel,
``(1, 1, band, row, column)``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..arrays import Mask
from ..runtime.lazy_import import import_object
from .presets import Preset

_generator_lock = threading.Lock()


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Networks created in this block draw their initial weights from ``seed``, whatever other threads do.

    Layers draw from torch's CPU generator, which belongs to the whole process; it is restored afterwards.
    """
    with _generator_lock, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def place_network(
    make: Callable[[], nn.Module], network_input: Tensor, seed: int, device: torch.device
) -> tuple[nn.Module, Tensor]:
    """Create a network with weights from ``seed``; returns it and its input on the device, in the fastest layout."""
    with seeded_weights(seed):
        network = make()
    network, network_input = network.to(device), network_input.to(device)
    if device.type == "cpu" and network_input.dim() == 4:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        network_input = network_input.contiguous(memory_format=torch.channels_last)
    return network, network_input


def padding_for(rows: int, columns: int, depth: int) -> list[tuple[int, int]]:
    """Padding (before, after) of rows and columns that leaves at least 2 x 2 pixels at the deepest level.

    Batch statistics need more than one pixel.
    """
    min_size = 2 ** (depth + 1)
    return [((max(0, min_size - size)) // 2, (max(0, min_size - size) + 1) // 2) for size in (rows, columns)]


def draw_network_input(preset: Preset, shape: tuple[int, int, int], kind: str, generator: torch.Generator) -> Tensor:
    """The input of the network for a cube of ``(band, row, column)`` pixels.

    ``kind``: ``noise``, uniform in 0..0.1, or ``meshgrid``, the coordinates of each pixel in 0..1 (rows and columns; in
    3-D also bands).
    """
    bands, rows, columns = shape
    sizes = (rows, columns) if preset.dimensions == 2 else shape
    if kind == "meshgrid":
        return torch.stack(torch.meshgrid(*(torch.linspace(0, 1, size) for size in sizes), indexing="ij"))[None]
    channels = preset.inputs or (bands if preset.dimensions == 2 else 1)
    return torch.rand((1, channels, *sizes), generator=generator) / 10


def build_network(preset: Preset, bands: int, input_channels: int) -> nn.Module:
    """The untrained network for a number of bands and input channels; weights come from torch's own generator."""
    network_class = import_object(preset.network_type.load, __package__)
    outputs = bands if preset.dimensions == 2 else 1
    network: nn.Module = network_class(input_channels, outputs, preset.architecture)
    return network


def to_network_layout(preset: Preset, cube: Tensor) -> Tensor:
    """A cube ``(band, row, column)`` in the layout of the network's output."""
    return cube[None] if preset.dimensions == 2 else cube[None, None]


def scaling_of(values: NDArray, observed: Mask, scaling: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Offset and divisor ``(band, 1, 1)`` that scale the observed values to 0..1.

    ``scaling``: ``band`` (each band by itself), ``global`` (one minimum and maximum for all bands) or ``none``.
    """
    bands = len(values)
    if scaling == "none":
        return np.zeros((bands, 1, 1), np.float32), np.ones((bands, 1, 1), np.float32)
    axes = (1, 2) if scaling == "band" else (0, 1, 2)
    low = np.where(observed, values, np.inf).min(axis=axes, keepdims=True)
    high = np.where(observed, values, -np.inf).max(axis=axes, keepdims=True)
    low = np.where(np.isfinite(low), low, 0.0)
    span = np.where(np.isfinite(high) & (high > low), high - low, 1.0)
    shape = (bands, 1, 1)
    return np.broadcast_to(low, shape).astype(np.float32), np.broadcast_to(span, shape).astype(np.float32)
