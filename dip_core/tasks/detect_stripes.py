"""Run a `DetectStripesJob`: find the stripes and dead lines of a scene, write them as a mask and tell of them.

The mask has a band for each of the scene's: 0 clean, 1 dead, 2 offset. It marks the very pixels that stripe inpainting
would change: those beside a tilted line too, and none that was not observed. Bands without an observed pixel and bands
that the bad-band list names are not judged and stay 0.
"""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray

from ..events import Result
from ..inpainting.gap_mask import find_gaps
from ..job import DetectStripesJob
from ..raster import metadata
from ..raster.provenance import provenance
from ..raster.scene import Scene
from ..raster.writer import RasterWriter
from ..reporting import plots
from ..reporting.html import Figure, Gallery, KeyNumber, Report, Section, Table, write_csv, write_html
from ..runtime.context import Context
from ..stripes.band_residual import MIN_BANDS
from ..stripes.detection import Stripes, check_memory, find_stripes

DEAD, OFFSET = 1, 2
_MOST_PICTURES = 4
_COLUMNS = {
    "band": "Band",
    "name": "Name",
    "wavelength_um": "Wavelength [\u00b5m]",
    "status": "Status",
    "orientation": "Lines along",
    "slope": "Slope",
    "dead_lines": "Dead lines",
    "offset_lines": "Offset lines",
    "largest_offset": "Largest offset",
    "score": "Largest score",
    "noise": "Noise",
}


def run(job: DetectStripesJob, context: Context) -> Result:
    """Write what the job wants; the numbers are STRIPED_BANDS, DEAD_LINES and OFFSET_LINES, over all bands.

    Raises the errors of `scene`, `gaps` and `writer`, and OutOfMemory.
    """
    with Scene([job.input]) as scene:
        context.progress(0.0, "Reading the scene")
        check_memory(scene.shape)
        gaps = find_gaps(scene)
        observed, target = gaps.window()
        if gaps.origin == "fill value 0":  # without a nodata value, lines of zeros are dead lines, not gaps
            observed = observed | target
        use = [known.good is not False for known in metadata.read_spectral_info(scene)]
        judged = [good and bool(observed[number].any()) for number, good in enumerate(use)]
        if not all(judged):
            context.info(f"{judged.count(False)} bands are marked bad or empty and are not judged.")
        if sum(judged) < MIN_BANDS:
            context.warn(
                f"With less than {MIN_BANDS} bands, stripes cannot be told from the scene by the other bands: only "
                "clear ones are found, and no tilted ones."
            )
        context.progress(0.05, "Looking for stripes")

        image = scene.read()
        found = find_stripes(image, observed, judged, context.reporter("Looking for stripes").part(0.05, 0.8))
        table = _table(scene, found, judged)
        numbers: dict[str, float | None] = {
            "STRIPED_BANDS": float(len(found.bands)),
            "DEAD_LINES": float(sum(row.dead_lines for row in found.table())),
            "OFFSET_LINES": float(sum(row.offset_lines for row in found.table())),
        }
        context.info(_summary(numbers))
        context.progress(0.88, "Writing")
        mask = mask_of(found, observed)
        if job.outputs.output:
            _write_mask(job, scene, found, mask)
        if job.outputs.metrics:
            write_csv(table, job.outputs.metrics)
        if job.outputs.report:
            write_html(_report(job, scene, image, observed, found, mask, table, numbers, context), job.outputs.report)
    context.progress(1.0, "Done")
    wanted = {name: path for name, path in job.outputs.wanted().items() if name in ("OUTPUT", "METRICS", "REPORT")}
    return Result(outputs=wanted, numbers=numbers)


def mask_of(found: Stripes, observed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The mask, ``(band, row, column)``: 0 clean or not observed, 1 dead, 2 offset or beside a tilted one."""
    offset = (found.offset_map() != 0) | found.tilted_map()
    mask = np.where(found.dead, np.uint8(DEAD), np.where(offset, np.uint8(OFFSET), np.uint8(0)))
    return np.where(observed, mask, np.uint8(0))


def _write_mask(job: DetectStripesJob, scene: Scene, found: Stripes, mask: NDArray[np.uint8]) -> None:
    writer = RasterWriter(
        job.outputs.output or "",
        scene,
        dtype="uint8",
        nodata=None,
        descriptions=[f"{name}: 0 clean, 1 dead, 2 offset" for name in scene.names],
        tags=provenance(job.task, striped_bands=[number + 1 for number in found.bands]),
        content="mask",
    )
    with writer:
        for window in scene.blocks():
            writer.write(mask[:, window.toslices()[0]], window)


def _table(scene: Scene, found: Stripes, judged: list[bool]) -> Table:
    """A row for each band, or for each of its directions; the column names are those of the CSV."""
    rows = []
    by_band: dict[int, list] = {}
    for item in found.table():
        by_band.setdefault(item.band, []).append(item)
    for number, (name, known) in enumerate(zip(scene.names, metadata.read_spectral_info(scene))):
        head = [number + 1, name, known.wavelength]
        noise = found.noise[number] if judged[number] and number < len(found.noise) else math.nan
        for item in by_band.get(number, ()):
            facts = [item.orientation, item.slope, item.dead_lines, item.offset_lines, item.largest_offset, item.score]
            rows.append([*head, "striped", *facts, noise])
        if number not in by_band:
            status = "clean" if judged[number] else "not judged"
            rows.append([*head, status, None, None, 0, 0, None, None, noise])
    return Table(tuple(_COLUMNS), rows)


def _summary(numbers: dict[str, float | None]) -> str:
    bands, dead, offset = (int(numbers[name] or 0) for name in ("STRIPED_BANDS", "DEAD_LINES", "OFFSET_LINES"))
    if not bands:
        return "No stripes and no dead lines were found."
    return f"Stripes were found in {bands} bands: {dead} dead lines and {offset} lines with an offset."


def _report(
    job: DetectStripesJob,
    scene: Scene,
    image: NDArray,
    observed: NDArray[np.bool_],
    found: Stripes,
    mask: NDArray[np.uint8],
    table: Table,
    numbers: dict[str, float | None],
    context: Context,
) -> Report:
    status = list(_COLUMNS).index("status")
    striped = [row for row in table.rows if row[status] == "striped"]
    heads = tuple(_COLUMNS.values())
    sections = []
    if striped:
        sections = [
            Section("Pictures", [_pictures(scene, image, observed, found, mask)]),
            Section(
                "Striped bands",
                [
                    _without(Table(heads, striped), "Status"),
                    "Offsets and noise are in the data's units. A score is an offset in deviations of the line "
                    "medians; a slope is how many columns a line moves for each row (lines along rows: rows for each "
                    "column). "
                    "Dead lines are constant, saturated, copied from a neighbour, or at odds with all other bands.",
                ],
            ),
        ]
    return Report(
        title=f"Detect stripes: {os.path.basename(job.input)}",
        summary=_summary(numbers),
        key_numbers=[
            KeyNumber("Striped bands", int(numbers["STRIPED_BANDS"] or 0), f"of {scene.count}"),
            KeyNumber("Dead lines", int(numbers["DEAD_LINES"] or 0), "to be inpainted, over all bands"),
            KeyNumber("Offset lines", int(numbers["OFFSET_LINES"] or 0), "to be corrected, over all bands"),
        ],
        warnings=context.warnings,
        sections=[
            *sections,
            Section("All bands", [_without(Table(heads, table.rows), "Lines along", "Slope", "Largest score")]),
        ],
        settings={"INPUT": job.input},
        data={"numbers": numbers, "bands": [dict(zip(table.columns, row)) for row in table.rows]},
    )


def _without(table: Table, *columns: str) -> Table:
    kept = [place for place, name in enumerate(table.columns) if name not in columns]
    return Table([table.columns[place] for place in kept], [[row[place] for place in kept] for row in table.rows])


def _pictures(
    scene: Scene, image: NDArray, observed: NDArray[np.bool_], found: Stripes, mask: NDArray[np.uint8]
) -> Gallery:
    """The bands with most striped lines, beside their masks."""
    lines: dict[int, int] = {}
    for row in found.table():
        lines[row.band] = lines.get(row.band, 0) + row.dead_lines + row.offset_lines
    # Dead lines through all bands say the same in each, so bands with more of their own come first.
    chosen = sorted(lines, key=lambda band: -lines[band])[:_MOST_PICTURES]
    step = plots.step_for(*scene.grid.shape)
    figures = []
    for band in sorted(chosen):
        small, seen = plots.thumbnail(image[band : band + 1], observed[band : band + 1], step)
        stretch = plots.stretch_of(small, seen)
        name = scene.names[band]
        figures.append(Figure(plots.picture(small, stretch, exterior=~seen[0]), f"{name}."))
        marked = mask[band, ::step, ::step] > 0
        figures.append(Figure(plots.mask_picture(marked, ~seen[0]), f"{name}: dead and offset lines."))
    return Gallery(figures)
