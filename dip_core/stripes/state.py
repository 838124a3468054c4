"""The state that the steps of a stripe detection share: examined bands, their residual and noise, and found lines.

Steps use the index of a band among the *examined* bands: those with varying values that the caller did not exclude.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from .band_residual import BandResidual, compute_band_residual, fill_missing, select_filled
from .dead_lines import MAX_WIDTH, MIN_PIXELS, find_dead_lines, find_stuck_lines
from .found_stripes import StripedLines
from .lines import Direction, LineMask, Profile, line_medians, line_spreads, robust_spread, running_median

WINDOW = 2 * MAX_WIDTH + 3  # lines of the running median; a stripe fills less than half of it
_MIN_LENGTH_SHARE = 0.3  # of a line's full length that must be observed
_MIN_HALF_LENGTH = 48  # pixels of half lines that are examined on their own


class DetectionState:
    """Examined bands ``(band, row, column)`` with filled missing pixels, and what the steps have found so far.

    ``bands``: their numbers in the cube. ``residual``: see `update_residual`. ``noise``, ``signal`` ``(band,)``: robust
    standard deviations of residual and values. ``median_noise`` ``(band,)``: typical deviation of line medians times
    the root of their length. ``axes``: the directions of columns and rows.
    """

    def __init__(self, values: NDArray, observed: Mask | None, use: Sequence[bool] | None) -> None:
        count = len(values)
        usable = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        if observed is not None:
            usable &= observed
        varied = [bool(usable[k].any()) and bool(np.ptp(values[k][usable[k]]) > 0) for k in range(count)]
        self.bands = [k for k in range(count) if varied[k] and (use is None or use[k])]
        self.shape = values.shape
        self.observed = usable[self.bands]
        self.values = select_filled(values, usable, self.bands)
        self.dead = np.zeros(self.observed.shape, bool)
        self.noise = np.full(len(self.bands), np.nan)
        self.found: list[StripedLines] = []
        self.axes = [Direction(orientation, 0.0, values.shape[1:]) for orientation in ("columns", "rows")]

    def update_residual(
        self, values: Cube | None = None, excluded: Sequence[int] = (), training: Cube | None = None
    ) -> None:
        """Compute the band residual of ``values`` (default: as filled) and measure its noise.

        ``excluded`` and ``training``: see `compute_band_residual`.
        """
        values = self.values if values is None else values
        self.residual: BandResidual = compute_band_residual(values, self.observed & ~self.dead, excluded, training)

    def measure_noise(self) -> None:
        """Measure ``noise``, ``signal`` and ``median_noise`` of all bands."""
        count = len(self.bands)
        self.noise, self.signal, self.median_noise = np.zeros(count), np.zeros(count), np.zeros(count)
        for band, residual in enumerate(self.residual.values):
            self.signal[band] = robust_spread(self.values[band][self.observed[band]])
            inner, across = [], []
            for direction, other in (self.axes, self.axes[::-1]):
                # Subtract stripes in the other direction, which would increase the deviation of the medians.
                view = self.view(residual, other)
                crossing = line_medians(view, min_pixels(other, other.length))[0]
                inner.append(self._noise_along(view, crossing))
                offsets = np.nan_to_num(crossing)[other.line_numbers()].astype(np.float32)
                view = self.view(residual - offsets, direction)
                centre, number = line_medians(view, min_pixels(direction, direction.length))
                across.append(robust_spread((centre - running_median(centre, WINDOW)) * np.sqrt(number)))
            self.noise[band] = min(inner)
            self.median_noise[band] = min(across)

    def view(self, image: NDArray, direction: Direction) -> NDArray:
        """The residual of a band by lines; without prediction, minus the running median across lines per position."""
        view = direction.view(image)
        if self.residual.is_predicted:
            return view
        return view - np.stack([running_median(across, WINDOW) for across in view.T], axis=1)

    def find_dead(self, band: int, direction: Direction) -> None:
        """Find dead lines of a band, whole lines first, then halves, and record them.

        Copies cannot be found among tilted lines, whose pixels have no neighbours at the same position.
        """
        find = find_stuck_lines if direction.tilted else find_dead_lines
        used = self.observed[band] & ~self.dead[band]
        view = direction.view(np.where(used, self.values[band], np.float32(np.nan)))
        for start, stop in line_parts(direction):
            dead = find(view[:, start:stop], min_pixels(direction, stop - start))
            if dead.any():
                self.add_dead(band, direction, start, stop, dead)
                view[dead, start:stop] = np.nan

    def add_dead(self, band: int, direction: Direction, start: int, stop: int, dead: LineMask) -> None:
        """Record dead lines of a band."""
        item = StripedLines(self.bands[band], direction, start, stop, np.zeros(direction.count), dead, 0.0)
        self.found.append(item)
        line, inside = item.locate()
        self.dead[band] |= dead[line] & inside & self.observed[band]

    def fill_dead(self) -> None:
        """Fill dead pixels from their neighbours, so that they do not affect the residuals of other bands."""
        for band in np.flatnonzero(self.dead.any(axis=(1, 2))):
            fill_missing(self.values[band], self.observed[band] & ~self.dead[band])

    def corrected_values(self, min_share: float = 0.0) -> Cube:
        """The values minus the found offsets of at least ``min_share`` of the largest in their `StripedLines`."""
        out = self.values.copy()
        for item in self.found:
            line, inside = item.locate()
            offset = np.where(np.abs(item.offset) >= min_share * np.abs(item.offset).max(), item.offset, 0.0)
            out[self.bands.index(item.band)] -= (offset[line] * inside).astype(np.float32)
        return out

    def noise_by_band(self) -> NDArray[np.float64]:
        """The noise of all bands of the cube in the data's units; NaN for bands that were not examined."""
        noise = np.full(self.shape[0], np.nan)
        noise[self.bands] = self.noise
        return noise

    def _noise_along(self, view: NDArray, centre: Profile) -> float:
        """The noise from the spread along the median line; without prediction, from second differences."""
        if self.residual.is_predicted:
            spread = line_spreads(view, centre)
            return float(np.nanmedian(spread)) if np.isfinite(spread).any() else 0.0
        bend = view[:, :-2] - 2 * view[:, 1:-1] + view[:, 2:]
        return robust_spread(bend.ravel()) / np.sqrt(6.0)


def line_parts(direction: Direction) -> list[tuple[int, int]]:
    """Start and stop positions of whole lines, then of their halves if these are long enough."""
    length, half = direction.length, direction.length // 2
    halves = [(0, half), (half, length)] if half >= _MIN_HALF_LENGTH and not direction.tilted else []
    return [(0, length), *halves]


def min_pixels(direction: Direction, length: int) -> int:
    """The number of pixels that a line of ``length`` needs to be examined."""
    return max(MIN_PIXELS, int(_MIN_LENGTH_SHARE * length)) // direction.lines_per_pixel
