"""Stripe inpainting, from a job to its outputs: find the stripes, correct the additive, inpaint the dead.

Pixels outside the stripes are copied as they are stored. A stripe mask, where one is given, names the
stripes; else they are detected (`stripes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..errors import BandCountMismatch, GridMismatch, NothingObserved
from ..events import Result
from ..inpainting import pipeline
from ..inpainting.footprint import footprint
from ..inpainting.gap_mask import GapMask
from ..inpainting.methods import FILL_METHODS
from ..inpainting.problem import Correction, build_problem
from ..job import InpaintStripesJob
from ..raster import metadata
from ..raster.grid import grid_of
from ..raster.scene import Scene
from ..raster.source import open_raster
from ..reporting.page import Section, Table
from ..runtime.context import Context
from ..stripes.detection import BYTES_PER_VALUE, MASK_BYTES_PER_VALUE, Stripes, check_memory, find_stripes

DEAD, OFFSET = 1, 2  # what a stripe mask says of a pixel; other values than 0 count as dead


@dataclass(frozen=True)
class Found:
    """The stripes of a scene: pixels to inpaint, pixels to correct (both ``(band, row, column)``), all lines."""

    dead: Mask
    corrected: Mask
    stripes: Stripes
    origin: str


def run(job: InpaintStripesJob, context: Context) -> Result:
    """Repair the stripes of a scene; writes the outputs that the job wants and returns the numbers."""
    with Scene(job.inputs) as scene:
        context.progress(0.0, "Reading the scene")
        check_memory(scene.shape, MASK_BYTES_PER_VALUE if job.mask else BYTES_PER_VALUE)
        valid = np.concatenate([scene.valid(window) for window in scene.blocks()], axis=1)
        if not valid.any():
            raise NothingObserved(path=job.input, reason="every pixel is nodata")
        found = find(job, scene, valid, context)
        target = found.dead & _usable(scene, valid)[:, None, None]
        gaps = GapMask(valid & ~target, target, scene.count, found.origin, int(np.count_nonzero(~valid.any(axis=0))))
        correction = _correction(found) if found.corrected.any() else None
        problem = build_problem(
            scene, gaps, correction=correction, common_scale=FILL_METHODS[job.method].common_scale
        )
        dead_bands = int(np.count_nonzero(target.any(axis=(1, 2))))
        corrected_bands = int(np.count_nonzero(found.corrected.any(axis=(1, 2))))
        context.info(
            f"Stripes in {len(set(found.stripes.bands))} bands ({found.origin}): pixels to inpaint in {dead_bands}, "
            f"offsets to correct in {corrected_bands}."
        )
        if not target.any() and correction is None:
            context.warn("No stripes were found: the output is a copy of the input.")
        facts = {"stripes": found.origin, "correct_offsets": job.correct_offsets}
        return pipeline.run(job, problem, facts, context, [_section(scene, found.stripes)])


def find(job: InpaintStripesJob, scene: Scene, valid: Mask, context: Context) -> Found:
    """The stripes that the job's mask names, or those that are detected.

    Raises GridMismatch, BandCountMismatch, UnreadableRaster, OutOfMemory.
    """
    marked = _read_mask(job, scene) if job.mask else None
    stripes = Stripes(scene.shape)
    if marked is None or (job.correct_offsets and (marked == OFFSET).any()):
        check_memory(scene.shape)
        progress = context.reporter("Looking for stripes").part(0.02, 0.1)
        stripes = find_stripes(scene.read(), valid, _usable(scene, valid).tolist(), progress)
    # No one number can be subtracted from a tilted line, whose pixels hold various shares of the offset.
    tilted = stripes.tilted_map()
    corrected = (stripes.offset_map() != 0) & ~tilted & valid
    if marked is None:
        dead = (stripes.dead | tilted) & valid
        origin = "detected"
    else:
        corrected &= marked == OFFSET
        # Nodata within the scene may be a dead line that the producer has masked, but carries no offset.
        inside = footprint(np.any(valid, axis=0))
        dead = (marked != 0) & ~corrected & (valid | (inside & (marked != OFFSET)))
        origin = "stripe mask"
    if not job.correct_offsets:
        dead, corrected = dead | corrected, np.zeros_like(corrected)
    return Found(dead, corrected & ~dead, stripes, origin)


def _read_mask(job: InpaintStripesJob, scene: Scene) -> NDArray:
    path = job.mask or ""
    with open_raster(path) as source:
        difference = scene.grid.difference(grid_of(source))
        if difference:
            raise GridMismatch(path=path, reference=job.input, reason=difference)
        if source.count not in (1, scene.count):
            raise BandCountMismatch(found=source.count, wanted=scene.count)
        return np.broadcast_to(source.read(), scene.shape)


def _usable(scene: Scene, valid: Mask) -> Mask:
    """The bands that take part, ``(band,)``: bad ones (bbl 0) and empty ones pass through unchanged."""
    good = np.array([item.good is not False for item in metadata.read_spectral_info(scene)])
    return good & np.any(valid, axis=(1, 2))


def _correction(found: Found) -> Correction:
    def subtract(window: Window | None) -> NDArray[np.float32]:
        rows, columns = (slice(None), slice(None)) if window is None else window.toslices()
        offset = found.stripes.offset_map(rows, columns)
        return np.where(found.corrected[:, rows, columns], offset, np.float32(0))

    noise = np.asarray(found.stripes.noise, np.float64)
    # The standard error of a median of n values is 1.25 times that of their mean.
    length = min(found.dead.shape[1:])
    return Correction(subtract, 1.2533 * noise / np.sqrt(length))


def _section(scene: Scene, stripes: Stripes) -> Section:
    columns = ("Band", "Name", "Direction", "Dead lines", "Offset lines", "Largest offset", "Score")
    rows = [
        (
            row.band + 1,
            scene.names[row.band],
            row.orientation,
            row.dead_lines,
            row.offset_lines,
            row.largest_offset,
            row.score,
        )
        for row in stripes.table()
    ]
    if not rows:
        return Section("Stripes", ["No stripes were detected; the mask alone says what was repaired."])
    return Section("Stripes", [Table(columns, rows, "Striped lines by band; offsets in the data's units.")])
