"""The windows of a scene in which a model is validated.

Source: Madow, On the theory of systematic sampling, II (1949), for systematic sampling with probability proportional
to size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask

_MIN_OBSERVED_SHARE = 0.25
_MAX_WHOLE_FACTOR = 1.5  # of a window's area


def sample_windows(
    observed: Mask,
    target: Mask,
    size: int,
    count: int,
    rng: np.random.Generator,
    max_whole_pixels: float | None = None,
) -> list[Window]:
    """The whole scene if it is small, otherwise ``count`` windows with gaps; none if there is nothing to fill.

    ``observed``, ``target`` ``(row, column)``: pixels that are observed or to be filled in any band. Windows are the
    cells of a grid, at most ``size`` pixels wide and high; if ``count`` is 1, the window has exactly this size. They
    are drawn with probability proportional to their target pixels, spread evenly over the scene, among those with at
    least a quarter of their pixels observed. ``max_whole_pixels``: of a small scene; None: 1.5 windows.
    """
    if not target.any():
        return []
    height, width = target.shape
    if height * width <= (_MAX_WHOLE_FACTOR * size * size if max_whole_pixels is None else max_whole_pixels):
        return [Window(0, 0, width, height)]
    grid_rows, grid_columns = -(-height // size), -(-width // size)
    cell_height, cell_width = -(-height // grid_rows), -(-width // grid_columns)
    if count == 1:
        cell_height, cell_width = min(size, height), min(size, width)
    windows, weights = [], []
    for row in range(grid_rows):
        # Alternating directions, so that neighbours in the list are neighbours in the scene.
        for column in range(grid_columns)[:: -1 if row % 2 else 1]:
            top = row * (height - cell_height) // max(grid_rows - 1, 1)
            left = column * (width - cell_width) // max(grid_columns - 1, 1)
            cell = (slice(top, top + cell_height), slice(left, left + cell_width))
            missing = np.count_nonzero(target[cell])
            if missing and np.mean(observed[cell]) >= _MIN_OBSERVED_SHARE:
                windows.append(Window(left, top, cell_width, cell_height))
                weights.append(missing)
    if not windows:
        return [_window_around_a_gap(target, cell_height, cell_width)]
    selected = _systematic_sample(np.array(weights, float), count, rng)
    return sorted((windows[number] for number in selected), key=lambda window: (window.row_off, window.col_off))


def _window_around_a_gap(target: Mask, height: int, width: int) -> Window:
    """A window centred on the middle one of all target pixels, as far as it fits in the scene."""
    rows, columns = np.nonzero(target)
    middle = len(rows) // 2
    top = int(np.clip(rows[middle] - height // 2, 0, target.shape[0] - height))
    left = int(np.clip(columns[middle] - width // 2, 0, target.shape[1] - width))
    return Window(left, top, width, height)


def _systematic_sample(weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> list[int]:
    """Numbers of ``count`` items, or of all if there are no more, drawn at equal steps of the cumulated weights."""
    if len(weights) <= count:
        return list(range(len(weights)))
    selected: list[int] = []
    remaining = np.ones(len(weights), bool)
    while len(selected) < count:  # repeated if an item is larger than a step, because it is drawn only once
        ends = np.cumsum(np.where(remaining, weights, 0.0))
        missing = count - len(selected)
        positions = (np.arange(missing) + rng.random()) / missing * ends[-1]
        drawn = np.unique(np.searchsorted(ends, positions, side="right"))
        selected += drawn.tolist()
        remaining[drawn] = False
    return selected
