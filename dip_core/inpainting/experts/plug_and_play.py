"""*Plug and play*: the non-local ridge as the prior of what is missing.

From the kriged fill, two steps take turns: the cube is denoised by the non-local ridge, as if its error were noise of a
given level, and the observed pixels are put back. The level falls from pass to pass. What an edge or a field looks like
elsewhere in the scene so grows into the gap, which no linear interpolation can give. Information enters a gap from its
rim by one patch a pass; momentum (each pass starts further along the last step) carries it on faster: on hidden pixels
of SLC-off scenes, 12 passes with momentum come as far as 40 without.

Before, some passes are made at half the resolution, where a gap is half as deep: what comes of them is where the passes
at the whole resolution start.

Levels are in proportion to the scene's whole variance, so bands, their number and their units do not matter.

Large patches continue what is large, small ones keep more of what is fine; alone they come to much the same, but their
errors differ, so the mixture gains from both (`PATCHES`).

Source: Venkatakrishnan et al., Plug-and-play priors for model based reconstruction (2013); the momentum is Polyak's.
Schedule and sizes were chosen on observed pixels hidden on purpose, as the product itself does it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...arrays import Cube, Mask
from ...denoising.nl_ridge import Groups, find_groups, ridge_pass, smooth, with_double
from ...imaging.observation import Observation
from ...imaging.resampling import block_sums, enlarge_blocks, fill_nearest_common
from ...runtime.progress import SILENT, ProgressReporter
from .kriging import kriging

PASSES = 16
_COARSE_PASSES = 8
_LEVELS = (0.15, 0.025)  # of the first and the last pass, in square roots of the scene's whole variance
_MOMENTUM = 0.85
# The sizes of each of the experts.
PATCHES = {
    "plug_and_play": Groups(patch=15, first=20, second=20, reach=12, step=12, thin=2),
    "plug_and_play_fine": Groups(patch=9, first=30, second=30, reach=12, step=9, thin=2),
}
_COARSE = Groups(patch=9, first=20, second=20, reach=10, step=7)  # at half the resolution
_COARSEST = 18  # rows and columns at half the resolution, below which there is too little to learn from
_LEAST_LEFT = 0.01  # of the root of the whole variance, at half the resolution; below it all there is, is finer
_COARSE_SHARE = 0.15  # of the time
_MATCHED = 4  # passes for which groups are found once
_STARTS = (0, 6, 3, 9)  # where the grid of reference patches begins, in turn (of small patches at 0, 6, 3 and 0)
_COMPONENTS = 6  # that are denoised; what they leave over keeps its kriged value
_LEAST_POWER = 1e-6  # of the strongest component, below which one is rounding


@dataclass(frozen=True)
class _State:
    """Values of mean 0 ``(channel, row, column)``, put back where they are ``seen`` (by channel, or alike for all).

    ``inside``: the scene; ``missing``: what is to be filled; both ``(row, column)``.
    """

    values: Cube
    seen: Mask
    inside: Mask
    missing: Mask

    @property
    def scale(self) -> float:
        """The root of the whole variance."""
        return float(np.sqrt(np.square(self.values[:, self.inside], dtype=np.float64).mean(axis=1).sum()))

    def halved(self) -> _State:
        """The same at half the resolution: means of 2 x 2 pixels of the scene, seen where at least half of them are."""
        part = block_sums(self.inside[None], 2)
        values = block_sums(np.where(self.inside, self.values, np.float32(0)), 2) / np.maximum(part, 1.0)
        seen: Mask = (block_sums(self.seen & self.inside, 2) >= 0.5 * part) & (part > 0)
        missing: Mask = (block_sums(self.missing[None], 2)[0] > 0) & ~seen.all(axis=0)
        return _State(values.astype(np.float32), seen, part[0] > 0, missing)


def plug_and_play(
    observation: Observation,
    *,
    groups: Groups = PATCHES["plug_and_play"],
    start: Cube | None = None,
    device: torch.device | None = None,
    progress: ProgressReporter = SILENT,
) -> Cube:
    """Fill the target pixels; ``(band, row, column)``.

    ``groups``: the sizes of patches and groups. ``start``: the kriged fill, if it is at hand. ``progress``
    can end the work after the current pass.
    """
    inside: Mask = np.any(observation.observed | observation.target, axis=0)
    missing: Mask = np.any(observation.target & ~observation.observed, axis=0)
    # Where only some bands lie outside the scene, theirs are filled for the time being: zeros would count as seen.
    beside = (
        inside & ~(observation.observed | observation.target) & observation.observed.any(axis=(1, 2), keepdims=True)
    )
    if beside.any():
        start, widened = None, replace(observation, target=observation.target | beside)
    else:
        widened = observation
    fill = kriging(widened) if start is None else start
    directions = _directions(fill, inside) if missing.any() else np.zeros((0, 0))
    if not len(directions) or min(inside.shape) < 2:
        return observation.keep_observed(fill)
    mean = fill[:, inside].mean(axis=1)[:, None, None]
    seen: Mask = ~widened.target | widened.observed  # what is put back
    device = with_double(device)
    if not (seen == seen[:1]).all():
        found = _coarse_to_fine(_State(fill - mean, seen, inside, missing), directions, groups, device, progress) + mean
    else:  # components are seen wherever bands are, and stand for them throughout
        first = np.tensordot(directions, fill - mean, axes=1).astype(np.float32)
        state = _State(first, seen[:1], inside, missing)
        last = _coarse_to_fine(state, np.eye(len(first)), groups, device, progress)
        found = fill + np.tensordot(directions.T, last - first, axes=1)
    return observation.keep_observed(found)


def _coarse_to_fine(
    state: _State,
    directions: NDArray[np.float64],
    sizes: Groups,
    device: torch.device,
    progress: ProgressReporter,
) -> Cube:
    """What the values become, ``(channel, row, column)``; ``directions`` ``(image, channel)`` are denoised."""
    half = state.halved()
    if min(half.inside.shape) < _COARSEST or not half.missing.any() or half.scale < _LEAST_LEFT * state.scale:
        return _passes(state, PASSES, directions, sizes, device, progress)
    going = True

    def early(fraction: float) -> bool:
        nonlocal going
        going = progress.update(_COARSE_SHARE * fraction)
        return going

    better = _passes(half, _COARSE_PASSES, directions, _COARSE, device, ProgressReporter(early))
    change = np.where(half.seen, np.float32(0), better - half.values)
    wider = enlarge_blocks(change, half.inside, 2, state.inside.shape).astype(np.float32)
    start = np.where(state.seen, state.values, state.values + wider)
    if not going:
        return start
    rest = progress.part(_COARSE_SHARE, 1.0 - _COARSE_SHARE)
    return _passes(replace(state, values=start), PASSES, directions, sizes, device, rest)


def _passes(
    state: _State,
    passes: int,
    directions: NDArray[np.float64],
    sizes: Groups,
    device: torch.device,
    progress: ProgressReporter,
) -> Cube:
    """What so many passes make of the values, ``(channel, row, column)``."""
    first, inside = state.values, state.inside
    turn = torch.from_numpy(directions.astype(np.float32)).to(device)
    start = torch.from_numpy(np.ascontiguousarray(fill_nearest_common(first, inside), np.float32)).to(device)
    known = torch.from_numpy(np.ascontiguousarray(state.seen)).to(device)
    mask, wanted = torch.from_numpy(inside).to(device), torch.from_numpy(state.missing).to(device)
    sizes = sizes.within(inside.shape)
    now = before = start
    alike = torch.zeros(0)
    for number, level in enumerate(np.geomspace(*_LEVELS, passes) * state.scale):
        ahead = now + (_MOMENTUM if number else 0.0) * (now - before)
        images = torch.tensordot(turn, ahead, dims=1) / level
        if number % _MATCHED == 0:
            begin = _STARTS[number // _MATCHED % len(_STARTS)]
            alike = find_groups(smooth(images), mask, sizes, sizes.second, wanted=wanted, first=begin)
        denoised, _ = ridge_pass(images, images, alike, sizes.patch, with_leverage=False)
        change = torch.tensordot(turn.T, (denoised - images) * level, dims=1)
        before, now = now, torch.where(known, start, ahead + change)
        if not progress.update((number + 1) / passes):
            break
    return now.cpu().numpy()


def _directions(fill: Cube, inside: Mask) -> NDArray[np.float64]:
    """The leading principal directions ``(component, band)`` of the pixels inside; none of a constant scene."""
    spectra = fill[:, inside].astype(np.float64)
    power, vectors = np.linalg.eigh(np.atleast_2d(np.cov(spectra)) if spectra.shape[1] > 1 else np.zeros((1, 1)))
    vectors[np.ptp(spectra, axis=1) == 0] = 0.0  # a band that is not seen here takes no part, not even by rounding
    kept = np.flatnonzero(power > max(_LEAST_POWER * power[-1], 1e-12))[::-1][:_COMPONENTS]
    return vectors[:, kept].T
