"""Hold-out pixels: observed pixels that are hidden for validation, in the shape of the scene's own gaps.

The gap pattern of a window is shifted onto observed pixels, all bands together, and hidden block by block, so hidden
pixels have the width, direction and band offsets of the real gaps. Only some blocks are hidden at a time, because a
complete second pattern would leave fewer observed pixels than the real task has. Draws that know of earlier ones are
balanced: every area is hidden about equally often.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..imaging.observation import distance_to

BLOCK_SIDE = 64  # pixels
MAX_SHARE = 0.12  # of the observed pixels, in one draw
_MIN_BLOCK_SIDE = 8
_SHIFTS = 12  # random shifts of the pattern that are compared
_MAX_REJECTED = 300  # blocks of one size that lie too deep, before smaller blocks are tried
_MIN_FILLED_SHARE = 0.5  # of the limit; with fewer hidden pixels, smaller blocks are tried too
_MAX_PATTERNS = 4  # shifted patterns in one draw
_DEPTH_PERCENTILE = 90.0


def draw_hidden_pixels(
    observed: Mask,
    pattern: Mask,
    rng: np.random.Generator,
    max_share: float = MAX_SHARE,
    max_depth: float = math.inf,
    times_hidden: NDArray[np.integer] | None = None,
) -> Mask:
    """Pixels to hide, ``(band, row, column)``: at most ``max_share`` of the observed ones.

    ``pattern``: the target pixels of this window, or of another one of the same shape with more gaps. ``max_depth``:
    the distance to the nearest observed pixel that few hidden pixels may exceed. Where gaps lie close together, a
    large piece of the pattern would join them, so smaller pieces are hidden there; if no piece keeps to ``max_depth``,
    the smallest ones are hidden at any depth. ``times_hidden`` ``(row, column)``: how often earlier draws hid each
    pixel, so that this one prefers other areas; None: random order.
    """
    limit = max_share * np.count_nonzero(observed)
    hidden = np.zeros(observed.shape, bool)
    enough = limit * _MIN_FILLED_SHARE if math.isfinite(max_depth) else 1.0
    side = BLOCK_SIDE
    while np.count_nonzero(hidden) < enough and side >= _MIN_BLOCK_SIDE:  # large blocks do not fit in small windows
        _hide_blocks(observed, pattern, rng, limit, side, max_depth, hidden, times_hidden)
        side //= 2
    if not hidden.any() and math.isfinite(max_depth):
        _hide_blocks(observed, pattern, rng, limit, _MIN_BLOCK_SIDE, math.inf, hidden, times_hidden)
        if not hidden.any():
            return draw_hidden_pixels(observed, pattern, rng, max_share, times_hidden=times_hidden)
    return hidden


def max_hidden_pixels(observed: Mask, pattern: Mask, max_share: float = MAX_SHARE) -> float:
    """Estimate of the largest number of pixels ``(row, column)`` that one draw can hide."""
    observed_pixels, gap_pixels = (np.count_nonzero(np.any(mask, axis=0)) for mask in (observed, pattern))
    return min(max_share * observed_pixels, float(_MAX_PATTERNS * gap_pixels))


def _hide_blocks(
    observed: Mask,
    pattern: Mask,
    rng: np.random.Generator,
    limit: float,
    side: int,
    max_depth: float,
    hidden: Mask,
    times_hidden: NDArray[np.integer] | None,
) -> None:
    """Add blocks of ``side`` pixels to ``hidden`` in place, until the next one would exceed ``limit`` pixels."""
    total, rejected = np.count_nonzero(hidden), 0
    for _ in range(_MAX_PATTERNS):
        shifted = _shift_to_observed(observed & ~hidden, pattern, rng) & observed
        blocks = _split_into_blocks(shifted, rng, side)
        if not blocks:
            continue
        balanced = BalancedBlocks(blocks, None if times_hidden is None else times_hidden + hidden.any(axis=0))
        for block in balanced:
            if math.isfinite(max_depth) and _block_depth(block, observed, hidden, max_depth) > max_depth:
                rejected += 1
                if rejected == _MAX_REJECTED:
                    return
                continue
            if total + np.count_nonzero(block.mask) <= limit:
                total += np.count_nonzero(block.mask & ~hidden[block.window])
                hidden[block.window] |= block.mask
                balanced.mark_hidden(block)
            elif total:
                return


@dataclass(frozen=True)
class Block:
    """A piece of a mask: its window ``(band, row, column)``, the mask there, and its position in the grid of blocks."""

    window: tuple[slice, slice, slice]
    mask: Mask
    position: tuple[int, int]


class BalancedBlocks:
    """Iterates over blocks such that every area is hidden about equally often.

    The next block is the one with the lowest density of hidden pixels around it, relative to the pixels that the blocks
    there could hide. "Around" has weights ``1 / (1 + d^2)``, *d* the distance in blocks, so near and far neighbours
    both count. ``times_hidden`` ``(row, column)``: of earlier draws; None: the blocks keep their order.
    """

    def __init__(self, blocks: Sequence[Block], times_hidden: NDArray[np.integer] | None) -> None:
        self._blocks = blocks
        self._balanced = times_hidden is not None
        if times_hidden is None:
            return
        shape = tuple(max(axis) + 1 for axis in zip(*(block.position for block in blocks)))
        self._size, before = np.zeros(shape), np.zeros(shape)
        for block in blocks:
            self._size[block.position] = np.count_nonzero(block.mask.any(axis=0))
            before[block.position] = times_hidden[block.window[1:]].sum()
        down, right = (np.arange(1 - length, length) for length in shape)
        self._kernel = 1.0 / (1.0 + np.square(down)[:, None] + np.square(right))
        self._possible = _convolve(self._size, self._kernel)
        self._hidden = _convolve(before, self._kernel)

    def __iter__(self) -> Iterator[Block]:
        if not self._balanced:
            yield from self._blocks
            return
        row, column = (np.array(axis, np.intp) for axis in zip(*(block.position for block in self._blocks)))
        waiting = np.ones(len(self._blocks), bool)
        while waiting.any():
            density = self._hidden[row, column] / self._possible[row, column]
            first = int(np.argmin(np.where(waiting, density, np.inf)))
            waiting[first] = False
            yield self._blocks[first]

    def mark_hidden(self, block: Block) -> None:
        """Count the block's pixels as hidden."""
        if self._balanced:
            shifted = tuple(
                slice(length - 1 - at, 2 * length - 1 - at) for length, at in zip(self._size.shape, block.position)
            )
            self._hidden += self._size[block.position] * self._kernel[shifted]


def _convolve(values: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The convolution of ``values`` ``(row, column)`` with a centred kernel, of the same shape and never negative."""
    shape = tuple(one + other - 1 for one, other in zip(values.shape, kernel.shape))
    full = np.fft.irfft2(np.fft.rfft2(values, shape) * np.fft.rfft2(kernel, shape), shape)
    centre = tuple(slice(side // 2, side // 2 + length) for side, length in zip(kernel.shape, values.shape))
    return np.maximum(full[centre], 0.0)


def _block_depth(block: Block, observed: Mask, hidden: Mask, max_depth: float) -> float:
    """The 90th percentile of the distances of a block's pixels to the pixels that remain observed.

    Of the band with the most pixels in the block. Distances beyond ``max_depth`` may be underestimated, because only
    the block's vicinity is searched.
    """
    band = int(block.mask.sum(axis=(1, 2)).argmax())
    margin = math.ceil(max_depth) + 2
    starts = [max(0, side.start - margin) for side in block.window[1:]]
    vicinity = tuple(slice(start, side.stop + margin) for start, side in zip(starts, block.window[1:]))
    inside = tuple(slice(side.start - start, side.stop - start) for start, side in zip(starts, block.window[1:]))
    remaining = observed[band][vicinity] & ~hidden[band][vicinity]
    remaining[inside] &= ~block.mask[band]
    return float(np.percentile(distance_to(remaining)[inside][block.mask[band]], _DEPTH_PERCENTILE))


def _shift_to_observed(observed: Mask, pattern: Mask, rng: np.random.Generator) -> Mask:
    """The pattern, shifted such that most of it lies on observed pixels; the best of some random shifts."""
    rows, columns = pattern.shape[1:]
    best, most = pattern, -1
    for _ in range(_SHIFTS):
        shift = int(rng.integers(1, max(2, rows))), int(rng.integers(1, max(2, columns)))
        shifted = np.roll(pattern, shift, axis=(1, 2))
        count = int(np.count_nonzero(shifted & observed))
        if count > most:
            best, most = shifted, count
    return best


def _split_into_blocks(mask: Mask, rng: np.random.Generator, side: int) -> list[Block]:
    """The mask in blocks of ``side`` pixels, in random order, without empty ones."""
    bands, rows, columns = mask.shape
    tops, lefts = range(-(side // 2), rows, side), range(-(side // 2), columns, side)
    blocks = []
    for number in rng.permutation(len(tops) * len(lefts)):
        position = int(number) // len(lefts), int(number) % len(lefts)
        top, left = tops[position[0]], lefts[position[1]]
        down, right = slice(max(top, 0), min(top + side, rows)), slice(max(left, 0), min(left + side, columns))
        window = (slice(0, bands), down, right)
        if mask[window].any():
            blocks.append(Block(window, mask[window], position))
    return blocks
