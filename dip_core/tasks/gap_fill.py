"""Gap filling, from a job to its outputs: find the gaps inside the scene, then fill them."""

from __future__ import annotations

from contextlib import ExitStack

from ..events import Result
from ..inpainting import pipeline
from ..inpainting.class_bands import fill_class_bands
from ..inpainting.gap_rules import GapRules, find_gap_mask
from ..inpainting.methods import FILL_METHODS
from ..inpainting.problem import build_problem, measured_part
from ..raster.open_guide import open_guide
from ..raster.open_scene import open_scene
from ..restoration_jobs import GapFillJob
from ..runtime.context import Context


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
        if not gaps.target_pixels:
            context.warn("The scene has no gaps: the output is a copy of the input.")
        facts: dict[str, object] = {"gaps": gaps.origin, "fill_exterior": job.fill_exterior}
        if job.qa:
            facts["quality_band"], facts["quality_classes"] = job.qa, ", ".join(job.qa_classes)
        if guide is not None:
            facts["guide"] = job.guide
            facts["guide_coverage"] = round(guide.coverage, 4)
        return pipeline.run(job, problem, facts, context, classes=classes)
