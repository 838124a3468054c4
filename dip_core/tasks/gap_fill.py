"""Gap filling, from a job to its outputs: find the gaps inside the scene, then fill them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ..events import Result
from ..inpainting import pipeline
from ..inpainting.class_bands import fill_class_bands
from ..inpainting.fill_limits import count_beyond_hull
from ..inpainting.gap_mask import GapMask
from ..inpainting.gap_rules import GapRules, find_gap_mask
from ..inpainting.methods import FILL_METHODS
from ..inpainting.problem import build_problem, measured_part
from ..raster.open_guide import open_guide
from ..raster.open_scene import open_scene
from ..restoration_jobs import GapFillJob
from ..runtime.context import Context

# Share of extrapolated pixels from which it is a warning; gaps that the border cuts always have some.
MIN_EXTRAPOLATED_SHARE = 0.1


def run(job: GapFillJob, context: Context) -> Result:
    """Fill the gaps of a scene; writes the requested outputs and returns the numbers."""
    with ExitStack() as stack:
        context.progress(0.0, "Reading the scene")
        scene = stack.enter_context(open_scene(job.inputs, job.nodata, context))
        gaps = find_gap_mask(scene, GapRules.of(job), context)
        guide = open_guide(job.guide, job.method, FILL_METHODS[job.method].uses_guide, scene, context)
        classes = fill_class_bands(scene, gaps, job.compute.seed, context)
        problem = build_problem(*measured_part(scene, gaps), stack.enter_context(guide) if guide else None)
        context.info(
            f"{scene.count} bands of {scene.grid.width} x {scene.grid.height} pixels; "
            f"{gaps.target_pixels} pixels to fill, {gaps.exterior_pixels} outside the scene; "
            f"gaps are marked by: {gaps.origin}."
        )
        _report_limits(job, gaps, context)
        facts: dict[str, object] = {"gaps": gaps.origin, "fill_exterior": job.fill_exterior}
        if job.max_distance is not None:
            facts["max_distance"] = job.max_distance
        if job.extent_mask:
            facts["extent_mask"] = Path(job.extent_mask).name
        if job.qa:
            facts["quality_band"], facts["quality_classes"] = job.qa, ", ".join(job.qa_classes)
        if guide is not None:
            facts["guide"] = job.guide
            facts["guide_coverage"] = round(guide.coverage, 4)
        return pipeline.run(job, problem, facts, context, classes=classes)


def _report_limits(job: GapFillJob, gaps: GapMask, context: Context) -> None:
    """Report what is not filled, and what is extrapolated."""
    if gaps.distant_pixels:
        context.info(
            f"{gaps.distant_pixels} gap pixels are more than MAX_DISTANCE ({job.max_distance:g} pixels) away from the "
            "observed pixels of their band and are not filled."
        )
    if not gaps.target_pixels:
        where = " inside EXTENT_MASK" if job.extent_mask else ""
        what = "No gap is close enough to be filled" if gaps.distant_pixels else f"The scene has no gaps{where}"
        context.warn(f"{what}: the output is a copy of the input.")
        return
    beyond = count_beyond_hull(gaps.observed_any, gaps.target_any)
    if not beyond:
        return
    text = f"{beyond} of the pixels to fill lie beyond the convex hull of the observed pixels: they are extrapolated."
    if job.fill_exterior or (not job.extent_mask and beyond < MIN_EXTRAPOLATED_SHARE * gaps.target_pixels):
        context.info(text)
    else:
        context.warn(f"{text} MAX_DISTANCE limits how far.")
