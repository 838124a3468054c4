"""Run a `SimulateGapsJob`: cut SLC-off gaps into a scene without gaps, to assess gap filling.

Gap pixels get the scene's nodata value. If there is none, the value is 0 unless an observed pixel is 0; then it is an
unused value of the type; if all values are used, the output has the next larger type. Pixels are taken to be Landsat's
of 30 m: gaps recur every 32 rows.
"""

from __future__ import annotations

import math
from contextlib import ExitStack

import numpy as np

from ..events import Result
from ..inpainting.gap_mask import GapMask
from ..inpainting.gap_rules import find_gap_mask
from ..job import SimulateGapsJob
from ..raster.file_view import Nodata
from ..raster.open_scene import open_scene
from ..raster.provenance import provenance
from ..raster.scene import Scene
from ..raster.writer import RasterWriter
from ..runtime.context import Context
from . import slc_off_geometry as slc

_LARGER_TYPES = {"uint8": "int16", "int8": "int16", "uint16": "int32", "int16": "int32"}


def run(job: SimulateGapsJob, context: Context) -> Result:
    """Write the scene with gaps and the mask; the number PERCENTAGE is the share of observed pixels that were removed.

    Raises UnreadableRaster, NothingObserved, UnwritableOutput and DiskFull.
    """
    with open_scene([job.input], job.nodata, context) as scene:
        context.progress(0.0, "Finding the observed pixels")
        gaps = find_gap_mask(scene, context=context)
        pattern = _pattern(job, scene, gaps)
        if pattern.widening > 0:
            context.warn(
                f"{job.percentage:g} % exceeds the {100 * slc.MAX_GAP_FRACTION:.0f} % of SLC-off gaps at the edge of "
                f"the swath: the gaps are {pattern.widening:.1f} lines higher than real ones."
            )
        percentage = _write(job, scene, gaps, pattern, context)
    context.info(
        f"{percentage:.2f} % of the observed pixels were removed, with the scene between the swath positions "
        f"{pattern.swath_from:.3f} and {pattern.swath_to:.3f}."
    )
    context.progress(1.0, "Done")
    outputs = {name: path for name, path in job.outputs.requested().items() if name in ("OUTPUT", "MASK")}
    return Result(outputs=outputs, numbers={"PERCENTAGE": percentage})


def choose_gap_value(scene: Scene, gaps: GapMask) -> tuple[Nodata, np.dtype]:
    """The value for gap pixels, and the type that holds it and all observed pixels."""
    dtype, nodata = scene.dtype, scene.nodata
    if dtype.kind == "f":
        if nodata is not None:
            return nodata, dtype
        return (math.nan if _used_values(scene, gaps, [0]) else 0.0), dtype
    limits = np.iinfo(dtype)
    if nodata is not None and float(nodata).is_integer() and limits.min <= nodata <= limits.max:
        return nodata, dtype
    # The extremes first: they are common nodata values and the least likely measurements.
    candidates = list(dict.fromkeys([0, limits.max, limits.min]))
    if limits.bits <= 16:
        candidates += [value for value in range(limits.min, limits.max) if value not in (0, limits.min)]
    used = _used_values(scene, gaps, candidates)
    unused = [value for value in candidates if value not in used]
    if unused:
        return int(unused[0]), dtype
    larger = np.dtype(_LARGER_TYPES.get(dtype.name, "float64"))
    return (math.nan if larger.kind == "f" else int(np.iinfo(larger).min)), larger


def _pattern(job: SimulateGapsJob, scene: Scene, gaps: GapMask) -> slc.GapPattern:
    shape = scene.grid.shape
    if job.percentage is None:
        return slc.GapPattern(*shape, scene.count, job.swath_from, job.swath_to, seed=job.seed)
    counted = np.asarray(gaps.observed.any(axis=0))
    return slc.pattern_for_percentage(shape, scene.count, job.percentage, job.seed, counted=counted)


def _write(job: SimulateGapsJob, scene: Scene, gaps: GapMask, pattern: slc.GapPattern, context: Context) -> float:
    """Write the requested outputs block by block; returns the percentage of observed pixels that were removed."""
    before = after = 0
    with ExitStack() as files:
        output = mask = None
        if job.outputs.output:
            value, dtype = choose_gap_value(scene, gaps)
            if dtype != scene.dtype:
                context.warn(
                    f"The scene uses every value of its type {scene.dtype}, so the output has the type {dtype} "
                    f"with nodata value {value:g}."
                )
            tags = _provenance(job, pattern)
            # Without alpha and mask, so that readers take missing pixels from the nodata value alone.
            output = RasterWriter(
                job.outputs.output, scene, dtype=dtype, nodata=value, tags=tags, keep_mask=False, context=context
            )
            files.enter_context(output)
        if job.outputs.mask:
            names = [f"{name}: 0 missing, 1 observed" for name in scene.names]
            mask = RasterWriter(job.outputs.mask, scene, dtype="uint8", nodata=None, descriptions=names, content="mask")
            files.enter_context(mask)
        for window in scene.blocks():
            context.progress(0.2 + 0.75 * window.row_off / scene.grid.height, "Cutting gaps")
            observed = gaps.window(window)[0]
            kept = observed & pattern.observed(int(window.row_off), int(window.row_off + window.height))
            before += int(np.count_nonzero(observed))
            after += int(np.count_nonzero(kept))
            if output:
                pixels = scene.read(window).astype(dtype, copy=False)
                output.write(np.where(kept, pixels, np.asarray(value, dtype)), window)
            if mask:
                mask.write(kept.astype(np.uint8), window)
    return 100.0 * (before - after) / before


def _used_values(scene: Scene, gaps: GapMask, candidates: list[int]) -> set[float]:
    """The candidates that are the value of an observed pixel."""
    found: set[float] = set()
    for window in scene.blocks():
        values = np.unique(scene.read(window)[gaps.window(window)[0]])
        found.update(np.intersect1d(values, np.asarray(candidates, values.dtype)).tolist())
    return found


def _provenance(job: SimulateGapsJob, pattern: slc.GapPattern) -> dict[str, str]:
    return provenance(
        job.task,
        swath_from=round(pattern.swath_from, 6),
        swath_to=round(pattern.swath_to, 6),
        widening=round(pattern.widening, 4),
        percentage=job.percentage,
        seed=job.seed,
    )
