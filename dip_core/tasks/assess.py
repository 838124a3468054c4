"""Run an `AssessJob`: compare a restored raster with its reference.

*Regions*: everywhere, and with a mask also inside (not 0) and outside it. The job's numbers are those
inside the mask where there is one, for pixels that were never missing make any restoration look good.
Values are compared in physical units, that is with scale and offset applied, so that a reference stored
as integers and a restoration stored as reflectance fit. Only pixels that are valid in both rasters count.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .. import metrics
from ..errors import BandCountMismatch, GridMismatch, InvalidJob
from ..events import Result
from ..job import AssessJob
from ..raster.scene import Scene
from ..reporting import plots
from ..reporting.html import (
    Figure,
    Gallery,
    KeyNumber,
    Report,
    Section,
    Table,
    format_number,
    write_csv,
    write_html,
)
from ..runtime.context import Context

EVERYWHERE, INSIDE, OUTSIDE = "everywhere", "inside", "outside"
_NUMBERS = ("rmse", "bias", "r2", "pearson_r2", "psnr", "mpsnr", "mssim", "sam", "ergas")
_PIXELS_AT_ONCE = 1 << 24


def run(job: AssessJob, context: Context) -> Result:
    """Compare, write METRICS and REPORT where wanted, and tell the scores as numbers.

    Raises GridMismatch, BandCountMismatch, InvalidJob and the errors of `scene` and `partial`.
    """
    with ExitStack() as files:
        rasters = _Rasters(job, files)
        peaks = _peaks(rasters, context)
        regions, shown = _compare(rasters, peaks, context)
    _warn(regions, shown, context)
    chosen = INSIDE if job.mask else EVERYWHERE
    table = _band_table(regions, rasters.names)
    if job.outputs.metrics:
        write_csv(table, job.outputs.metrics)
    if job.outputs.report:
        context.progress(0.9, "Drawing the report")
        write_html(_report(job, regions, chosen, table, shown, context.warnings), job.outputs.report)
    context.progress(1.0, "Done")
    scores = asdict(regions[chosen])
    outputs = {name: path for name, path in job.outputs.wanted().items() if name in ("METRICS", "REPORT")}
    return Result(outputs=outputs, numbers={name.upper(): scores[name] for name in _NUMBERS})


class _Rasters:
    """The rasters of the job, open and found to fit."""

    def __init__(self, job: AssessJob, files: ExitStack) -> None:
        self.restored = files.enter_context(Scene([job.restored]))
        self.reference = files.enter_context(Scene([job.reference]))
        self.mask = files.enter_context(Scene([job.mask])) if job.mask else None
        for path, raster in ((job.restored, self.restored), (job.mask, self.mask)):
            difference = self.reference.grid.difference(raster.grid) if raster else None
            if difference:
                raise GridMismatch(path=path, reference=job.reference, reason=difference)
        if self.restored.count != self.reference.count:
            raise InvalidJob(
                reason=f"'{job.restored}' has {self.restored.count} bands and '{job.reference}' has "
                f"{self.reference.count}: choose two rasters with the same bands."
            )
        if self.mask and self.mask.count not in (1, self.reference.count):
            raise BandCountMismatch(found=self.mask.count, wanted=self.reference.count)
        self.names = self.reference.names
        _, self.rows, self.columns = self.reference.shape
        self.step = plots.step_for(self.rows, self.columns)

    def strips(self) -> Iterator[Window]:
        """Windows from top to bottom that fit into memory, a whole number of thumbnail pixels high."""
        rows = max(1, _PIXELS_AT_ONCE // (self.reference.count * self.columns) // self.step) * self.step
        return self.reference.blocks(rows)

    def values(self, scene: Scene, window: Window) -> NDArray[np.float64]:
        """Physical values, NaN where invalid."""
        values = scene.read(window).astype(np.float64)
        for number, band in enumerate(scene.bands):
            if band.scale != 1.0 or band.offset != 0.0:
                values[number] = values[number] * band.scale + band.offset
        values[~scene.valid(window)] = np.nan
        return values

    def inside(self, window: Window) -> NDArray[np.bool_] | None:
        """True inside the mask, (band, row, column) or (row, column)."""
        if self.mask is None:
            return None
        marked = np.nan_to_num(self.mask.read(window)) != 0
        return marked[0] if self.mask.count == 1 else marked


@dataclass
class _Shown:
    """What the report draws, reduced to picture size, and what is left out of the comparison."""

    bands: tuple[int, ...]
    reference: list[NDArray] = field(default_factory=list)
    restored: list[NDArray] = field(default_factory=list)
    error: list[NDArray] = field(default_factory=list)
    inside: list[NDArray] = field(default_factory=list)
    only_in_reference: int = 0

    def add(self, restored: NDArray, reference: NDArray, inside: NDArray[np.bool_] | None, step: int) -> None:
        """Add a strip, (band, row, column)."""
        self.only_in_reference += int(np.count_nonzero(np.isfinite(reference) & ~np.isfinite(restored)))
        chosen = list(self.bands)
        error = np.abs(restored[chosen] - reference[chosen])
        for pictures, values in (
            (self.reference, reference[chosen]),
            (self.restored, restored[chosen]),
            (self.error, error),
        ):
            small, seen = plots.thumbnail(values, np.isfinite(values), step)
            pictures.append(np.where(seen, small, np.nan))
        if inside is not None:
            marked = (inside if inside.ndim == 2 else np.logical_or.reduce(inside, axis=0))[None]
            self.inside.append(plots.thumbnail(marked, np.ones_like(marked), step)[0][0] >= 0.5)


def _peaks(rasters: _Rasters, context: Context) -> list[float]:
    """The peak of each band of the reference."""
    ranges = []
    for window in rasters.strips():
        context.progress(0.3 * window.row_off / rasters.rows, "Reading the reference")
        ranges.append([metrics.value_range(band) for band in rasters.values(rasters.reference, window)])
    lows, highs = np.moveaxis(np.asarray(ranges), -1, 0)
    return [
        metrics.peak_of(float(np.fmin.reduce(low)), float(np.fmax.reduce(high))) for low, high in zip(lows.T, highs.T)
    ]


def _compare(rasters: _Rasters, peaks: list[float], context: Context) -> tuple[dict[str, metrics.Scores], _Shown]:
    """The scores of each region, and what the report draws."""
    names = (EVERYWHERE, INSIDE, OUTSIDE) if rasters.mask else (EVERYWHERE,)
    regions = {name: metrics.Comparison(peaks) for name in names}
    shown = _Shown(plots.composite_bands(rasters.reference.count))
    for window in rasters.strips():
        context.progress(0.3 + 0.6 * window.row_off / rasters.rows, "Comparing")
        top, height = int(window.row_off), int(window.height)
        first = max(0, top - metrics.SSIM_HALO)
        last = min(rasters.rows, top + height + metrics.SSIM_HALO)
        wide = Window(0, first, rasters.columns, last - first)
        restored, reference = (rasters.values(scene, wide) for scene in (rasters.restored, rasters.reference))
        inner = np.s_[:, top - first : top - first + height]
        similarity = metrics.similarity_map(restored, reference, peaks)[inner]
        restored, reference = restored[inner], reference[inner]
        inside = rasters.inside(window)
        regions[EVERYWHERE].add(restored, reference, None, similarity)
        if inside is not None:
            # A spectrum with any band inside is inside as a whole, else no spectrum of a stripe would be.
            touched = inside if inside.ndim == 2 else np.logical_or.reduce(inside, axis=0)
            regions[INSIDE].add(restored, reference, inside, similarity, touched)
            regions[OUTSIDE].add(restored, reference, ~inside, similarity, ~touched)
        shown.add(restored, reference, inside, rasters.step)
    scores = {name: comparison.scores() for name, comparison in regions.items()}
    if not scores[EVERYWHERE].pixels:
        raise InvalidJob(
            reason=f"'{rasters.restored.paths[0]}' and '{rasters.reference.paths[0]}' have no valid pixel in common, "
            "so there is nothing to compare: check their nodata values."
        )
    return scores, shown


def _warn(regions: dict[str, metrics.Scores], shown: _Shown, context: Context) -> None:
    if shown.only_in_reference:
        context.warn(
            f"{shown.only_in_reference} values of the reference are missing in the restored raster. They are not "
            "counted, so the scores do not show them."
        )
    if INSIDE not in regions:
        return
    inside, outside = regions[INSIDE], regions[OUTSIDE]
    if not inside.pixels:
        context.warn("No pixel that is valid in both rasters lies inside the mask: its scores are undefined.")
    elif inside.rmse == 0.0 and outside.pixels and outside.rmse > 0.0:
        context.warn(
            "Inside the mask the rasters are equal, and outside they differ: perhaps the mask marks the observed "
            "pixels. Here pixels that are not 0 are inside, as in the FILLED output of a restorer."
        )


def _band_table(regions: dict[str, metrics.Scores], names: list[str]) -> Table:
    """A row a band and region; the column names are those of the CSV."""
    columns = ("region", "band", "name", "pixels", "rmse", "bias", "r2", "pearson_r2", "psnr", "ssim", "peak")
    rows = []
    for region, scores in regions.items():
        for band, name in zip(scores.bands, names):
            values = {"region": region, "name": name, **asdict(band)}
            rows.append([values[column] for column in columns])
    return Table(columns, rows)


def _report(
    job: AssessJob,
    regions: dict[str, metrics.Scores],
    chosen: str,
    table: Table,
    shown: _Shown,
    warnings: list[str],
) -> Report:
    scores = regions[chosen]
    where = {INSIDE: "Inside the mask", EVERYWHERE: "Over the whole raster"}[chosen]
    number = format_number
    summary = (
        f"{where}, the restored raster differs from its reference by an RMSE of {number(scores.rmse)} "
        f"({number(scores.pixels)} values)."
        if scores.pixels
        else f"{where}, no pixel could be compared."
    )
    labels = (
        "Region",
        "Values",
        "RMSE",
        "Bias",
        "R\u00b2",
        "Pearson r\u00b2",
        "PSNR",
        "MPSNR",
        "MSSIM",
        "SAM",
        "ERGAS",
    )
    rows = [[name, one.pixels, *(asdict(one)[field_name] for field_name in _NUMBERS)] for name, one in regions.items()]
    heads = ("Region", "Band", "Name", "Values", "RMSE", "Bias", "R\u00b2", "Pearson r\u00b2", "PSNR", "SSIM", "Peak")
    return Report(
        title=f"Assess restoration: {os.path.basename(job.restored)}",
        summary=summary,
        key_numbers=[
            KeyNumber("RMSE", scores.rmse, "0 is perfect"),
            KeyNumber("R\u00b2", scores.r2, "1 is perfect, below 0 worse than the mean"),
            KeyNumber("MPSNR", scores.mpsnr, "dB, mean over bands"),
            KeyNumber("MSSIM", scores.mssim, "1 is perfect"),
            KeyNumber("SAM", scores.sam, "degrees, 0 is perfect"),
        ],
        warnings=warnings,
        sections=[
            Section("Pictures", _pictures(shown)),
            Section(
                "Scores",
                [
                    Table(labels, rows, "All bands together", emphasis=list(regions).index(chosen)),
                    "PSNR and MPSNR are in decibels, with the reference's largest value as peak (MPSNR: each band's "
                    "own); SAM is in degrees; R\u00b2 punishes bias, Pearson's r\u00b2 does not. Values have scale and "
                    "offset applied. PSNR is infinite where the rasters are equal. MSSIM looks at the 11 x 11 pixels "
                    "around each one, so that pixels just outside the mask feel what is inside.",
                ],
            ),
            Section("Scores by band", [Table(heads, table.rows)]),
        ],
        settings={"RESTORED": job.restored, "REFERENCE": job.reference, "MASK": job.mask},
        data={"region": chosen, "scores": {name: asdict(one) for name, one in regions.items()}},
    )


def _pictures(shown: _Shown) -> list[str | Table | Figure | Gallery]:
    reference, restored, error = (
        np.concatenate(strips, axis=1) for strips in (shown.reference, shown.restored, shown.error)
    )
    bands = ("band " if len(shown.bands) == 1 else "bands ") + ", ".join(str(band + 1) for band in shown.bands)
    stretch = plots.stretch_of(reference, np.isfinite(reference))
    finite = np.isfinite(error)
    mean_error = np.where(finite, error, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    mean_error[~finite.any(axis=0)] = math.nan
    figures = [
        Figure(plots.picture(reference, stretch), f"Reference: {bands}. Missing pixels are magenta."),
        Figure(plots.picture(restored, stretch), "Restored, with the same stretch."),
        Figure(plots.map_plot(mean_error, "absolute error"), f"Absolute error, mean of {bands}."),
    ]
    if shown.inside:
        figures.append(Figure(plots.mask_picture(np.concatenate(shown.inside)), "Inside the mask: magenta."))
    return [Gallery(figures)]
