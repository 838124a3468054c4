"""Run a `SimulateGapsJob`: cut SLC-off gaps into a scene that has none, so that a filling can be judged.

Gap pixels get the scene's nodata value. A scene without one gets 0 as nodata if no observed pixel is 0,
else a value of its type that no observed pixel has, else the next larger type: no pixel that stays
observed may look missing. Pixels are taken to be Landsat's of 30 m: a gap returns every 32 rows.
"""

from __future__ import annotations

import math
from contextlib import ExitStack

import numpy as np

from ..events import Result
from ..inpainting.gap_mask import Gaps, find_gaps
from ..job import SimulateGapsJob
from ..raster.provenance import provenance
from ..raster.scene import Scene
from ..raster.writer import RasterWriter
from ..runtime.context import Context
from . import slc_off_geometry as slc

_LARGER = {"uint8": "int16", "int8": "int16", "uint16": "int32", "int16": "int32"}


def run(job: SimulateGapsJob, context: Context) -> Result:
    """Write the scene with gaps and the mask; the number PERCENTAGE is the share of observed pixels cut out.

    Raises the errors of `scene`, `gaps` and `writer`.
    """
    with Scene([job.input]) as scene:
        context.progress(0.0, "Finding the observed pixels")
        gaps = find_gaps(scene, context=context)
        pattern = _pattern(job, scene, gaps)
        if pattern.widening > 0:
            context.warn(
                f"{job.percentage:g} % is more than the {100 * slc.MAX_GAP_FRACTION:.0f} % that SLC-off takes at the edge "
                f"of the swath: the gaps are {pattern.widening:.1f} lines higher than real ones."
            )
        percentage = _write(job, scene, gaps, pattern, context)
    context.info(
        f"{percentage:.2f} % of the observed pixels were cut out; the scene lies between the swath positions "
        f"{pattern.swath_from:.3f} and {pattern.swath_to:.3f}."
    )
    context.progress(1.0, "Done")
    outputs = {name: path for name, path in job.outputs.requested().items() if name in ("OUTPUT", "MASK")}
    return Result(outputs=outputs, numbers={"PERCENTAGE": percentage})


def marker(scene: Scene, gaps: Gaps) -> tuple[float, np.dtype]:
    """The value that marks gaps, and the type that holds it and every observed pixel."""
    dtype, nodata = scene.dtype, scene.nodata
    if dtype.kind == "f":
        if nodata is not None:
            return nodata, dtype
        return (math.nan if _used(scene, gaps, [0])[0] else 0.0), dtype
    limits = np.iinfo(dtype)
    if nodata is not None and float(nodata).is_integer() and limits.min <= nodata <= limits.max:
        return nodata, dtype
    # Extremes first: they are the customary markers, and the least likely to be a measurement.
    candidates = list(dict.fromkeys([0, limits.max, limits.min]))
    if limits.bits <= 16:
        candidates += [value for value in range(limits.min, limits.max) if value not in (0, limits.min)]
    used = _used(scene, gaps, candidates)
    free = [value for value, taken in zip(candidates, used) if not taken]
    if free:
        return float(free[0]), dtype
    larger = np.dtype(_LARGER.get(dtype.name, "float64"))
    return (math.nan if larger.kind == "f" else float(np.iinfo(larger).min)), larger


def _pattern(job: SimulateGapsJob, scene: Scene, gaps: Gaps) -> slc.GapPattern:
    shape = scene.grid.shape
    if job.percentage is None:
        return slc.GapPattern(*shape, scene.count, job.swath_from, job.swath_to, seed=job.seed)
    counted = np.asarray(gaps.observed.any(axis=0))
    return slc.pattern_for_percentage(shape, scene.count, job.percentage, job.seed, counted=counted)


def _write(job: SimulateGapsJob, scene: Scene, gaps: Gaps, pattern: slc.GapPattern, context: Context) -> float:
    """Write what is wanted, block by block; the percentage of observed pixels that were cut out."""
    before = after = 0
    with ExitStack() as files:
        output = mask = None
        if job.outputs.output:
            value, dtype = marker(scene, gaps)
            if dtype != scene.dtype:
                context.warn(
                    f"The scene uses every value of its type {scene.dtype}, so the scene with gaps is {dtype} "
                    f"with nodata {value:g}."
                )
            tags = _provenance(job, pattern)
            # Alpha and mask would hide the gaps from readers: here nodata alone tells what is missing.
            output = RasterWriter(job.outputs.output, scene, dtype=dtype, nodata=value, tags=tags, keep_mask=False)
            files.enter_context(output)
        if job.outputs.mask:
            names = [f"{name}: 0 missing, 1 observed" for name in scene.names]
            mask = RasterWriter(job.outputs.mask, scene, dtype="uint8", nodata=None, descriptions=names, content="mask")
            files.enter_context(mask)
        for window in scene.blocks():
            context.progress(0.2 + 0.75 * window.row_off / scene.grid.height, "Cutting gaps")
            seen = gaps.window(window)[0]
            kept = seen & pattern.observed(int(window.row_off), int(window.row_off + window.height))
            before += int(np.count_nonzero(seen))
            after += int(np.count_nonzero(kept))
            if output:
                pixels = scene.read(window).astype(dtype, copy=False)
                output.write(np.where(kept, pixels, np.asarray(value, dtype)), window)
            if mask:
                mask.write(kept.astype(np.uint8), window)
    return 100.0 * (before - after) / before


def _used(scene: Scene, gaps: Gaps, candidates: list[int]) -> list[bool]:
    """Whether an observed pixel has each of the candidate values."""
    found: set[float] = set()
    for window in scene.blocks():
        values = np.unique(scene.read(window)[gaps.window(window)[0]])
        found.update(np.intersect1d(values, np.asarray(candidates, values.dtype)).tolist())
    return [value in found for value in candidates]


def _provenance(job: SimulateGapsJob, pattern: slc.GapPattern) -> dict[str, str]:
    return provenance(
        job.task,
        swath_from=round(pattern.swath_from, 6),
        swath_to=round(pattern.swath_to, 6),
        widening=round(pattern.widening, 4),
        percentage=job.percentage,
        seed=job.seed,
    )
