"""*Hold-outs*: observed pixels hidden on purpose, in the shape of the scene's own gaps.

The gap pattern of a window is shifted onto observed pixels and hidden in blocks, all bands as the shifted
pattern has them, so that hold-outs have the width, the tilt and the band offsets of the real gaps. What a
method scores on them is what it will score in the gaps. Only some blocks are hidden at a time: hiding a
whole second pattern would leave less to work with than the real task does. Draws that know of each other
take turns over the window, so that no part of it goes unseen by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..imaging.observation import distance_to

BLOCK = 64
SHARE = 0.12  # of the observed pixels, at most, in one draw
_SMALLEST_BLOCK = 8
_TRIES = 12
_MOST_REFUSED = 300  # blocks of one size that lie too deep, before smaller ones are tried
_ENOUGH = 0.5  # of the most that may be hidden: less, and smaller blocks are tried too
_PATTERNS = 4  # shifted ones of which a draw may take blocks


def draw(
    observed: Mask,
    pattern: Mask,
    rng: np.random.Generator,
    share: float = SHARE,
    deepest: float = math.inf,
    often: NDArray[np.integer] | None = None,
) -> Mask:
    """Pixels to hide, ``(band, row, column)``; never more than ``share`` of the observed ones.

    ``pattern``: the target pixels of this window, or of another of the same shape with more gaps. ``deepest``: the
    distance to the nearest observed pixel that few hidden pixels may exceed, if that can be. Where gaps lie close
    together, a whole piece of the pattern would join several of them, so narrower pieces are hidden there; the
    narrowest, however deep, where nothing meets the limit. ``often`` ``(row, column)``: how many times earlier draws
    hid each place; blocks far from those that were hidden come first then, and in random order where it is None.
    """
    most = share * np.count_nonzero(observed)
    hidden = np.zeros(observed.shape, bool)
    wanted = most * _ENOUGH if math.isfinite(deepest) else 1.0
    size = BLOCK
    while np.count_nonzero(hidden) < wanted and size >= _SMALLEST_BLOCK:  # in a small window no large block fits
        _draw(observed, pattern, rng, most, size, deepest, hidden, often)
        size //= 2
    if not hidden.any() and math.isfinite(deepest):
        _draw(observed, pattern, rng, most, _SMALLEST_BLOCK, math.inf, hidden, often)
        return hidden if hidden.any() else draw(observed, pattern, rng, share, often=often)
    return hidden


def expected(observed: Mask, pattern: Mask, share: float = SHARE) -> float:
    """About how many places ``(row, column)`` one draw can hide at most."""
    seen, gaps = (np.count_nonzero(np.any(mask, axis=0)) for mask in (observed, pattern))
    return min(share * seen, float(_PATTERNS * gaps))


def _draw(
    observed: Mask,
    pattern: Mask,
    rng: np.random.Generator,
    most: float,
    size: int,
    deepest: float,
    hidden: Mask,
    often: NDArray[np.integer] | None,
) -> None:
    """Add blocks of ``size`` pixels to ``hidden`` until the next would make more than ``most`` hidden pixels."""
    total, refused = np.count_nonzero(hidden), 0
    for _ in range(_PATTERNS):
        shifted = _best_shift(observed & ~hidden, pattern, rng) & observed
        blocks = _blocks_of(shifted, rng, size)
        if not blocks:
            continue
        turns = _Turns(blocks, None if often is None else often + hidden.any(axis=0))
        for block in turns:
            cut, mask = block.cut, block.mask
            if math.isfinite(deepest) and _depth(cut, mask, observed, hidden, deepest) > deepest:
                refused += 1
                if refused == _MOST_REFUSED:
                    return
                continue
            if total + np.count_nonzero(mask) <= most:
                total += np.count_nonzero(mask & ~hidden[cut])
                hidden[cut] |= mask
                turns.hidden(block)
            elif total:
                return


def _depth(cut: tuple[slice, ...], block: Mask, observed: Mask, hidden: Mask, reach: float) -> float:
    """How deep most pixels of a block would lie: the 90th percentile of their distances to what stays observed.

    Of the band that has most pixels in the block; distances beyond ``reach`` may come out shorter than they are.
    """
    band = int(block.sum(axis=(1, 2)).argmax())
    margin = math.ceil(reach) + 2
    starts = [max(0, side.start - margin) for side in cut[1:]]
    around = tuple(slice(start, side.stop + margin) for start, side in zip(starts, cut[1:]))
    inside = tuple(slice(side.start - start, side.stop - start) for start, side in zip(starts, cut[1:]))
    left = observed[band][around] & ~hidden[band][around]
    left[inside] &= ~block[band]
    return float(np.percentile(distance_to(left)[inside][block[band]], 90.0))


def _best_shift(observed: Mask, pattern: Mask, rng: np.random.Generator) -> Mask:
    """Of some random shifts of the pattern, the one that falls most on observed pixels."""
    rows, columns = pattern.shape[1:]
    best, most = pattern, -1
    for _ in range(_TRIES):
        shift = int(rng.integers(1, max(2, rows))), int(rng.integers(1, max(2, columns)))
        shifted = np.roll(pattern, shift, axis=(1, 2))
        count = int(np.count_nonzero(shifted & observed))
        if count > most:
            best, most = shifted, count
    return best


@dataclass(frozen=True)
class _Block:
    """A piece of a mask ``(band, row, column)``: where it is, the mask there, and its place in the grid of blocks."""

    cut: tuple[slice, slice, slice]
    mask: Mask
    place: tuple[int, int]


class _Turns:
    """Blocks in the order in which they are tried, while some of them are hidden.

    Each time it is the block's turn around which least was hidden, for what blocks there are, ``often`` counting
    earlier draws, too; of several such, the first one's. Around: with weights that fall as ``1 / (1 + d^2)`` with the
    distance in blocks, so that both the next block and the next quarter of the window matter. Without ``often`` they
    stay in order.
    """

    def __init__(self, blocks: Sequence[_Block], often: NDArray[np.integer] | None) -> None:
        self._blocks = blocks
        self._balanced = often is not None
        if often is None:
            return
        shape = tuple(max(side) + 1 for side in zip(*(block.place for block in blocks)))
        self._size, before = np.zeros(shape), np.zeros(shape)
        for block in blocks:
            self._size[block.place] = np.count_nonzero(block.mask.any(axis=0))
            before[block.place] = often[block.cut[1:]].sum()
        down, right = (np.arange(1 - side, side) for side in shape)
        self._near = 1.0 / (1.0 + np.square(down)[:, None] + np.square(right))
        self._around = _convolved(self._size, self._near)
        self._hidden = _convolved(before, self._near)

    def __iter__(self) -> Iterator[_Block]:
        if not self._balanced:
            yield from self._blocks
            return
        row, column = (np.array(side, np.intp) for side in zip(*(block.place for block in self._blocks)))
        waiting = np.ones(len(self._blocks), bool)
        while waiting.any():
            share = self._hidden[row, column] / self._around[row, column]
            first = int(np.argmin(np.where(waiting, share, np.inf)))
            waiting[first] = False
            yield self._blocks[first]

    def hidden(self, block: _Block) -> None:
        """Note that a block was hidden."""
        if self._balanced:
            far = tuple(slice(side - 1 - at, 2 * side - 1 - at) for side, at in zip(self._size.shape, block.place))
            self._hidden += self._size[block.place] * self._near[far]


def _convolved(values: NDArray[np.float64], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each place's sum of all values ``(row, column)`` by ``near``, whose middle is a place itself; never below 0."""
    shape = tuple(one + other - 1 for one, other in zip(values.shape, near.shape))
    whole = np.fft.irfft2(np.fft.rfft2(values, shape) * np.fft.rfft2(near, shape), shape)
    middle = tuple(slice(side // 2, side // 2 + one) for side, one in zip(near.shape, values.shape))
    return np.maximum(whole[middle], 0.0)


def _blocks_of(mask: Mask, rng: np.random.Generator, size: int) -> list[_Block]:
    """The mask cut into blocks, in random order; empty ones are left out."""
    bands, rows, columns = mask.shape
    tops, lefts = range(-(size // 2), rows, size), range(-(size // 2), columns, size)
    found = []
    for number in rng.permutation(len(tops) * len(lefts)):
        place = int(number) // len(lefts), int(number) % len(lefts)
        top, left = tops[place[0]], lefts[place[1]]
        down, right = slice(max(top, 0), min(top + size, rows)), slice(max(left, 0), min(left + size, columns))
        cut = (slice(0, bands), down, right)
        if mask[cut].any():
            found.append(_Block(cut, mask[cut], place))
    return found
