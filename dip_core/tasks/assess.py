"""Run an `AssessJob`: compare a restored raster with its reference.

*Regions*: everywhere, and with a mask also inside (not 0) and outside it. The numbers of the job are those inside the
mask, if there is one, because pixels that were never missing make any restoration look good. Values are compared in
physical units, that is with scale and offset applied, so that a reference stored as integers can be compared with a
restoration stored as reflectance. Only pixels that are valid in both rasters count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..comparison import SSIM_HALO, Comparison, Scores, peak_of, similarity_map, value_range
from ..errors import BandCountMismatch, GridMismatch, InvalidJob
from ..events import Result
from ..job import AssessJob
from ..metrics import METRICS
from ..raster.magnitude import require_computable
from ..raster.mask_raster import open_masks
from ..raster.open_scene import open_scene
from ..raster.scene import Scene
from ..reporting.assessment import EVERYWHERE, INSIDE, OUTSIDE, Thumbnails, assessment_report, band_table
from ..reporting.pictures import composite_bands, step_for
from ..reporting.writing import write_requested
from ..runtime.context import Context

MAX_STRIP_VALUES = 1 << 24  # values per raster that are in memory at a time


def run(job: AssessJob, context: Context) -> Result:
    """Compare, write METRICS and REPORT if requested, and return the scores as numbers.

    Raises GridMismatch, BandCountMismatch, InvalidJob, UnreadableRaster, UnwritableOutput and DiskFull.
    """
    with ExitStack() as files:
        rasters = _Rasters(job, files, context)
        peaks = _peaks(rasters, context)
        thumbnails = Thumbnails(composite_bands(rasters.reference.count), rasters.step)
        regions, only_in_reference = _compare(rasters, peaks, thumbnails, context)
    _warn(regions, only_in_reference, context)
    chosen = INSIDE if job.mask else EVERYWHERE
    table = band_table(regions, rasters.reference.names)
    context.progress(0.9, "Writing the report")
    write_requested(
        job.outputs,
        table.for_csv,
        lambda: assessment_report(job, regions, chosen, table, thumbnails, context.warnings),
    )
    context.progress(1.0, "Done")
    outputs = {name: path for name, path in job.outputs.requested().items() if name in ("METRICS", "REPORT")}
    scores = regions[chosen]
    numbers: dict[str, float | None] = {m.name.upper(): scores[m.name] for m in METRICS if m.of_scene}
    return Result(outputs=outputs, numbers=numbers)


class _Rasters:
    """The rasters of the job, opened, with their grids and bands checked."""

    def __init__(self, job: AssessJob, files: ExitStack, context: Context) -> None:
        self.restored = files.enter_context(open_scene([job.restored], job.nodata, context))
        self.reference = files.enter_context(open_scene([job.reference], job.nodata, context))
        self.mask = open_masks([job.mask], self.reference.count, files)[0] if job.mask else None
        difference = self.reference.grid.difference(self.restored.grid)
        if difference:
            raise GridMismatch(path=job.restored, reference=job.reference, reason=difference)
        if self.restored.count != self.reference.count:
            raise InvalidJob(
                reason=f"'{job.restored}' has {self.restored.count} bands and '{job.reference}' has "
                f"{self.reference.count}: choose two rasters with the same bands."
            )
        if self.mask:
            self.mask.require_grid(self.reference.grid, job.reference)
            if len(self.mask.indexes) not in (1, self.reference.count):
                raise BandCountMismatch(found=len(self.mask.indexes), wanted=self.reference.count)
        _, self.rows, self.columns = self.reference.shape
        self.step = step_for(self.rows, self.columns)

    def strips(self) -> Iterator[Window]:
        """Windows from top to bottom that fit into memory."""
        return self.reference.blocks(max(1, MAX_STRIP_VALUES // (self.reference.count * self.columns)))

    def values(self, scene: Scene, window: Window) -> NDArray[np.float64]:
        """Physical values, NaN where invalid."""
        values = scene.read(window).astype(np.float64)
        for number, band in enumerate(scene.bands):
            if band.scale != 1.0 or band.offset != 0.0:
                values[number] = values[number] * band.scale + band.offset
        values[~scene.valid(window)] = np.nan
        return values

    def inside(self, window: Window) -> Mask | None:
        """True inside the mask, ``(band, row, column)`` or ``(row, column)``."""
        if self.mask is None:
            return None
        values, meaningful = self.mask.read(window)
        marked = meaningful & (values != 0)
        return marked[0] if len(marked) == 1 else marked


def _peaks(rasters: _Rasters, context: Context) -> list[float]:
    """The peak of each band of the reference."""
    ranges = []
    for window in rasters.strips():
        context.progress(0.3 * window.row_off / rasters.rows, "Reading the reference")
        ranges.append([value_range(band) for band in rasters.values(rasters.reference, window)])
    lows, highs = np.moveaxis(np.asarray(ranges), -1, 0)
    ends = (np.nan_to_num(end.reduce(part)) for end, part in ((np.fmin, lows), (np.fmax, highs)))
    require_computable(rasters.reference.paths[0], range(rasters.reference.count), *ends)
    return [peak_of(float(np.fmin.reduce(low)), float(np.fmax.reduce(high))) for low, high in zip(lows.T, highs.T)]


def _compare(
    rasters: _Rasters, peaks: list[float], thumbnails: Thumbnails, context: Context
) -> tuple[dict[str, Scores], int]:
    """The scores of each region, and the number of values that only the reference has."""
    names = (EVERYWHERE, INSIDE, OUTSIDE) if rasters.mask else (EVERYWHERE,)
    regions = {name: Comparison(peaks) for name in names}
    only_in_reference = 0
    for window in rasters.strips():
        context.progress(0.3 + 0.6 * window.row_off / rasters.rows, "Comparing")
        top, height = int(window.row_off), int(window.height)
        first = max(0, top - SSIM_HALO)
        last = min(rasters.rows, top + height + SSIM_HALO)
        wide = Window(0, first, rasters.columns, last - first)
        restored, reference = (rasters.values(scene, wide) for scene in (rasters.restored, rasters.reference))
        inner = np.s_[:, top - first : top - first + height]
        similarity = similarity_map(restored, reference, peaks)[inner]
        restored, reference = restored[inner], reference[inner]
        inside = rasters.inside(window)
        regions[EVERYWHERE].add(restored, reference, None, similarity)
        if inside is not None:
            # A spectrum counts as inside if any of its bands is: otherwise no spectrum of a stripe would count.
            touched = inside if inside.ndim == 2 else np.logical_or.reduce(inside, axis=0)
            regions[INSIDE].add(restored, reference, inside, similarity, touched)
            regions[OUTSIDE].add(restored, reference, ~inside, similarity, ~touched)
        thumbnails.add(restored, reference, inside)
        only_in_reference += int(np.count_nonzero(np.isfinite(reference) & ~np.isfinite(restored)))
    scores = {name: comparison.scores() for name, comparison in regions.items()}
    if not scores[EVERYWHERE].pixels:
        raise InvalidJob(
            reason=f"'{rasters.restored.paths[0]}' and '{rasters.reference.paths[0]}' have no valid pixel in common, "
            "so there is nothing to compare: check their nodata values."
        )
    return scores, only_in_reference


def _warn(regions: Mapping[str, Scores], only_in_reference: int, context: Context) -> None:
    if only_in_reference:
        context.warn(
            f"{only_in_reference} values of the reference are missing in the restored raster. They are not counted, "
            "so the scores do not reflect them."
        )
    if INSIDE not in regions:
        return
    inside, outside = regions[INSIDE], regions[OUTSIDE]
    if not inside.pixels:
        context.warn("No pixel inside the mask is valid in both rasters: the scores are undefined.")
    elif inside["rmse"] == 0.0 and outside.pixels and outside["rmse"] > 0.0:
        context.warn(
            "The rasters are equal inside the mask and differ outside it: perhaps the mask marks the observed pixels. "
            "Pixels that are not 0 count as inside, as in the FILLED output of a restorer."
        )
