"""Where the gaps of a Landsat-7 scene with a failed scan-line corrector (*SLC-off*) lie.

The ETM+ mirror sweeps 16 detector lines forward, then 16 backward, while the satellite moves on. The
scan-line corrector made the sweeps parallel; since it failed in 2003 they zigzag, overlap on one side
and leave a wedge open on the other.

Words: a *scan* is one sweep of 16 lines; the *swath position* f runs from 0 (west edge) to 1 (east
edge) across the 183 km of a scene; a *line* is one detector's 30 m; ``t`` is the along-track position
of a pixel in lines. A forward scan starts at ``13.6 f`` and a backward one at ``16 + 13.6 (1 - f)``,
both again every 32 lines, because the satellite advances 13.6 lines in the 60.74 ms of a scan and 16
lines from one scan to the next. A pixel is

    observed  where  (t - 13.6 f) mod 32 < 16   or   (t - 16 - 13.6 (1 - f)) mod 32 < 16,
    t = row + tan(tilt) column + phase.

It follows that a gap is ``27.2 |f - 1/2|`` lines high: 13.6 at the edges and none at the centre, on the
mean 6.8 of 32 lines or 21 % of a scene, where the USGS says 22 %; and that gaps jump by half a period
between the west and the east half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LINES_PER_SCAN = 16
LINES_PER_PERIOD = 2 * LINES_PER_SCAN
ADVANCE = 13.6  # lines that the satellite moves during one scan
SWATH_COLUMNS = 6100  # 183 km in pixels of 30 m
MAX_GAP_FRACTION = ADVANCE / LINES_PER_PERIOD  # 42.5 %, at the very edge of the swath

_SAMPLE = 200_000  # pixels on which a share is measured; its standard error is 0.1 percentage points
_SHARES_TRIED = 40


@dataclass(frozen=True)
class GapPattern:
    """The gap pattern of one raster.

    ``swath_from`` and ``swath_to``: swath positions of the west and the east border of the raster.
    ``tilt_degrees``: slope of the scans. Negative: they run downwards to the east, as those of a
    descending (daytime) pass do on a north-up map; 8 to 12 degrees at mid-latitudes.
    ``jitter``: largest shift of a scan along the track, in lines. It never opens more than it closes at
    the centre of the swath, which stays free of gaps.
    ``band_shift``: columns from one band's pattern to the next one's, since the bands' detectors stand
    side by side in the focal plane.
    ``row_period``: rows from one gap to the next one of the same half; 32 for pixels of 30 m.
    ``widening``: lines by which every gap is higher than the physical geometry allows.
    ``min_gap_height``: gaps lower than this many lines are closed. Older Level-1 products have gaps of up
    to 2 lines interpolated, which is 2.7 here and leaves the central fifth of the swath whole.
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
        """True where a pixel is observed, as (band, row, column), for the rows first_row to last_row (exclusive)."""
        rows = np.arange(first_row, self.rows if last_row is None else last_row, dtype=np.float64)[:, None]
        columns = np.arange(self.columns, dtype=np.float64)[None, :]
        return np.stack([~self.missing(rows, columns, band) for band in range(self.bands)])

    def missing(self, rows: NDArray[np.float64], columns: NDArray[np.float64], band: int) -> NDArray[np.bool_]:
        """True where the pixels at ``rows`` and ``columns`` (broadcast) of a 0-based band fall into a gap.

        Gaps of the west half lie around ``16 m + 6.8`` with odd m, those of the east half with even m:
        between the end of scan m - 1 and the start of scan m. This is the complement of the two scans
        in the module's formula, told gap by gap so that each scan can have its own jitter.
        """
        shifted = columns + self.band_shift * (band - (self.bands - 1) / 2.0)
        f = np.clip(self.swath_from + (self.swath_to - self.swath_from) * shifted / self.columns, 0.0, 1.0)
        t = self._along_track(rows, shifted)
        west = (f < 0.5).astype(np.int64)
        middle = ADVANCE / 2.0 + LINES_PER_SCAN * west
        gap = 2 * np.rint((t - middle) / LINES_PER_PERIOD).astype(np.int64) + west
        half = ADVANCE * np.abs(f - 0.5)
        offset = t - (LINES_PER_SCAN * gap + ADVANCE / 2.0)
        # A scan that is late or early by more than half the gap would open a gap where scans overlap.
        above, below = (np.clip(self._jitter_of(scan), -half, half) for scan in (gap - 1, gap))
        top = above - half - self.widening / 2.0
        bottom = below + half + self.widening / 2.0
        return (offset >= top) & (offset < bottom) & (bottom - top >= self.min_gap_height)

    def _along_track(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        lines_per_row = LINES_PER_PERIOD / self.row_period
        return (rows + math.tan(math.radians(self.tilt_degrees)) * columns) * lines_per_row + self._phase

    @cached_property
    def _phase(self) -> float:
        """Where in the period row 0 lies, in lines; the seed decides."""
        return float(np.random.default_rng(self.seed).uniform(0.0, LINES_PER_PERIOD))

    @cached_property
    def _jitters(self) -> tuple[int, NDArray[np.float64]]:
        """The number of the first scan over this raster, and the jitter of each scan from there."""
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
    """True where a pixel is observed, as (band, row, column), for a raster of ``shape`` (rows, columns).

    The raster reaches from swath position ``swath_from`` to ``swath_to``; the other parameters are those
    of `GapPattern`.
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
    """The pattern that hides ``percentage`` per cent (0 to 60) of a raster, to 0.5 percentage points.

    Up to the 42 % that SLC-off really reaches, the raster moves through the swath: a raster as wide as
    its 30 m pixels make it goes from the centre to the west edge, and where that is not enough it takes
    in less of the swath. Above 42 % the raster stays at the edge and the gaps are made higher than the
    physical geometry allows (`GapPattern.widening`): such a mask is a stress test, not a Landsat scene.

    ``counted`` (row, column) limits the share to these pixels, so that the exterior of a scene does not
    count. Rasters much smaller than a period (32 rows) may miss the percentage by more.
    """
    wanted = percentage / 100.0
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

    # Bisection on the share that theory promises, since a raster rarely holds a whole number of periods.
    measured_bands = sorted({0, bands // 2, bands - 1})
    best, best_miss = pattern(wanted), math.inf
    low, high, share = 0.0, 0.9, wanted
    for _ in range(_SHARES_TRIED):
        candidate = pattern(share)
        reached = float(np.mean([candidate.missing(rows, columns, band).mean() for band in measured_bands]))
        if abs(reached - wanted) < best_miss:
            best, best_miss = candidate, abs(reached - wanted)
        if best_miss < 1e-3:
            break
        low, high = (share, high) if reached < wanted else (low, share)
        share = (low + high) / 2.0
    return best


def _geometry(share: float, columns: int) -> tuple[float, float, float]:
    """Swath positions (from, to) and widening in lines that hide ``share`` of a raster, by theory.

    The mean of 27.2 |f - 1/2| / 32 over positions a to b, solved for a and b.
    """
    steepness = 2.0 * MAX_GAP_FRACTION
    width = min(1.0, columns / SWATH_COLUMNS)
    if share >= MAX_GAP_FRACTION:
        return 0.0, 0.0, LINES_PER_PERIOD * (share - MAX_GAP_FRACTION)
    if share <= steepness * width / 4.0:  # less than at the centre
        width = 4.0 * share / steepness
        return 0.5 - width / 2.0, 0.5 + width / 2.0, 0.0
    at_edge = _mean_share(0.0, width)
    low, high = (0.0, (1.0 - width) / 2.0) if share <= at_edge else (0.0, width)
    for _ in range(50):
        middle = (low + high) / 2.0
        reached = _mean_share(middle, middle + width) if share <= at_edge else _mean_share(0.0, middle)
        # Both shares fall as the raster moves to the centre, or takes in more of the swath.
        low, high = (middle, high) if reached > share else (low, middle)
    return (low, low + width, 0.0) if share <= at_edge else (0.0, low, 0.0)


def _mean_share(swath_from: float, swath_to: float) -> float:
    """The share of missing pixels between two swath positions, by theory."""
    positions = np.linspace(swath_from, swath_to, 1001)
    return 2.0 * MAX_GAP_FRACTION * float(np.abs(positions - 0.5).mean())


def _sample(
    shape: tuple[int, int], counted: NDArray[np.bool_] | None, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the counted pixels, of a random choice of them where they are many."""
    places = np.arange(shape[0] * shape[1]) if counted is None else np.flatnonzero(counted)
    if places.size > _SAMPLE:
        places = np.random.default_rng([seed, 2]).choice(places, _SAMPLE, replace=False)
    rows, columns = np.divmod(places, shape[1])
    return rows.astype(np.float64), columns.astype(np.float64)
