"""The *neighbourhood* of missing pixels: the nearest observed pixels of each quadrant, so both rims of a gap count.

A *setting* is a way in which neighbours lie. In stripes and dead lines a few settings recur everywhere, in the gaps of
an SLC-off scene there are thousands. Weights depend on the setting alone and are computed once for each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import Mask

PER_QUADRANT = 8
SEARCH_RADIUS = 20  # pixels
SPAN = 2 * SEARCH_RADIUS + 1
PLACES = SPAN**2  # in the search window
_FEWEST = 4  # neighbours that a prediction needs
_CHUNK = 5_000  # pixels
_WORKING_FLOATS = 1 << 19  # gathered at once: 4 MiB


class Neighbourhood:
    """The neighbours of all target pixels, and which target pixels have enough of them.

    ``reached`` ``(target pixel,)`` and ``enough`` ``(setting,)``: at least four. ``settings``
    ``(setting, neighbour)``: the neighbours' places in the search window, row by row; the k-th, where there is none, as
    ``PLACES + k``.
    """

    def __init__(self, observed: Mask, target: Mask, per_quadrant: int = PER_QUADRANT) -> None:
        self._rows, self._columns = np.nonzero(target)
        quadrants = _quadrant_offsets()
        padded = np.pad(observed, SEARCH_RADIUS)
        places = [
            as_places(*_neighbours(self._rows[part], self._columns[part], padded, quadrants, per_quadrant))
            for part in parts(len(self._rows), _CHUNK)
        ]
        packed = np.concatenate(places)
        _, first, which = np.unique(packed.view(f"V{packed.strides[0]}"), return_index=True, return_inverse=True)
        self.settings, self._setting = packed[first], which.reshape(-1)
        self.enough: Mask = np.asarray((self.settings < PLACES).sum(axis=1) >= _FEWEST)
        self.reached: Mask = self.enough[self._setting]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many target pixels have each setting."""
        return np.bincount(self._setting, minlength=len(self.settings))

    def of_pixels(self, each: NDArray) -> NDArray:
        """What each target pixel's setting has, from what each setting has, ``(setting,)``."""
        return each[self._setting]

    def offsets(self, setting: int) -> tuple[NDArray[np.int64], Mask]:
        """Offsets ``(neighbour, 2)`` in rows and columns of the neighbours that a setting has, and which those are."""
        used: Mask = self.settings[setting] < PLACES
        down, right = np.divmod(self.settings[setting][used].astype(np.int64), SPAN)
        return np.stack([down, right], axis=1) - SEARCH_RADIUS, used

    def apply(self, values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimates ``(band, target pixel)`` of ``(band, row, column)`` with weights ``(setting, neighbour)``.

        Pixels that are not reached get 0.
        """
        size = self.settings.shape[1]
        padded = np.pad(values, ((0, 0), (SEARCH_RADIUS, SEARCH_RADIUS), (SEARCH_RADIUS, SEARCH_RADIUS)))
        width = padded.shape[2]
        flat = padded.reshape(len(values), -1)
        start = self._rows * width + self._columns
        down, right = np.divmod(np.minimum(self.settings, PLACES - 1).astype(np.int64), SPAN)
        step = down * width + right
        out = np.empty((len(values), len(start)))
        for part in parts(len(start), max(1, _WORKING_FLOATS // (size * len(values)))):
            setting = self._setting[part]
            out[:, part] = np.einsum("bpk,pk->bp", flat[:, start[part, None] + step[setting]], weights[setting])
        return np.where(self.reached, out, 0.0)


def parts(count: int, size: int) -> list[slice]:
    """0 to ``count`` in slices of at most ``size``."""
    return [slice(start, start + size) for start in range(0, count, size)]


def _quadrant_offsets() -> list[NDArray[np.int64]]:
    """Offsets within the search radius by quadrant, nearest first; axes belong to one quadrant each."""
    span = np.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1)
    down, right = (part.ravel() for part in np.meshgrid(span, span, indexing="ij"))
    away = np.hypot(down, right)
    order = np.argsort(away, kind="stable")
    order = order[(away[order] > 0) & (away[order] <= SEARCH_RADIUS)]
    down, right = down[order], right[order]
    sides = ((down < 0) & (right >= 0), (down >= 0) & (right > 0), (down > 0) & (right <= 0), (down <= 0) & (right < 0))
    return [np.stack([down[side], right[side]], axis=1) for side in sides]


def _neighbours(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    padded: Mask,
    quadrants: list[NDArray[np.int64]],
    per_quadrant: int,
) -> tuple[NDArray[np.int64], Mask]:
    """Offsets ``(pixel, neighbour, 2)`` of the nearest observed pixels, and which of them exist."""
    count = len(rows)
    offsets = np.zeros((count, len(quadrants), per_quadrant, 2), np.int64)
    used = np.zeros((count, len(quadrants), per_quadrant), bool)
    for side, quadrant in enumerate(quadrants):
        # Most pixels find their neighbours close by; only the others search the whole radius.
        near = quadrant[: len(quadrant) // 4]
        rank = _ranks(rows, columns, padded, near)
        _take(offsets[:, side], used[:, side], rank, near, slice(None))
        far = np.flatnonzero(rank[:, -1] < per_quadrant)
        if len(far):
            _take(offsets[:, side], used[:, side], _ranks(rows[far], columns[far], padded, quadrant), quadrant, far)
    shape = (count, len(quadrants) * per_quadrant)
    return offsets.reshape(*shape, 2), used.reshape(shape)


def _ranks(
    rows: NDArray[np.int64], columns: NDArray[np.int64], padded: Mask, offsets: NDArray[np.int64]
) -> NDArray[np.int16]:
    """How many of the first offsets hold an observed pixel, ``(pixel, offset)``."""
    place = (rows + SEARCH_RADIUS) * padded.shape[1] + columns + SEARCH_RADIUS
    step = offsets[:, 0] * padded.shape[1] + offsets[:, 1]
    return np.cumsum(padded.ravel()[place[:, None] + step], axis=1, dtype=np.int16)


def _take(
    offsets: NDArray[np.int64],
    used: Mask,
    rank: NDArray[np.int16],
    quadrant: NDArray[np.int64],
    at: slice | NDArray[np.intp],
) -> None:
    for number in range(offsets.shape[-2]):
        exists = rank[:, -1] > number
        place = np.argmax(rank > number, axis=1)
        offsets[at, number] = np.where(exists[:, None], quadrant[place], 0)
        used[at, number] = exists


def as_places(offsets: NDArray[np.int64], used: Mask) -> NDArray[np.int16]:
    """Neighbours as a setting, from their offsets ``(pixel, neighbour, 2)`` and which of them exist."""
    inside = (offsets[..., 0] + SEARCH_RADIUS) * SPAN + offsets[..., 1] + SEARCH_RADIUS
    return np.where(used, inside, PLACES + np.arange(offsets.shape[1])).astype(np.int16)
