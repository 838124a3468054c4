"""Where a scene is validated: as a whole where it is small, else in windows spread evenly over its gaps.

Source: Madow, On the theory of systematic sampling, II (1949), for drawing in proportion to size at even steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .gap_mask import Gaps


def sample_windows(
    gaps: Gaps, size: int, count: int, rng: np.random.Generator, whole: float | None = None
) -> list[Window]:
    """Windows to validate on: the scene itself if it has at most ``whole`` pixels, else ``count`` windows with gaps.

    Windows are the cells of a grid, as large as they can be, but ``size`` pixels a side at most; a single one is as
    large as that. ``whole`` is 1.5 of these where it is None. There are none where there is nothing to fill. They are
    drawn with probability in proportion to their target pixels, evenly over the scene, among those with at least a
    quarter of their pixels observed.
    """
    target, observed = gaps.target_any, np.any(gaps.observed, axis=0)
    if not target.any():
        return []
    height, width = target.shape
    if height * width <= (1.5 * size * size if whole is None else whole):
        return [Window(0, 0, width, height)]
    down, across = -(-height // size), -(-width // size)
    tall, wide = -(-height // down), -(-width // across)
    if count == 1:
        tall, wide = min(size, height), min(size, width)
    windows, weights = [], []
    for row in range(down):
        # To and fro, so that neighbours in the list are neighbours in the scene.
        for column in range(across)[:: -1 if row % 2 else 1]:
            top, left = row * (height - tall) // max(down - 1, 1), column * (width - wide) // max(across - 1, 1)
            cut = (slice(top, top + tall), slice(left, left + wide))
            missing = np.count_nonzero(target[cut])
            if missing and np.mean(observed[cut]) >= 0.25:
                windows.append(Window(left, top, wide, tall))
                weights.append(missing)
    if not windows:
        rows, columns = np.nonzero(target)
        middle = len(rows) // 2
        top = int(np.clip(rows[middle] - tall // 2, 0, height - tall))
        left = int(np.clip(columns[middle] - wide // 2, 0, width - wide))
        return [Window(left, top, wide, tall)]
    chosen = _systematic(np.array(weights, float), count, rng)
    return sorted((windows[place] for place in chosen), key=lambda window: (window.row_off, window.col_off))


def _systematic(weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> list[int]:
    """Numbers of ``count`` items (all, if there are no more), drawn in proportion to their weights at even steps."""
    if len(weights) <= count:
        return list(range(len(weights)))
    chosen: list[int] = []
    left = np.ones(len(weights), bool)
    while len(chosen) < count:  # again where an item weighs more than a step, and would be drawn twice
        ends = np.cumsum(np.where(left, weights, 0.0))
        steps = (np.arange(count - len(chosen)) + rng.random()) / (count - len(chosen)) * ends[-1]
        found = np.unique(np.searchsorted(ends, steps, side="right"))
        chosen += found.tolist()
        left[found] = False
    return chosen
