"""The gaps of Landsat 7 scenes with a failed scan-line corrector (*SLC-off*).

The ETM+ mirror sweeps 16 detector lines forward, then 16 backward, while the satellite advances. The scan-line
corrector made the sweeps parallel. Since it failed in 2003 they form a zigzag, overlap on one side of the swath and
leave a wedge-shaped gap on the other.

Terms: a *scan* is one sweep of 16 lines; a *line* is the 30 m of one detector; the *swath position* f runs from 0 (west
edge) to 1 (east edge) over the 183 km of a scene; t is the along-track position of a pixel in lines. The satellite
advances 13.6 lines in the 60.74 ms of a scan, and 16 lines from one scan to the next. A forward scan therefore starts
at ``13.6 f`` and a backward one at ``16 + 13.6 (1 - f)``, and both again every 32 lines. A pixel is

    observed  where  (t - 13.6 f) mod 32 < 16   or   (t - 16 - 13.6 (1 - f)) mod 32 < 16,
    t = row + tan(tilt) column + phase.

A gap is thus ``27.2 |f - 1/2|`` lines high: 13.6 at the edges and 0 at the centre. The mean, 6.8 of 32 lines, is 21 %
of a scene (USGS: 22 %). The gaps of the west half are half a period off those of the east half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LINES_PER_SCAN = 16
LINES_PER_PERIOD = 2 * LINES_PER_SCAN
ADVANCE = 13.6  # lines that the satellite advances during one scan
SWATH_COLUMNS = 6100  # 183 km in pixels of 30 m
MAX_GAP_FRACTION = ADVANCE / LINES_PER_PERIOD  # 42.5 %, at the edge of the swath

_MAX_SAMPLE_PIXELS = 200_000  # for measuring a percentage, with a standard error of 0.1 percentage points
_MAX_ITERATIONS = 40
_TOLERANCE = 1e-3  # of the share of missing pixels


@dataclass(frozen=True)
class GapPattern:
    """The gap pattern of one raster of ``rows`` x ``columns`` pixels.

    ``swath_from`` and ``swath_to``: swath positions of the west and the east border of the raster.
    ``tilt_degrees``: slope of the scans. Negative: they descend to the east, as on north-up maps of a descending
    (daytime) pass; 8 to 12 degrees at mid-latitudes.
    ``jitter``: largest shift of a scan along the track, in lines. The centre of the swath stays free of gaps.
    ``band_shift``: shift of the pattern from band to band, in columns; the detectors of the bands are at different
    places of the focal plane.
    ``row_period``: rows between two gaps of the same half; 32 for pixels of 30 m.
    ``widening``: lines by which gaps are higher than the physical geometry allows.
    ``min_gap_height``: gaps with fewer lines are closed. Older Level-1 products interpolate gaps of up to 2 lines,
    which is 2.7 here and leaves the central fifth of the swath without gaps.
    """

    rows: int
    columns: int
    bands: int
    swath_from: float
    swath_to: float
    seed: int = 0
    tilt_degrees: float = -10.0
    jitter: float = 0.5
    band_shift: float = 3.0
    row_period: float = 32.0
    widening: float = 0.0
    min_gap_height: float = 0.0

    def observed(self, first_row: int = 0, last_row: int | None = None) -> NDArray[np.bool_]:
        """True for observed pixels ``(band, row, column)`` of the rows from ``first_row`` to before ``last_row``."""
        rows = np.arange(first_row, self.rows if last_row is None else last_row, dtype=np.float64)[:, None]
        columns = np.arange(self.columns, dtype=np.float64)[None, :]
        return np.stack([~self.missing(rows, columns, band) for band in range(self.bands)])

    def missing(self, rows: NDArray[np.float64], columns: NDArray[np.float64], band: int) -> NDArray[np.bool_]:
        """True for the pixels at ``rows`` and ``columns`` (broadcast) of band ``band`` (from 0) that are in a gap.

        Gaps are centred at ``16 m + 6.8``, with odd m in the west half and even m in the east half: between the end of
        scan m - 1 and the start of scan m. This is the complement of the module's formula, written by gaps so that each
        scan can have its own jitter.
        """
        shifted = columns + self.band_shift * (band - (self.bands - 1) / 2.0)
        f = np.clip(self.swath_from + (self.swath_to - self.swath_from) * shifted / self.columns, 0.0, 1.0)
        t = self._along_track(rows, shifted)
        west = (f < 0.5).astype(np.int64)
        middle = ADVANCE / 2.0 + LINES_PER_SCAN * west
        gap = 2 * np.rint((t - middle) / LINES_PER_PERIOD).astype(np.int64) + west
        half = ADVANCE * np.abs(f - 0.5)
        offset = t - (LINES_PER_SCAN * gap + ADVANCE / 2.0)
        # A shift by more than half the gap would open a gap where scans overlap.
        above, below = (np.clip(self._jitter_of(scan), -half, half) for scan in (gap - 1, gap))
        top = above - half - self.widening / 2.0
        bottom = below + half + self.widening / 2.0
        return (offset >= top) & (offset < bottom) & (bottom - top >= self.min_gap_height)

    def _along_track(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        lines_per_row = LINES_PER_PERIOD / self.row_period
        return (rows + math.tan(math.radians(self.tilt_degrees)) * columns) * lines_per_row + self._phase

    @cached_property
    def _phase(self) -> float:
        """The position of row 0 in the period, in lines; random."""
        return float(np.random.default_rng(self.seed).uniform(0.0, LINES_PER_PERIOD))

    @cached_property
    def _jitters(self) -> tuple[int, NDArray[np.float64]]:
        """The number of the first scan of this raster, and the jitter of each scan from there on."""
        reach = abs(self.band_shift) * self.bands
        corners = self._along_track(np.array([[0.0], [float(self.rows)]]), np.array([[-reach, self.columns + reach]]))
        first = int(corners.min() // LINES_PER_SCAN) - 3
        last = int(corners.max() // LINES_PER_SCAN) + 3
        generator = np.random.default_rng([self.seed, 1])
        return first, generator.uniform(-self.jitter, self.jitter, size=last - first + 1)

    def _jitter_of(self, scan: NDArray[np.int64]) -> NDArray[np.float64]:
        first, jitters = self._jitters
        return jitters[scan - first]


def observed_mask(
    shape: tuple[int, int],
    bands: int,
    swath_from: float,
    swath_to: float,
    seed: int = 0,
    *,
    tilt_degrees: float = -10.0,
    jitter: float = 0.5,
    band_shift: float = 3.0,
    row_period: float = 32.0,
    min_gap_height: float = 0.0,
) -> NDArray[np.bool_]:
    """True for observed pixels ``(band, row, column)`` of a raster of ``shape`` (rows, columns).

    The parameters are those of `GapPattern`.
    """
    return GapPattern(
        *shape,
        bands,
        swath_from,
        swath_to,
        seed=seed,
        tilt_degrees=tilt_degrees,
        jitter=jitter,
        band_shift=band_shift,
        row_period=row_period,
        min_gap_height=min_gap_height,
    ).observed()


def pattern_for_percentage(
    shape: tuple[int, int],
    bands: int,
    percentage: float,
    seed: int = 0,
    *,
    counted: NDArray[np.bool_] | None = None,
    tilt_degrees: float = -10.0,
    jitter: float = 0.5,
    band_shift: float = 3.0,
    row_period: float = 32.0,
) -> GapPattern:
    """The pattern in which ``percentage`` per cent (0 to 60) of a raster are missing, to 0.5 percentage points.

    Up to 42 %, the physical maximum, the position in the swath is adapted: a raster with the width that its 30 m pixels
    imply moves from the centre to the west edge; if that is not enough, the raster covers less of the swath. Above 42 %
    the raster is at the edge, and the gaps are higher than the physical geometry allows (`GapPattern.widening`): a
    stress test, not a Landsat scene.

    ``counted`` (row, column): the pixels that the percentage refers to, for instance without the exterior of a scene.
    Rasters much smaller than a period (32 rows) may miss the percentage by more. The other parameters are those of
    `GapPattern`.
    """
    target = percentage / 100.0
    rows, columns = _sample(shape, counted, seed)

    def pattern(share: float) -> GapPattern:
        swath_from, swath_to, widening = _geometry(share, shape[1])
        return GapPattern(
            *shape,
            bands,
            swath_from,
            swath_to,
            seed=seed,
            tilt_degrees=tilt_degrees,
            jitter=jitter,
            band_shift=band_shift,
            row_period=row_period,
            widening=widening,
        )

    # Bisection on the theoretical share, because a raster rarely has a whole number of periods.
    measured_bands = sorted({0, bands // 2, bands - 1})
    best, best_error = pattern(target), math.inf
    low, high, share = 0.0, 0.9, target
    for _ in range(_MAX_ITERATIONS):
        candidate = pattern(share)
        reached = float(np.mean([candidate.missing(rows, columns, band).mean() for band in measured_bands]))
        if abs(reached - target) < best_error:
            best, best_error = candidate, abs(reached - target)
        if best_error < _TOLERANCE:
            break
        low, high = (share, high) if reached < target else (low, share)
        share = (low + high) / 2.0
    return best


def _geometry(share: float, columns: int) -> tuple[float, float, float]:
    """Swath positions (from, to) and widening in lines for a theoretical ``share`` of missing pixels.

    Solves the mean of 27.2 |f - 1/2| / 32 over positions a to b for a and b.
    """
    steepness = 2.0 * MAX_GAP_FRACTION
    width = min(1.0, columns / SWATH_COLUMNS)
    if share >= MAX_GAP_FRACTION:
        return 0.0, 0.0, LINES_PER_PERIOD * (share - MAX_GAP_FRACTION)
    if share <= steepness * width / 4.0:  # less than in a raster of this width at the centre
        width = 4.0 * share / steepness
        return 0.5 - width / 2.0, 0.5 + width / 2.0, 0.0
    at_edge = _mean_share(0.0, width)
    low, high = (0.0, (1.0 - width) / 2.0) if share <= at_edge else (0.0, width)
    for _ in range(50):
        middle = (low + high) / 2.0
        reached = _mean_share(middle, middle + width) if share <= at_edge else _mean_share(0.0, middle)
        # The share falls as the raster moves to the centre, or covers more of the swath.
        low, high = (middle, high) if reached > share else (low, middle)
    return (low, low + width, 0.0) if share <= at_edge else (0.0, low, 0.0)


def _mean_share(swath_from: float, swath_to: float) -> float:
    """The theoretical share of missing pixels between two swath positions."""
    positions = np.linspace(swath_from, swath_to, 1001)
    return 2.0 * MAX_GAP_FRACTION * float(np.abs(positions - 0.5).mean())


def _sample(
    shape: tuple[int, int], counted: NDArray[np.bool_] | None, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the counted pixels, or of a random sample of them."""
    places = np.arange(shape[0] * shape[1]) if counted is None else np.flatnonzero(counted)
    if places.size > _MAX_SAMPLE_PIXELS:
        places = np.random.default_rng([seed, 2]).choice(places, _MAX_SAMPLE_PIXELS, replace=False)
    rows, columns = np.divmod(places, shape[1])
    return rows.astype(np.float64), columns.astype(np.float64)
