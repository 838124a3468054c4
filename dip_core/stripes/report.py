"""METRICS table and REPORT page of stripe detection."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..job import DetectStripesJob
from ..raster import metadata
from ..raster.scene import Scene
from ..reporting.formatting import format_count
from ..reporting.page import Figure, Gallery, KeyNumber, Report, Section
from ..reporting.pictures import mask_picture, picture, step_for, stretch_of, thumbnail
from ..reporting.tables import Column, DataTable
from .found_stripes import Stripes

MAX_PICTURES = 4
_COLUMNS = (
    Column("band", "Band"),
    Column("name", "Name"),
    Column("wavelength_um", "Wavelength [\u00b5m]"),
    Column("status", "Status"),
    Column("orientation", "Lines along"),
    Column("slope", "Slope"),
    Column("dead_lines", "Dead lines"),
    Column("offset_lines", "Offset lines"),
    Column("largest_offset", "Largest offset"),
    Column("score", "Largest score"),
    Column("noise", "Noise"),
    Column("striping", "Striping of all lines"),
)
_STATUS = 3  # place of the status among the columns
_STRIPED, _DENSE = "striped", "striped everywhere"


def stripe_table(scene: Scene, stripes: Stripes, examined: Sequence[bool]) -> DataTable:
    """One row per band, or one per orientation of the stripes of a band; ``examined``: the bands that were searched."""
    rows: list[tuple[object, ...]] = []
    by_band: dict[int, list] = {}
    dense = {item.band: item.strength for item in stripes.dense}
    orientation = {item.band: item.orientation for item in stripes.dense}
    for item in stripes.table():
        by_band.setdefault(item.band, []).append(item)
    for band, (name, info) in enumerate(zip(scene.names, metadata.read_spectral_info(scene))):
        head = (band + 1, name, info.wavelength)
        noise = stripes.noise[band] if examined[band] and band < len(stripes.noise) else math.nan
        for item in by_band.get(band, ()):
            lines = (item.orientation, item.slope, item.dead_lines, item.offset_lines, item.largest_offset, item.score)
            rows.append((*head, _DENSE if band in dense else _STRIPED, *lines, noise, dense.get(band)))
        if band not in by_band:
            status = _DENSE if band in dense else "clean" if examined[band] else "not judged"
            rows.append((*head, status, orientation.get(band), None, 0, 0, None, None, noise, dense.get(band)))
    return DataTable(_COLUMNS, rows)


def stripe_summary(numbers: Mapping[str, float | None], stripes: Stripes) -> str:
    """One sentence with the output numbers."""
    bands, dead, offset = (int(numbers[name] or 0) for name in ("STRIPED_BANDS", "DEAD_LINES", "OFFSET_LINES"))
    everywhere = len(stripes.dense)
    if not bands:
        return "No stripes and no dead lines were found."
    found = f"{format_count(dead, 'dead line')} and {format_count(offset, 'line')} with an offset"
    if everywhere:
        found += f", and striping everywhere in {format_count(everywhere, 'band')}"
    return f"Stripes were found in {format_count(bands, 'band')}: {found}."


def stripe_report(
    job: DetectStripesJob,
    scene: Scene,
    image: NDArray,
    observed: Mask,
    stripes: Stripes,
    mask: NDArray[np.uint8],
    table: DataTable,
    numbers: Mapping[str, float | None],
    warnings: Sequence[str],
) -> Report:
    """The page; ``image``, ``observed`` and ``mask`` are ``(band, row, column)``."""
    striped = [row for row in table.rows if row[_STATUS] in (_STRIPED, _DENSE)]
    sections = []
    if striped:
        notes = (
            "Offsets and noise are in the data's units. The score is an offset in standard deviations of the line "
            "medians. The slope is the number of columns that a line moves per row (for lines along rows: rows per "
            "column). Dead lines are constant or saturated (also in a part of their length), copied from a neighbour, "
            "or in contradiction to all other bands. The striping of all lines is the standard deviation of the "
            "offsets of a band that is striped everywhere."
        )
        sections = [
            Section("Pictures", [_pictures(scene, image, observed, stripes, mask)]),
            Section("Striped bands", [table.for_page(rows=striped, without=["status"]), notes]),
        ]
    everything = table.for_page(without=["orientation", "slope", "score"])
    return Report(
        title=f"Detect stripes: {os.path.basename(job.input)}",
        summary=stripe_summary(numbers, stripes),
        key_numbers=[
            KeyNumber("Striped bands", int(numbers["STRIPED_BANDS"] or 0), f"of {scene.count}"),
            KeyNumber("Dead lines", int(numbers["DEAD_LINES"] or 0), "to be inpainted, over all bands"),
            KeyNumber("Offset lines", int(numbers["OFFSET_LINES"] or 0), "to be corrected, over all bands"),
        ],
        warnings=warnings,
        sections=[*sections, Section("All bands", [everything])],
        settings={"INPUT": job.input},
        data={"numbers": numbers, "bands": table.records()},
    )


def _pictures(scene: Scene, image: NDArray, observed: Mask, stripes: Stripes, mask: NDArray[np.uint8]) -> Gallery:
    """The bands with most striped lines, next to their masks."""
    lines: dict[int, int] = {}
    for row in stripes.table():
        lines[row.band] = lines.get(row.band, 0) + row.dead_lines + row.offset_lines
    # Dead lines through all bands look the same in each band, so bands with more lines of their own are preferred.
    chosen = sorted(lines, key=lambda band: -lines[band])[:MAX_PICTURES]
    step = step_for(*scene.grid.shape)
    figures = []
    for band in sorted(chosen):
        small, small_observed = thumbnail(image[band : band + 1], observed[band : band + 1], step)
        stretch = stretch_of(small, small_observed)
        exterior = ~small_observed[0]
        figures.append(Figure(picture(small, stretch, exterior=exterior), f"{scene.names[band]}."))
        marked = mask[band, ::step, ::step] > 0
        figures.append(Figure(mask_picture(marked, exterior), f"{scene.names[band]}: dead and offset lines."))
    return Gallery(figures)
