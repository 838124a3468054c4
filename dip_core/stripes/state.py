"""The state that the steps of a stripe detection share: examined bands, their residual and noise, and found lines.

Steps use the index of a band among the *examined* bands: those with varying values that the caller did not exclude.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from .band_residual import BandResidual, compute_band_residual, fill_missing, select_filled
from .found_stripes import DenseStriping, StripedLines
from .lines import (
    MAX_WIDTH,
    MIN_PIXELS,
    Direction,
    LineMask,
    line_medians,
    line_spreads,
    robust_spread,
    running_median,
)

WINDOW = 2 * MAX_WIDTH + 3  # lines of the running median; a stripe fills less than half of it
_MIN_LENGTH_SHARE = 0.3  # of a line's full length that must be observed
_MIN_HALF_LENGTH = 48  # pixels of half lines that are examined on their own
_BEND_DISTANCES = (1, 2, 4, 8)  # pixels, of second differences along a line
_MAX_GROWTH = 2.5  # of the second differences, with twice the distance; more shows interpolated pixels
_MAX_ZERO_SHARE = 0.4  # of the second differences; with more, they do not show the noise


class DetectionState:
    """Examined bands ``(band, row, column)`` with filled missing pixels, and what the steps have found so far.

    ``bands``: their numbers in the cube. ``residual``: see `update_residual`. ``noise``, ``signal`` ``(band,)``: robust
    standard deviations of residual and values. ``median_noise`` ``(band,)``: typical deviation of line medians times
    the root of their length. ``interpolated`` ``(band,)``: True if resampling has made neighbouring pixels alike.
    ``axes``: the directions of columns and rows. ``resampled``: numbers of bands in the cube with lines that resampling
    repeated. ``dense``: bands in which most lines have an offset.
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
        self.resampled: list[int] = []
        self.dense: list[DenseStriping] = []
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
        self.interpolated = np.array([number in self.resampled for number in self.bands])
        for band, residual in enumerate(self.residual.values):
            self.signal[band] = robust_spread(self.values[band][self.observed[band]])
            inner, across = [], []
            for direction, other in (self.axes, self.axes[::-1]):
                # Subtract stripes in the other direction, which would increase the deviation of the medians.
                view = self.view(residual, other)
                crossing = line_medians(view, min_pixels(other, other.length))[0]
                if self.residual.is_predicted:
                    spread = line_spreads(view, crossing)
                    inner.append(float(np.nanmedian(spread)) if np.isfinite(spread).any() else 0.0)
                else:
                    noise, distance = _noise_of_bends(view)
                    inner.append(noise)
                    self.interpolated[band] |= distance > 1
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

    def observed_view(self, band: int, direction: Direction) -> NDArray[np.float32]:
        """The lines of a band, NaN where pixels are missing or dead."""
        used = self.observed[band] & ~self.dead[band]
        return direction.view(np.where(used, self.values[band], np.float32(np.nan)))

    def add_dead(self, band: int, direction: Direction, start: int, stop: int, dead: LineMask) -> None:
        """Record dead lines of a band."""
        item = StripedLines(self.bands[band], direction, start, stop, np.zeros(direction.count), dead, 0.0)
        self.found.append(item)
        item.mark_dead(self.dead[band])
        self.dead[band] &= self.observed[band]

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


def line_parts(direction: Direction) -> list[tuple[int, int]]:
    """Start and stop positions of whole lines, then of their halves if these are long enough."""
    length, half = direction.length, direction.length // 2
    halves = [(0, half), (half, length)] if half >= _MIN_HALF_LENGTH and not direction.tilted else []
    return [(0, length), *halves]


def min_pixels(direction: Direction, length: int) -> int:
    """The number of pixels that a line of ``length`` needs to be examined."""
    return max(MIN_PIXELS, int(_MIN_LENGTH_SHARE * length)) // direction.lines_per_pixel


def _noise_of_bends(view: NDArray) -> tuple[float, int]:
    """The noise along lines from second differences, and the distance of the pixels that these compare.

    Resampling repeats or interpolates pixels, whose second differences do not show the noise.
    """
    noise, used, unclear = 0.0, 1, True
    for distance in _BEND_DISTANCES:
        if view.shape[1] <= 2 * distance:
            break
        bend = view[:, : -2 * distance] - 2 * view[:, distance:-distance] + view[:, 2 * distance :]
        bend = bend[np.isfinite(bend)]
        spread = robust_spread(bend) / np.sqrt(6.0)
        if not unclear and spread < _MAX_GROWTH * noise:
            break
        noise, used = spread, distance
        unclear = np.count_nonzero(bend == 0) > _MAX_ZERO_SHARE * bend.size
    return noise, used
