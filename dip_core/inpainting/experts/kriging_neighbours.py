"""The observed pixels from which each missing pixel is predicted: the nearest ones in each quadrant.

Quadrants make sure that pixels on all sides of a gap are used. A *configuration* is the relative positions of the
neighbours of a pixel. Kriging weights depend on the configuration alone, so they are computed once for each: a few
recur everywhere in stripes and dead lines, an SLC-off scene has thousands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import Mask

NEIGHBOURS_PER_QUADRANT = 8
SEARCH_RADIUS = 20  # pixels
WINDOW_SIDE = 2 * SEARCH_RADIUS + 1
WINDOW_PIXELS = WINDOW_SIDE**2
_MIN_NEIGHBOURS = 4
_PIXELS_PER_PART = 5_000
_WORKING_FLOATS = 1 << 19  # gathered at once: 4 MiB


class Neighbourhood:
    """The neighbours of all target pixels of a mask ``(row, column)``.

    ``configurations``: ``(configuration, neighbour)``, the position of each neighbour in the search window (flat
    index); ``WINDOW_PIXELS + k`` where the k-th neighbour is missing. ``sufficient`` ``(configuration,)`` and
    ``reached`` ``(target pixel,)``: whether there are at least four neighbours.
    """

    def __init__(self, observed: Mask, target: Mask, per_quadrant: int = NEIGHBOURS_PER_QUADRANT) -> None:
        self._rows, self._columns = np.nonzero(target)
        quadrants = _quadrant_offsets()
        padded = np.pad(observed, SEARCH_RADIUS)
        positions = [
            window_positions(*_nearest_observed(self._rows[part], self._columns[part], padded, quadrants, per_quadrant))
            for part in slices(len(self._rows), _PIXELS_PER_PART)
        ]
        packed = np.concatenate(positions)
        _, first, number = np.unique(packed.view(f"V{packed.strides[0]}"), return_index=True, return_inverse=True)
        self.configurations, self._configuration = packed[first], number.reshape(-1)
        self.sufficient: Mask = np.asarray((self.configurations < WINDOW_PIXELS).sum(axis=1) >= _MIN_NEIGHBOURS)
        self.reached: Mask = self.sufficient[self._configuration]

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of target pixels with each configuration, ``(configuration,)``."""
        return np.bincount(self._configuration, minlength=len(self.configurations))

    def per_pixel(self, values: NDArray) -> NDArray:
        """Values ``(target pixel,)`` from those of the configurations ``(configuration,)``."""
        return values[self._configuration]

    def offsets(self, configuration: int) -> tuple[NDArray[np.int64], Mask]:
        """Row and column offsets ``(existing neighbour, 2)``, and which neighbours exist ``(neighbour,)``."""
        exists: Mask = self.configurations[configuration] < WINDOW_PIXELS
        row, column = np.divmod(self.configurations[configuration][exists].astype(np.int64), WINDOW_SIDE)
        return np.stack([row, column], axis=1) - SEARCH_RADIUS, exists

    def apply(self, values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimates ``(band, target pixel)``: weighted sums of neighbours, 0 where too few exist.

        ``values``: ``(band, row, column)``; ``weights``: ``(configuration, neighbour)``.
        """
        neighbours = self.configurations.shape[1]
        padded = np.pad(values, ((0, 0), (SEARCH_RADIUS, SEARCH_RADIUS), (SEARCH_RADIUS, SEARCH_RADIUS)))
        width = padded.shape[2]
        flat = padded.reshape(len(values), -1)
        window_start = self._rows * width + self._columns
        row, column = np.divmod(np.minimum(self.configurations, WINDOW_PIXELS - 1).astype(np.int64), WINDOW_SIDE)
        step = row * width + column
        out = np.empty((len(values), len(window_start)))
        for part in slices(len(window_start), max(1, _WORKING_FLOATS // (neighbours * len(values)))):
            number = self._configuration[part]
            gathered = flat[:, window_start[part, None] + step[number]]
            out[:, part] = np.einsum("bpk,pk->bp", gathered, weights[number])
        return np.where(self.reached, out, 0.0)


def slices(count: int, size: int) -> list[slice]:
    """The range 0 to ``count`` as slices of at most ``size``."""
    return [slice(start, start + size) for start in range(0, count, size)]


def window_positions(offsets: NDArray[np.int64], exists: Mask) -> NDArray[np.int16]:
    """Positions in the search window ``(pixel, neighbour)`` from offsets ``(pixel, neighbour, 2)``.

    ``exists``: ``(pixel, neighbour)``.
    """
    positions = (offsets[..., 0] + SEARCH_RADIUS) * WINDOW_SIDE + offsets[..., 1] + SEARCH_RADIUS
    return np.where(exists, positions, WINDOW_PIXELS + np.arange(offsets.shape[1])).astype(np.int16)


def _quadrant_offsets() -> list[NDArray[np.int64]]:
    """Offsets within the search radius for each quadrant, nearest first; each axis belongs to one quadrant."""
    axis = np.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
    down, right = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    distance = np.hypot(down, right)
    order = np.argsort(distance, kind="stable")
    order = order[(distance[order] > 0) & (distance[order] <= SEARCH_RADIUS)]
    down, right = down[order], right[order]
    quadrants = (
        (down < 0) & (right >= 0),
        (down >= 0) & (right > 0),
        (down > 0) & (right <= 0),
        (down <= 0) & (right < 0),
    )
    return [np.stack([down[inside], right[inside]], axis=1) for inside in quadrants]


def _nearest_observed(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    padded: Mask,
    quadrants: list[NDArray[np.int64]],
    per_quadrant: int,
) -> tuple[NDArray[np.int64], Mask]:
    """Offsets ``(pixel, neighbour, 2)`` of the nearest observed pixels, and which neighbours exist."""
    count = len(rows)
    offsets = np.zeros((count, len(quadrants), per_quadrant, 2), np.int64)
    exists = np.zeros((count, len(quadrants), per_quadrant), bool)
    for number, quadrant in enumerate(quadrants):
        # Most pixels have enough neighbours near them; only the others need the whole radius.
        near = quadrant[: len(quadrant) // 4]
        rank = _observed_ranks(rows, columns, padded, near)
        _store_nearest(offsets[:, number], exists[:, number], rank, near, slice(None))
        rest = np.flatnonzero(rank[:, -1] < per_quadrant)
        if len(rest):
            rank = _observed_ranks(rows[rest], columns[rest], padded, quadrant)
            _store_nearest(offsets[:, number], exists[:, number], rank, quadrant, rest)
    shape = (count, len(quadrants) * per_quadrant)
    return offsets.reshape(*shape, 2), exists.reshape(shape)


def _observed_ranks(
    rows: NDArray[np.int64], columns: NDArray[np.int64], padded: Mask, offsets: NDArray[np.int64]
) -> NDArray[np.int16]:
    """The number of observed pixels up to and including each offset, ``(pixel, offset)``."""
    centre = (rows + SEARCH_RADIUS) * padded.shape[1] + columns + SEARCH_RADIUS
    step = offsets[:, 0] * padded.shape[1] + offsets[:, 1]
    return np.cumsum(padded.ravel()[centre[:, None] + step], axis=1, dtype=np.int16)


def _store_nearest(
    offsets: NDArray[np.int64],
    exists: Mask,
    rank: NDArray[np.int16],
    quadrant: NDArray[np.int64],
    pixels: slice | NDArray[np.intp],
) -> None:
    """Write the first observed offsets of one quadrant to ``offsets`` and ``exists`` of the given pixels."""
    for number in range(offsets.shape[-2]):
        found = rank[:, -1] > number
        first = np.argmax(rank > number, axis=1)
        offsets[pixels, number] = np.where(found[:, None], quadrant[first], 0)
        exists[pixels, number] = found
