"""An untrained network with its input, and the data's scaling, as a preset describes them.

Words: the *volume* of a 3-D network is the cube as one channel, ``(1, 1, band, row, column)``; a 2-D network
takes the bands as channels, ``(1, band, row, column)``.
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
from .hourglass import Hourglass, Hourglass3d
from .presets import Preset

_drawing = threading.Lock()


@contextmanager
def weights_of(seed: int) -> Iterator[None]:
    """Networks made inside take their first weights from ``seed``, whatever other threads do meanwhile.

    Torch's own generator on the CPU, which layers draw from, is the process's; it is left as it was.
    """
    with _drawing, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def placed(make: Callable[[], nn.Module], noise: Tensor, seed: int, device: torch.device) -> tuple[nn.Module, Tensor]:
    """The network that ``make`` builds, with weights from ``seed``, and its input: where and as the fit is fastest."""
    with weights_of(seed):
        network = make()
    network, noise = network.to(device), noise.to(device)
    if device.type == "cpu" and noise.dim() == 4:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stubs
        noise = noise.contiguous(memory_format=torch.channels_last)
    return network, noise


def margins(rows: int, columns: int, depth: int) -> list[tuple[int, int]]:
    """Padding that leaves at least 2 x 2 pixels at the deepest level, where batch statistics are taken."""
    least = 2 ** (depth + 1)
    return [((max(0, least - size)) // 2, (max(0, least - size) + 1) // 2) for size in (rows, columns)]


def network_input(preset: Preset, shape: tuple[int, int, int], kind: str, generator: torch.Generator) -> Tensor:
    """What the network starts from, for a cube of ``(band, row, column)``.

    ``kind``: ``noise``, uniform in 0..0.1, or ``meshgrid``, the coordinates of each pixel in 0..1 (two channels,
    or three with the band's).
    """
    bands, rows, columns = shape
    sizes = (rows, columns) if preset.dimensions == 2 else shape
    if kind == "meshgrid":
        return torch.stack(torch.meshgrid(*(torch.linspace(0, 1, size) for size in sizes), indexing="ij"))[None]
    channels = preset.inputs or (bands if preset.dimensions == 2 else 1)
    return torch.rand((1, channels, *sizes), generator=generator) / 10


def network(preset: Preset, bands: int, inputs: int) -> nn.Module:
    """The untrained network for a number of bands and of input channels, with weights from torch's own generator."""
    if preset.dimensions == 3:
        return Hourglass3d(inputs, 1, preset.architecture)
    return Hourglass(inputs, bands, preset.architecture)


def layout(preset: Preset, cube: Tensor) -> Tensor:
    """A cube ``(band, row, column)`` as the network gives it."""
    return cube[None] if preset.dimensions == 2 else cube[None, None]


def scaling(values: NDArray, observed: Mask, how: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What to subtract and what to divide by, ``(band, 1, 1)``, so that observed values lie in 0..1.

    ``how``: by ``band``, ``global`` (one minimum and maximum for all bands), or ``none``.
    """
    bands = len(values)
    if how == "none":
        return np.zeros((bands, 1, 1), np.float32), np.ones((bands, 1, 1), np.float32)
    axes = (1, 2) if how == "band" else (0, 1, 2)
    low = np.where(observed, values, np.inf).min(axis=axes, keepdims=True)
    high = np.where(observed, values, -np.inf).max(axis=axes, keepdims=True)
    low = np.where(np.isfinite(low), low, 0.0)
    span = np.where(np.isfinite(high) & (high > low), high - low, 1.0)
    shape = (bands, 1, 1)
    return np.broadcast_to(low, shape).astype(np.float32), np.broadcast_to(span, shape).astype(np.float32)
