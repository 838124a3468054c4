"""*Hold-outs*: observed pixels hidden on purpose, in the shape of the scene's own gaps.

The gap pattern of a window is shifted onto observed pixels and hidden in blocks, all bands as the shifted
pattern has them, so that hold-outs have the width, the tilt and the band offsets of the real gaps. What a
method scores on them is what it will score in the gaps. Only some blocks are hidden at a time: hiding a
whole second pattern would leave less to work with than the real task does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from rasterio.windows import Window

from .gaps import Gaps
from .observation import Mask, distance_to

BLOCK = 64
SHARE = 0.12  # of the observed pixels, at most, in one draw
_SMALLEST_BLOCK = 8
_TRIES = 12
_MOST_REFUSED = 300  # blocks of one size that lie too deep, before smaller ones are tried
_ENOUGH = 0.5  # of the most that may be hidden: less, and smaller blocks are tried too
_PATTERNS = 4  # shifted ones of which a draw may take blocks


def draw(
    observed: Mask, pattern: Mask, rng: np.random.Generator, share: float = SHARE, deepest: float = math.inf
) -> Mask:
    """Pixels to hide, ``(band, row, column)``; never more than ``share`` of the observed ones.

    ``pattern``: the target pixels of this window, or of another of the same shape with more gaps. ``deepest``: the
    distance to the nearest observed pixel that few hidden pixels may exceed, if that can be. Where gaps lie close
    together, a whole piece of the pattern would join several of them, so narrower pieces are hidden there; the
    narrowest, however deep, where nothing meets the limit.
    """
    most = share * np.count_nonzero(observed)
    hidden = np.zeros(observed.shape, bool)
    wanted = most * _ENOUGH if math.isfinite(deepest) else 1.0
    size = BLOCK
    while np.count_nonzero(hidden) < wanted and size >= _SMALLEST_BLOCK:  # in a small window no large block fits
        _draw(observed, pattern, rng, most, size, deepest, hidden)
        size //= 2
    if not hidden.any() and math.isfinite(deepest):
        _draw(observed, pattern, rng, most, _SMALLEST_BLOCK, math.inf, hidden)
        return hidden if hidden.any() else draw(observed, pattern, rng, share)
    return hidden


def expected(observed: Mask, pattern: Mask, share: float = SHARE) -> float:
    """About how many places ``(row, column)`` one draw can hide at most."""
    seen, gaps = (np.count_nonzero(np.any(mask, axis=0)) for mask in (observed, pattern))
    return min(share * seen, float(_PATTERNS * gaps))


def sample_windows(gaps: Gaps, size: int, count: int, rng: np.random.Generator) -> list[Window]:
    """Windows to validate on: the whole scene where it is small, else ``count`` windows with gaps.

    There are none where there is nothing to fill. Windows do not overlap. They are drawn with probability in
    proportion to their target pixels, among those with at least a quarter of their pixels observed.
    """
    target, observed = gaps.target_any, np.any(gaps.observed, axis=0)
    if not target.any():
        return []
    height, width = target.shape
    if height * width <= 1.5 * size * size:
        return [Window(0, 0, width, height)]
    tall, wide = min(size, height), min(size, width)
    tops = np.unique(np.linspace(0, height - tall, max(1, int((height - tall) // size) + 1)).astype(int))
    lefts = np.unique(np.linspace(0, width - wide, max(1, int((width - wide) // size) + 1)).astype(int))
    windows, weights = [], []
    for top in tops:
        for left in lefts:
            cut = (slice(top, top + tall), slice(left, left + wide))
            missing = np.count_nonzero(target[cut])
            if missing and np.mean(observed[cut]) >= 0.25:
                windows.append(Window(int(left), int(top), wide, tall))
                weights.append(missing)
    if not windows:
        rows, columns = np.nonzero(target)
        middle = len(rows) // 2
        top = int(np.clip(rows[middle] - tall // 2, 0, height - tall))
        left = int(np.clip(columns[middle] - wide // 2, 0, width - wide))
        return [Window(left, top, wide, tall)]
    share = np.array(weights) / np.sum(weights)
    chosen = rng.choice(len(windows), min(count, len(windows)), replace=False, p=share)
    return [windows[place] for place in sorted(chosen)]


def _draw(
    observed: Mask,
    pattern: Mask,
    rng: np.random.Generator,
    most: float,
    size: int,
    deepest: float,
    hidden: Mask,
) -> None:
    """Add blocks of ``size`` pixels to ``hidden`` until the next would make more than ``most`` hidden pixels."""
    total, refused = np.count_nonzero(hidden), 0
    for _ in range(_PATTERNS):
        shifted = _best_shift(observed & ~hidden, pattern, rng) & observed
        for cut, block in _blocks_of(shifted, rng, size):
            if math.isfinite(deepest) and _depth(cut, block, observed, hidden, deepest) > deepest:
                refused += 1
                if refused == _MOST_REFUSED:
                    return
                continue
            if total + np.count_nonzero(block) <= most:
                total += np.count_nonzero(block & ~hidden[cut])
                hidden[cut] |= block
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


def _blocks_of(mask: Mask, rng: np.random.Generator, size: int) -> Iterator[tuple[tuple[slice, slice, slice], Mask]]:
    """The mask cut into blocks, in random order: where they are, and the mask there. Empty ones are left out."""
    bands, rows, columns = mask.shape
    tops, lefts = range(-(size // 2), rows, size), range(-(size // 2), columns, size)
    corners = [(top, left) for top in tops for left in lefts]
    for place in rng.permutation(len(corners)):
        top, left = corners[place]
        down, right = slice(max(top, 0), min(top + size, rows)), slice(max(left, 0), min(left + size, columns))
        cut = (slice(0, bands), down, right)
        if mask[cut].any():
            yield cut, mask[cut]
