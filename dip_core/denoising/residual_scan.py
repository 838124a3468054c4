"""Search of a whitened residual for what the noise does not explain: targets of one pixel up to large plumes.

The residual (input minus estimate, in noise deviations) of a correct estimate is noise of variance 1. Sums of it over
windows of 1 x 1 to 5 x 5 pixels, scaled to variance 1 again, are squared and added over windows of 4 bands up to all
bands: a chi-square statistic that needs no knowledge of the target's spectrum. By the approximation of Wilson and
Hilferty (1931) its cube root is normal. Its median and its 90 % quantile over the scene give mean and deviation, so
noise that is correlated or has heavy tails raises the limits. They are never lower than those of ideal noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask

SIDES = (1, 2, 3, 5)  # of the windows, in pixels
_MAX_STRIP_VALUES = 1 << 22  # of all bands: 16 MiB
_MIN_CALIBRATION_PIXELS, _MAX_CALIBRATION_PIXELS = 100, 4000
_UPPER_QUANTILE, _UPPER_DEVIATION = 0.9, 1.2816  # of a normal distribution


@dataclass(frozen=True)
class Candidates:
    """Windows that exceed the lower limit, the most significant first.

    ``row``, ``column``: of the upper left pixels; ``side``: index into `SIDES`.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    side: NDArray[np.int64]


@dataclass(frozen=True)
class BandWindows:
    """The windows of bands: ``start`` and ``stop`` ``(window,)``."""

    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    @property
    def width(self) -> NDArray[np.int64]:
        """Numbers of bands."""
        return self.stop - self.start


@dataclass(frozen=True)
class Limits:
    """Cube roots of the statistic: centre and deviation under noise, ``(side, window)``.

    ``clip``: deviations at which the residual is clipped, so that single samples do not make a window significant.
    """

    centre: NDArray[np.float64]
    deviation: NDArray[np.float64]
    clip: float

    def clipped(self, residual: NDArray[np.float32]) -> NDArray[np.float32]:
        """The residual without what exceeds the clipping level."""
        return np.clip(residual, -self.clip, self.clip)

    def at(self, deviations: float) -> NDArray[np.float32]:
        """The statistic that lies so many deviations above the centre, ``(side, window)``."""
        return ((self.centre + deviations * self.deviation) ** 3).astype(np.float32)


def band_windows(bands: int) -> BandWindows:
    """Windows of 4 bands in steps of 2, of 8 in steps of 4, of 16 in steps of 8, and of all bands."""
    padded = _padded(bands)
    parts = [(np.arange(0, padded - width + 1, width // 2), width) for width in (4, 8, 16) if width < padded]
    start = np.concatenate([*(first for first, _ in parts), [0]]).astype(np.int64)
    stop = np.concatenate([*(first + width for first, width in parts), [bands]])
    return BandWindows(start, np.minimum(stop, bands).astype(np.int64))


def statistics(spectra: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of the squares of ``spectra`` ``(band, ...)`` over the `band_windows`, ``(window, ...)``."""
    bands = len(spectra)
    padded = _padded(bands)
    square = np.zeros((padded, *spectra.shape[1:]), np.float32)
    np.square(spectra, out=square[:bands])
    pairs = square[0::2] + square[1::2]
    out, parts = [], pairs
    for width in (4, 8, 16):
        if width >= padded:
            break
        # Windows of half the width: all of them are pairs at first, later they overlap by half.
        parts = parts[:-1] + parts[1:] if width == 4 else parts[:-2:2] + parts[2::2]
        out.append(parts)
    return np.concatenate([*out, pairs.sum(axis=0)[None]])


def window_sums(residual: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Sums over all windows of ``side`` x ``side`` pixels that lie within, with the variance of one pixel."""
    if side == 1:
        return residual
    rows, columns = (size - side + 1 for size in residual.shape[1:])
    down = residual[:, :rows].copy()
    for shift in range(1, side):
        down += residual[:, shift : shift + rows]
    out = down[:, :, :columns].copy()
    for shift in range(1, side):
        out += down[:, :, shift : shift + columns]
    out /= np.float32(side)
    return out


def calibrate(residual: Cube, observed: Mask, clip: float) -> Limits:
    """Centre and deviation of the statistics of ``residual`` ``(band, row, column)``.

    ``observed`` ``(row, column)``: pixels that count. Values beyond ``clip`` are set to ``clip``, here and later.
    """
    windows = band_windows(len(residual))
    width = windows.width
    # Wilson and Hilferty: (chi2 / w)^(1/3) is normal with mean 1 - 2 / (9 w) and variance 2 / (9 w).
    ideal_centre = np.cbrt(width) * (1.0 - 2.0 / (9.0 * width))
    ideal_deviation = np.cbrt(width) * np.sqrt(2.0 / (9.0 * width))
    centre, deviation = np.empty((len(SIDES), len(width))), np.empty((len(SIDES), len(width)))
    for at, side in enumerate(SIDES):
        sample = _sample(residual, observed, side, clip)
        centre[at], deviation[at] = ideal_centre, ideal_deviation
        if sample is not None:
            median, upper = np.cbrt(np.quantile(sample, [0.5, _UPPER_QUANTILE], axis=1).astype(np.float64))
            centre[at] = np.maximum(median, ideal_centre)
            deviation[at] = np.maximum((upper - median) / _UPPER_DEVIATION, ideal_deviation)
    return Limits(centre, deviation, clip)


def find_candidates(residual: Cube, limits: Limits, deviations: float) -> Candidates:
    """Windows whose statistic lies ``deviations`` above what noise gives in any window of bands."""
    found: list[tuple[NDArray, ...]] = []
    bands, rows, columns = residual.shape
    limit = limits.at(deviations)
    for at, side in enumerate(SIDES):
        if side > min(rows, columns):
            break
        strip = max(1, _MAX_STRIP_VALUES // (bands * columns))
        for top in range(0, rows - side + 1, strip):
            part = limits.clipped(residual[:, top : min(top + strip + side - 1, rows)])
            statistic = statistics(window_sums(part, side))
            row, column = np.nonzero((statistic > limit[at][:, None, None]).any(axis=0))
            root = np.cbrt(statistic[:, row, column].astype(np.float64))
            excess = ((root - limits.centre[at][:, None]) / limits.deviation[at][:, None]).max(axis=0, initial=0.0)
            found.append((excess, row + top, column, np.full(len(row), at)))
    excess, row, column, which = (np.concatenate(parts) for parts in zip(*found))
    order = np.argsort(-excess, kind="stable")
    return Candidates(row[order], column[order], which[order])


def _padded(bands: int) -> int:
    """The number of bands, rounded up to an even one."""
    return bands + bands % 2


def _sample(residual: Cube, observed: Mask, side: int, clip: float) -> NDArray[np.float32] | None:
    """Statistics of evenly spread windows of observed pixels, ``(window, place)``; None if there are too few."""
    bands, rows, columns = residual.shape
    if side > min(rows, columns):
        return None
    places = np.flatnonzero(observed[: rows - side + 1, : columns - side + 1])
    places = places[:: max(1, len(places) // _MAX_CALIBRATION_PIXELS)]
    if len(places) < _MIN_CALIBRATION_PIXELS:
        return None
    row, column = np.divmod(places, columns - side + 1)
    corner, flat = row * columns + column, residual.reshape(bands, -1)
    total = np.zeros((bands, len(places)), np.float32)
    for shift in (down * columns + right for down in range(side) for right in range(side)):
        total += np.clip(np.take(flat, corner + shift, axis=1, mode="clip"), -clip, clip)
    return statistics(total / np.float32(side))
