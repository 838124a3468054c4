"""METRICS table and REPORT page of an assessment: a restored raster against its reference, by region."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..comparison import Scores
from ..job import AssessJob
from ..metrics import METRICS
from . import plots
from .formatting import format_number
from .page import Figure, Gallery, KeyNumber, Report, Section, Table
from .pictures import mask_picture, picture, stretch_of, thumbnail
from .tables import Column, DataTable

EVERYWHERE, INSIDE, OUTSIDE = "everywhere", "inside", "outside"  # regions
_KEY_METRICS = ("rmse", "r2", "mpsnr", "mssim", "sam")
_BETTER = {"higher": " \u2191", "lower": " \u2193", "zero": ""}  # arrows behind a metric's label
_NOTES = (
    "\u2193: lower is better, \u2191: higher is better; the bias should be close to 0. PSNR and MPSNR are in decibels; "
    "the peak is the largest value of the reference, for MPSNR that of each band. PSNR is infinite if the rasters are "
    "equal. SAM is in degrees. R\u00b2 decreases with bias, Pearson's r\u00b2 does not. Scale and offset of both "
    "rasters are applied. MSSIM uses the 11 x 11 pixels around each pixel: errors inside the mask also affect pixels "
    "just outside it."
)


@dataclass
class Thumbnails:
    """The pictures of the report at reduced size, collected strip by strip; ``step``: the reduction factor.

    Strips may have any height: rows wait in ``pending`` until there are ``step`` of them.
    """

    bands: tuple[int, ...]
    step: int
    reference: list[NDArray] = field(default_factory=list)
    restored: list[NDArray] = field(default_factory=list)
    error: list[NDArray] = field(default_factory=list)
    inside: list[NDArray] = field(default_factory=list)
    pending: list[tuple[NDArray, ...]] = field(default_factory=list)

    def add(self, restored: NDArray, reference: NDArray, inside: Mask | None) -> None:
        """Add a strip, ``(band, row, column)``; ``inside``: also ``(row, column)``."""
        chosen = list(self.bands)
        marked: tuple[NDArray, ...] = ()
        if inside is not None:
            marked = ((inside if inside.ndim == 2 else np.logical_or.reduce(inside, axis=0))[None],)
        self.pending.append((restored[chosen], reference[chosen], *marked))
        waiting = sum(arrays[0].shape[1] for arrays in self.pending)
        self._reduce(waiting - waiting % self.step)

    def _reduce(self, rows: int) -> None:
        """Reduce the first ``rows`` pending rows."""
        if not rows:
            return
        joined = [np.concatenate(arrays, axis=1) for arrays in zip(*self.pending)]
        restored, reference, *marked = (array[:, :rows] for array in joined)
        self.pending = [tuple(array[:, rows:].copy() for array in joined)]
        error = np.abs(restored - reference)
        for strips, values in ((self.reference, reference), (self.restored, restored), (self.error, error)):
            small, observed = thumbnail(values, np.isfinite(values), self.step)
            strips.append(np.where(observed, small, np.nan))
        for mask in marked:
            self.inside.append(thumbnail(mask, np.ones_like(mask), self.step)[0][0] >= 0.5)

    def gallery(self) -> Gallery:
        """Reference, restored raster, error and mask."""
        self._reduce(sum(arrays[0].shape[1] for arrays in self.pending))
        reference, restored, error = (
            np.concatenate(strips, axis=1) for strips in (self.reference, self.restored, self.error)
        )
        names = ("band " if len(self.bands) == 1 else "bands ") + ", ".join(str(band + 1) for band in self.bands)
        stretch = stretch_of(reference, np.isfinite(reference))
        finite = np.isfinite(error)
        mean_error = np.where(finite, error, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
        mean_error[~finite.any(axis=0)] = math.nan
        figures = [
            Figure(picture(reference, stretch), f"Reference: {names}. Missing pixels are magenta."),
            Figure(picture(restored, stretch), "Restored, with the same stretch."),
            Figure(plots.map_plot(mean_error, "absolute error"), f"Absolute error, mean of {names}."),
        ]
        if self.inside:
            figures.append(Figure(mask_picture(np.concatenate(self.inside)), "Mask: pixels inside are magenta."))
        return Gallery(figures)


def band_table(regions: Mapping[str, Scores], names: Sequence[str]) -> DataTable:
    """The metrics by region and band."""
    metrics = [metric for metric in METRICS if metric.of_band]
    columns = (
        Column("region", "Region"),
        Column("band", "Band"),
        Column("name", "Name"),
        Column("pixels", "Values"),
        *(Column(metric.name, metric.label + _BETTER[metric.better]) for metric in metrics),
        Column("peak", "Peak"),
    )
    rows = [
        (region, number, name, band.pixels, *(band[metric.name] for metric in metrics), band.peak)
        for region, scores in regions.items()
        for number, (band, name) in enumerate(zip(scores.bands, names), start=1)
    ]
    return DataTable(columns, rows)


def assessment_report(
    job: AssessJob,
    regions: Mapping[str, Scores],
    chosen: str,
    by_band: DataTable,
    thumbnails: Thumbnails,
    warnings: Sequence[str],
) -> Report:
    """The page; ``chosen``: the region whose scores are the numbers of the job."""
    scores = regions[chosen]
    where = {INSIDE: "Inside the mask", EVERYWHERE: "Over the whole raster"}[chosen]
    summary = (
        f"{where}, the restored raster differs from its reference by an RMSE of {format_number(scores['rmse'])} "
        f"({format_number(scores.pixels)} values)."
        if scores.pixels
        else f"{where}, no pixel could be compared."
    )
    metrics = [metric for metric in METRICS if metric.of_scene]
    table = Table(
        ("Region", "Values", *(metric.label + _BETTER[metric.better] for metric in metrics)),
        [(region, each.pixels, *(each[metric.name] for metric in metrics)) for region, each in regions.items()],
        "All bands together",
        emphasis=list(regions).index(chosen),
    )
    return Report(
        title=f"Assess restoration: {os.path.basename(job.restored)}",
        summary=summary,
        key_numbers=[
            KeyNumber(metric.label, scores[metric.name], metric.note)
            for metric in metrics
            if metric.name in _KEY_METRICS
        ],
        warnings=warnings,
        sections=[
            Section("Pictures", [thumbnails.gallery()]),
            Section("Scores", [table, _NOTES]),
            Section("Scores by band", [by_band.for_page()]),
        ],
        settings={"RESTORED": job.restored, "REFERENCE": job.reference, "MASK": job.mask},
        data={"region": chosen, "scores": {region: each.as_dict() for region, each in regions.items()}},
    )
