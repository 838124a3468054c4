"""Plug and play: inpainting with the non-local ridge denoiser as the prior.

From the kriged fill, two steps alternate: the cube is denoised by the non-local ridge for a noise level that falls from
pass to pass, and the observed pixels are restored. So edges and texture from elsewhere in the scene grow into the gap.
Momentum speeds this up: each pass starts from the current estimate plus a part of its last change. First some passes
run at half the resolution, where a gap is half as deep; their result is the start at full resolution. Noise levels are
proportional to the scene's total standard deviation, so the result does not depend on units or the number of bands.

There are two experts, with large patches and with small ones, whose errors differ.

Source: Venkatakrishnan et al., Plug-and-play priors for model based reconstruction (2013); Polyak's momentum (1964).
The schedule and the sizes are our own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...arrays import Cube, Mask
from ...denoising.nl_ridge import double_precision_device, ridge_pass
from ...denoising.patch_groups import GroupSizes, find_groups, smooth
from ...imaging.observation import Observation
from ...imaging.resampling import block_sums, enlarge_blocks, fill_nearest_common
from ...runtime.progress import ProgressReporter
from .interface import DEFAULT_CONTEXT, ExpertContext
from .kriging import kriging

PASSES = 16
LARGE_PATCHES = GroupSizes(patch=15, first_members=20, second_members=20, search_radius=12, step=12, thinning=2)
SMALL_PATCHES = GroupSizes(patch=9, first_members=30, second_members=30, search_radius=12, step=9, thinning=2)
COARSE_SHARE = 0.15  # of the progress, for the passes at half the resolution
_COARSE_PASSES = 8
_COARSE_SIZES = GroupSizes(patch=9, first_members=20, second_members=20, search_radius=10, step=7)
MIN_COARSE_SIDE = 18  # rows and columns at half the resolution
_MIN_COARSE_DEVIATION = 0.01  # at half the resolution, of the whole deviation; below it all structure is finer
_FIRST_LEVEL, _LAST_LEVEL = 0.15, 0.025  # noise levels of the passes, of the scene's total standard deviation
_MOMENTUM = 0.85
_PASSES_PER_MATCHING = 4  # that share the groups of similar patches
_GRID_STARTS = (0, 6, 3, 9)  # first row and column of the reference patches, in turn
_MAX_COMPONENTS = 6  # that are denoised; the rest of the bands keeps its kriged value
_MIN_RELATIVE_VARIANCE = 1e-6  # of the strongest component; weaker ones are rounding errors


@dataclass(frozen=True)
class State:
    """Values of mean 0 ``(channel, row, column)``, and the masks that the passes need.

    ``observed``: values that are restored after each pass, ``(channel, row, column)`` or ``(1, row, column)``.
    ``inside``: pixels inside the scene; ``missing``: pixels to fill; both ``(row, column)``.
    """

    values: Cube
    observed: Mask
    inside: Mask
    missing: Mask

    @property
    def deviation(self) -> float:
        """The root of the summed variances of all channels."""
        return float(np.sqrt(np.square(self.values[:, self.inside], dtype=np.float64).mean(axis=1).sum()))

    def halved(self) -> State:
        """The state at half the resolution: means of the pixels inside, observed if half of them are."""
        count = block_sums(self.inside[None], 2)
        values = block_sums(np.where(self.inside, self.values, np.float32(0)), 2) / np.maximum(count, 1.0)
        observed: Mask = (block_sums(self.observed & self.inside, 2) >= 0.5 * count) & (count > 0)
        missing: Mask = (block_sums(self.missing[None], 2)[0] > 0) & ~observed.all(axis=0)
        return State(values.astype(np.float32), observed, count[0] > 0, missing)


def plug_and_play(
    observation: Observation, context: ExpertContext = DEFAULT_CONTEXT, *, sizes: GroupSizes = LARGE_PATCHES
) -> Cube:
    """Fill the target pixels; ``(band, row, column)``.

    ``context.start``: the kriged fill. ``context.progress`` can end the work after the current pass. ``sizes``: of
    patches and groups.
    """
    inside: Mask = np.any(observation.observed | observation.target, axis=0)
    missing: Mask = np.any(observation.target & ~observation.observed, axis=0)
    # Pixels that only some bands have inside the scene are filled temporarily: their zeros would count as observed.
    outside_in_band = (
        inside & ~(observation.observed | observation.target) & observation.observed.any(axis=(1, 2), keepdims=True)
    )
    if outside_in_band.any():
        widened = replace(observation, target=observation.target | outside_in_band)
        start = kriging(widened)
    else:
        widened = observation
        start = kriging(widened) if context.start is None else context.start
    directions = _principal_directions(start, inside) if missing.any() else np.zeros((0, 0))
    if not len(directions) or min(inside.shape) < 2:
        return observation.keep_observed(start)
    mean = start[:, inside].mean(axis=1)[:, None, None]
    observed: Mask = ~widened.target | widened.observed
    device = double_precision_device(context.device)
    if not (observed == observed[:1]).all():
        state = State(start - mean, observed, inside, missing)
        filled = _coarse_to_fine(state, directions, sizes, device, context.progress) + mean
    else:  # with one mask, the components can take the place of the bands
        components = np.tensordot(directions, start - mean, axes=1).astype(np.float32)
        state = State(components, observed[:1], inside, missing)
        denoised = _coarse_to_fine(state, np.eye(len(components)), sizes, device, context.progress)
        filled = start + np.tensordot(directions.T, denoised - components, axes=1)
    return observation.keep_observed(filled)


def plug_and_play_fine(observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
    """As `plug_and_play`, with small patches."""
    return plug_and_play(observation, context, sizes=SMALL_PATCHES)


def _coarse_to_fine(
    state: State,
    directions: NDArray[np.float64],
    sizes: GroupSizes,
    device: torch.device,
    progress: ProgressReporter,
) -> Cube:
    """The filled values ``(channel, row, column)``.

    ``directions`` ``(image, channel)``: from channels to the images that are denoised.
    """
    half = state.halved()
    too_small = min(half.inside.shape) < MIN_COARSE_SIDE
    if too_small or not half.missing.any() or half.deviation < _MIN_COARSE_DEVIATION * state.deviation:
        return _run_passes(state, PASSES, directions, sizes, device, progress)
    stopped = False

    def update(fraction: float) -> bool:
        nonlocal stopped
        stopped = not progress.update(COARSE_SHARE * fraction)
        return not stopped

    coarse = _run_passes(half, _COARSE_PASSES, directions, _COARSE_SIZES, device, ProgressReporter(update))
    change = np.where(half.observed, np.float32(0), coarse - half.values)
    enlarged = enlarge_blocks(change, half.inside, 2, state.inside.shape).astype(np.float32)
    start = np.where(state.observed, state.values, state.values + enlarged)
    if stopped:
        return start
    rest = progress.part(COARSE_SHARE, 1.0 - COARSE_SHARE)
    return _run_passes(replace(state, values=start), PASSES, directions, sizes, device, rest)


def _run_passes(
    state: State,
    passes: int,
    directions: NDArray[np.float64],
    sizes: GroupSizes,
    device: torch.device,
    progress: ProgressReporter,
) -> Cube:
    """The values after denoising and restoring the observed pixels ``passes`` times, ``(channel, row, column)``."""
    start_values, inside = state.values, state.inside
    to_images = torch.from_numpy(directions.astype(np.float32)).to(device)
    start = torch.from_numpy(np.ascontiguousarray(fill_nearest_common(start_values, inside), np.float32)).to(device)
    observed = torch.from_numpy(np.ascontiguousarray(state.observed)).to(device)
    mask, missing = torch.from_numpy(inside).to(device), torch.from_numpy(state.missing).to(device)
    sizes = sizes.limited_to(inside.shape)
    current = previous = start
    groups = torch.zeros(0)
    for number, level in enumerate(np.geomspace(_FIRST_LEVEL, _LAST_LEVEL, passes) * state.deviation):
        extrapolated = current + (_MOMENTUM if number else 0.0) * (current - previous)
        images = torch.tensordot(to_images, extrapolated, dims=1) / level
        if number % _PASSES_PER_MATCHING == 0:
            first = _GRID_STARTS[number // _PASSES_PER_MATCHING % len(_GRID_STARTS)]
            groups = find_groups(smooth(images), mask, sizes, sizes.second_members, wanted=missing, first=first)
        denoised, _ = ridge_pass(images, images, groups, sizes.patch, with_leverage=False)
        change = torch.tensordot(to_images.T, (denoised - images) * level, dims=1)
        previous, current = current, torch.where(observed, start, extrapolated + change)
        if not progress.update((number + 1) / passes):
            break
    return current.cpu().numpy()


def _principal_directions(fill: Cube, inside: Mask) -> NDArray[np.float64]:
    """The leading principal directions ``(component, band)`` of the pixels inside; none if the scene is constant."""
    spectra = fill[:, inside].astype(np.float64)
    variance, vectors = np.linalg.eigh(np.atleast_2d(np.cov(spectra)) if spectra.shape[1] > 1 else np.zeros((1, 1)))
    vectors[np.ptp(spectra, axis=1) == 0] = 0.0  # a constant band takes no part, not even by rounding
    kept = np.flatnonzero(variance > max(_MIN_RELATIVE_VARIANCE * variance[-1], 1e-12))[::-1][:_MAX_COMPONENTS]
    return vectors[:, kept].T
