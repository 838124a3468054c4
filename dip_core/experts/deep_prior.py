"""The *deep prior*: an untrained network fitted to the observed pixels of this window alone.

The presets of the GAP paper return the network's image as it is. The lean one adds what the network left
over: the residual at the observed pixels, carried into the gap by the harmonic surface, so that the fill
meets the rim without a step. Source: GAP paper, section 2.2 and appendix A.1; the lean network's width,
averaging and stopping are our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from .. import holdout
from ..fitting import fit
from ..networks.hourglass import Hourglass
from ..observation import Cube, Observation
from ..presets import PRESETS, Preset
from .laplace import fill_harmonic

_CHECK_SHARE = 0.05


def deep_prior(
    observation: Observation,
    name: str = "deep_prior",
    *,
    seed: int = 0,
    device: torch.device | None = None,
    network_input: str = "noise",
    iterations: int | None = None,
    follow: Callable[[float], bool] = lambda fraction: True,
) -> Cube:
    """Fit a preset's network to the observation; ``(band, row, column)``.

    ``follow`` is told the share of iterations done and stops the fit by returning False.
    """
    preset = PRESETS[name]
    if iterations:
        preset = replace(preset, schedule=replace(preset.schedule, iterations=iterations))
    device = device or torch.device("cpu")
    bands = range(len(observation.values))
    groups = [[band] for band in bands] if preset.per_band else [list(bands)]
    out = np.zeros(observation.shape, np.float32)
    for place, numbers in enumerate(groups):

        def part(fraction: float, place: int = place) -> bool:
            return follow((place + fraction) / len(groups))

        window = Observation(observation.values[numbers], observation.observed[numbers], observation.target[numbers])
        if window.observed.any():
            out[numbers] = _fit_group(window, preset, seed + place, device, network_input, part)
    # Of a band that is not seen here at all, the network says nothing: its mean is the best guess.
    out[~observation.observed.any(axis=(1, 2))] = 0.0
    if preset.unit_scale:
        return observation.keep_observed(out)
    return _meet_rim(observation, out)


def _fit_group(
    observation: Observation,
    preset: Preset,
    seed: int,
    device: torch.device,
    network_input: str,
    follow: Callable[[float], bool],
) -> NDArray[np.float32]:
    low, span = _scaling(observation) if preset.unit_scale else _no_scaling(observation)
    scaled = np.where(observation.observed, (observation.values - low) / span, 0.0).astype(np.float32)
    check = None
    if preset.schedule.patience:
        rng = np.random.default_rng(seed)
        check = holdout.draw(observation.observed, observation.target, rng, _CHECK_SHARE)
    rows, columns = observation.shape[1:]
    margins = _margins(rows, columns, len(preset.architecture.down))

    def tensor(array: NDArray) -> torch.Tensor:
        padded = np.pad(array.astype(np.float32), ((0, 0), *margins))
        return torch.from_numpy(padded)[None].to(device)

    seen = observation.observed if check is None else observation.observed & ~check
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        values = tensor(scaled)
        noise = _network_input(network_input, preset.inputs, values.shape[-2:], generator).to(device)
        network = Hourglass(noise.shape[1], len(scaled), preset.architecture).to(device)
        if device.type == "cpu":
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stubs
            noise = noise.contiguous(memory_format=torch.channels_last)
        fitted = fit(
            network,
            noise,
            values,
            tensor(seen),
            preset.schedule,
            generator=generator,
            check=None if check is None or not check.any() else tensor(check),
            follow=lambda iteration: follow(iteration / preset.schedule.iterations),
        )
    top, left = margins[0][0], margins[1][0]
    return fitted.estimate[:, top : top + rows, left : left + columns] * span + low


def _network_input(kind: str, inputs: int, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Uniform noise in 0..0.1, or the two coordinates of a mesh grid in 0..1; ``(1, channel, row, column)``."""
    if kind == "meshgrid":
        rows, columns = (torch.linspace(0, 1, size) for size in shape)
        return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]
    return torch.rand((1, inputs, *shape), generator=generator) / 10


def _scaling(observation: Observation) -> tuple[NDArray, NDArray]:
    """Minimum and span of each band's observed pixels, ``(band, 1, 1)``."""
    low = np.where(observation.observed, observation.values, np.inf).min(axis=(1, 2), keepdims=True)
    high = np.where(observation.observed, observation.values, -np.inf).max(axis=(1, 2), keepdims=True)
    low = np.where(np.isfinite(low), low, 0.0)
    span = np.where(np.isfinite(high) & (high > low), high - low, 1.0)
    return low.astype(np.float32), span.astype(np.float32)


def _no_scaling(observation: Observation) -> tuple[NDArray, NDArray]:
    shape = (len(observation.values), 1, 1)
    return np.zeros(shape, np.float32), np.ones(shape, np.float32)


def _margins(rows: int, columns: int, depth: int) -> list[tuple[int, int]]:
    """Padding that leaves at least 2 x 2 pixels at the deepest level, where batch statistics are taken."""
    least = 2 ** (depth + 1)
    return [((max(0, least - size)) // 2, (max(0, least - size) + 1) // 2) for size in (rows, columns)]


def _meet_rim(observation: Observation, image: NDArray) -> Cube:
    out = image.astype(np.float64)
    for numbers, observed, target in observation.groups():
        residual = np.where(observed, observation.values[numbers] - image[numbers], 0.0)
        out[numbers] += fill_harmonic(residual, observed, target)
    return observation.keep_observed(out)


def cost(name: str, pixels: int, bands: int) -> float:
    """Multiply-adds of one full fit, for planning; an estimate within a factor of two."""
    preset = PRESETS[name]
    width = max(preset.architecture.down)
    levels = sum(0.25**level for level in range(len(preset.architecture.down)))
    per_pixel = 9 * width * (max(preset.architecture.skip) + 3 * width) * levels / 2
    return 3.0 * per_pixel * pixels * preset.schedule.iterations * (bands if preset.per_band else 1)
