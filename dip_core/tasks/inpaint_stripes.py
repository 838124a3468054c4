"""Run an `InpaintStripesJob`: find the stripes of a scene, subtract the offsets and inpaint the dead lines.

A stripe mask, if given, marks the stripes; otherwise they are detected (`stripes`). Pixels outside the stripes are
copied unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..errors import NothingObserved
from ..events import Result
from ..inpainting import pipeline
from ..inpainting.class_bands import fill_class_bands
from ..inpainting.footprint import footprint
from ..inpainting.gap_mask import GapMask
from ..inpainting.methods import FILL_METHODS
from ..inpainting.problem import Correction, build_problem, measured_part
from ..inpainting.stripe_mask import read_stripe_mask, require_unmarked_pixels
from ..raster import metadata
from ..raster.open_scene import open_scene
from ..raster.scene import Scene
from ..reporting.page import Section, Table
from ..restoration_jobs import InpaintStripesJob
from ..runtime.context import Context
from ..stripes.detection import BYTES_PER_VALUE, MASK_BYTES_PER_VALUE, check_memory, find_stripes
from ..stripes.found_stripes import OFFSET, Stripes
from ..stripes.notes import stripe_notes
from .stripe_pixels import stripe_pixels

_MEDIAN_ERROR = 1.2533  # standard error of a median, relative to that of a mean


@dataclass(frozen=True)
class StripeMasks:
    """Pixels to inpaint (``dead``) and to correct, ``(band, row, column)``; the detected stripes; who marked them."""

    dead: Mask
    corrected: Mask
    stripes: Stripes
    origin: str


def run(job: InpaintStripesJob, context: Context) -> Result:
    """Write the requested outputs; the numbers are those of `pipeline.run`.

    Raises UnreadableRaster, GridMismatch, BandCountMismatch, NothingObserved, InvalidJob, OutOfMemory, and the errors
    of the pipeline.
    """
    with open_scene(job.inputs, job.nodata, context) as scene:
        context.progress(0.0, "Reading the scene")
        check_memory(scene.shape, MASK_BYTES_PER_VALUE if job.mask else BYTES_PER_VALUE)
        valid = stripe_pixels(scene)
        if not valid.any():
            raise NothingObserved(path=job.input, reason="every pixel is nodata")
        masks = find_masks(job, scene, valid, context)
        target = masks.dead & _usable_bands(scene, valid)[:, None, None]
        if job.mask:
            require_unmarked_pixels(job.mask, scene, valid, target)
        gaps = GapMask(valid & ~target, target, scene.count, masks.origin, int(np.count_nonzero(~valid.any(axis=0))))
        classes = fill_class_bands(scene, gaps, job.compute.seed, context)  # without targets: copies the bands
        correction = None
        if masks.corrected.any():
            correction = _correction(masks, range(scene.count) if classes is None else classes.measured)
        problem = build_problem(
            *measured_part(scene, gaps), correction=correction, common_scale=FILL_METHODS[job.method].common_scale
        )
        dead_bands = int(np.count_nonzero(target.any(axis=(1, 2))))
        corrected_bands = int(np.count_nonzero(masks.corrected.any(axis=(1, 2))))
        context.info(
            f"Stripes are marked by: {masks.origin}. Bands with pixels to inpaint: {dead_bands}; "
            f"bands with offsets to correct: {corrected_bands}."
        )
        for text in stripe_notes(masks.stripes):
            context.warn(text)
        if not target.any() and correction is None:
            reason = "No stripes were found"
            if job.mask:
                reason = "The stripe mask marks no pixel inside the scene"
            elif masks.stripes.dense:
                reason = "No single stripes were found"
            context.warn(f"{reason}: the output is a copy of the input.")
        facts = {"stripes": masks.origin, "correct_offsets": job.correct_offsets}
        return pipeline.run(job, problem, facts, context, [_section(scene, masks.stripes)], classes)


def find_masks(job: InpaintStripesJob, scene: Scene, valid: Mask, context: Context) -> StripeMasks:
    """Read the job's stripe mask, or detect the stripes; ``valid``: of the scene, ``(band, row, column)``.

    Raises GridMismatch, BandCountMismatch, UnreadableRaster and OutOfMemory.
    """
    marked = read_stripe_mask(job.mask, scene, valid, context) if job.mask else None
    stripes = Stripes(scene.shape)
    if marked is None or (job.correct_offsets and (marked == OFFSET).any()):
        if marked is not None:  # the memory of the masks was checked, not that of the detection
            check_memory(scene.shape, BYTES_PER_VALUE - MASK_BYTES_PER_VALUE)
        progress = context.reporter("Looking for stripes").part(0.02, 0.1)
        stripes = find_stripes(scene.read(), valid, _usable_bands(scene, valid).tolist(), progress)
    # The pixels of a tilted line hold various fractions of its offset, so they are inpainted.
    tilted = stripes.tilted_map()
    corrected = (stripes.offset_map() != 0) & ~tilted & valid
    if marked is None:
        dead = (stripes.dead | tilted) & valid
        origin = "detected"
    else:
        corrected &= marked == OFFSET
        # Missing pixels inside the scene may be a dead line that the producer has masked; they have no offset.
        inside = footprint(np.any(valid, axis=0))
        dead = (marked != 0) & ~corrected & (valid | (inside & (marked != OFFSET)))
        origin = "stripe mask"
    if not job.correct_offsets:
        dead, corrected = dead | corrected, np.zeros_like(corrected)
    return StripeMasks(dead, corrected & ~dead, stripes, origin)


def _usable_bands(scene: Scene, valid: Mask) -> Mask:
    """True for bands ``(band,)`` that are not flagged bad (bbl 0), empty or of classes, which are copied unchanged."""
    bad = np.array([info.is_bad for info in metadata.read_spectral_info(scene)])
    bad[list(scene.categorical)] = True
    return ~bad & np.any(valid, axis=(1, 2))


def _correction(masks: StripeMasks, bands: Sequence[int]) -> Correction:
    """The correction of some bands of the scene."""
    numbers = list(bands)

    def offsets(window: Window | None) -> NDArray[np.float32]:
        rows, columns = (slice(None), slice(None)) if window is None else window.toslices()
        offset = masks.stripes.offset_map(rows, columns)
        return np.where(masks.corrected[:, rows, columns], offset, np.float32(0))[numbers]

    noise = np.asarray(masks.stripes.noise, np.float64)[numbers]
    length = min(masks.dead.shape[1:])
    return Correction(offsets, _MEDIAN_ERROR * noise / np.sqrt(length))


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
    notes = stripe_notes(stripes)
    if not rows:
        return Section("Stripes", notes or ["No stripes were detected; the repaired pixels are those of the mask."])
    return Section("Stripes", [Table(columns, rows, "Striped lines per band; offsets in the data's units."), *notes])
