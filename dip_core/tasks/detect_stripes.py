"""Run a `DetectStripesJob`: find the stripes and dead lines of a scene, and write and report them as a mask.

The mask has one band per band of the scene: 0 clean, 1 dead, 2 offset. It marks exactly the pixels that stripe
inpainting would change, which include the pixels beside a tilted line but no missing ones. Bands without an observed
pixel, of classes, and those that the bad-band list names are not examined: their mask is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..errors import NothingObserved
from ..events import Result
from ..job import DetectStripesJob
from ..raster import metadata
from ..raster.magnitude import require_computable
from ..raster.open_scene import open_scene
from ..raster.provenance import provenance
from ..raster.scene import Scene
from ..raster.writer import RasterWriter
from ..reporting.writing import write_requested
from ..runtime.context import Context
from ..stripes.band_residual import MIN_BANDS
from ..stripes.detection import check_memory, find_stripes
from ..stripes.found_stripes import DEAD, OFFSET, Stripes
from ..stripes.notes import stripe_notes
from ..stripes.report import stripe_report, stripe_summary, stripe_table
from .stripe_pixels import stripe_pixels


def run(job: DetectStripesJob, context: Context) -> Result:
    """Write the requested outputs; the numbers are STRIPED_BANDS, DEAD_LINES and OFFSET_LINES, over all bands.

    Raises UnreadableRaster, NothingObserved, OutOfMemory, UnwritableOutput and DiskFull.
    """
    with open_scene([job.input], job.nodata, context) as scene:
        context.progress(0.0, "Reading the scene")
        check_memory(scene.shape)
        observed = stripe_pixels(scene)
        if not observed.any():
            raise NothingObserved(path=job.input, reason="every pixel is missing")
        usable = [
            not info.is_bad and band not in scene.categorical
            for band, info in enumerate(metadata.read_spectral_info(scene))
        ]
        examined = [good and bool(observed[band].any()) for band, good in enumerate(usable)]
        if not all(examined):
            context.info(f"{examined.count(False)} bands are flagged bad, empty or of classes and are not examined.")
        if sum(examined) < MIN_BANDS:
            context.warn(
                f"With fewer than {MIN_BANDS} bands, the other bands cannot help to separate stripes from the scene: "
                "only clear stripes are found, and no tilted ones."
            )
        context.progress(0.05, "Looking for stripes")
        image = scene.read()
        for band in np.flatnonzero(examined):
            values = image[band][observed[band]]
            require_computable(job.input, [int(band)], values.min(keepdims=True), values.max(keepdims=True))
        stripes = find_stripes(image, observed, examined, context.reporter("Looking for stripes").part(0.05, 0.8))
        table = stripe_table(scene, stripes, examined)
        numbers: dict[str, float | None] = {
            "STRIPED_BANDS": float(len({*stripes.bands, *(item.band for item in stripes.dense)})),
            "DEAD_LINES": float(sum(row.dead_lines for row in stripes.table())),
            "OFFSET_LINES": float(sum(row.offset_lines for row in stripes.table())),
        }
        for text in stripe_notes(stripes):
            context.warn(text)
        context.info(stripe_summary(numbers, stripes))
        context.progress(0.88, "Writing")
        mask = mask_of(stripes, observed)
        if job.outputs.output:
            _write_mask(job, scene, stripes, mask)
        write_requested(
            job.outputs,
            table.for_csv,
            lambda: stripe_report(job, scene, image, observed, stripes, mask, table, numbers, context.warnings),
        )
    context.progress(1.0, "Done")
    written = {name: path for name, path in job.outputs.requested().items() if name in ("OUTPUT", "METRICS", "REPORT")}
    return Result(outputs=written, numbers=numbers)


def mask_of(stripes: Stripes, observed: Mask) -> NDArray[np.uint8]:
    """The mask, ``(band, row, column)``: 0 clean or missing, 1 dead, 2 offset or beside a tilted line."""
    offset = (stripes.offset_map() != 0) | stripes.tilted_map()
    mask = np.where(stripes.dead, np.uint8(DEAD), np.where(offset, np.uint8(OFFSET), np.uint8(0)))
    return np.where(observed, mask, np.uint8(0))


def _write_mask(job: DetectStripesJob, scene: Scene, stripes: Stripes, mask: NDArray[np.uint8]) -> None:
    writer = RasterWriter(
        job.outputs.output or "",
        scene,
        dtype="uint8",
        nodata=None,
        descriptions=[f"{name}: 0 clean, 1 dead, 2 offset" for name in scene.names],
        tags=provenance(job.task, striped_bands=[band + 1 for band in stripes.bands]),
        content="mask",
    )
    with writer:
        for window in scene.blocks():
            writer.write(mask[:, window.toslices()[0]], window)
