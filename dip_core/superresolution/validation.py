"""Validation of super-resolution at the coarser scale.

The input is downsampled with the same point spread function, enlarged again, and compared with the input itself. This
gives the weights of the experts, their scores, and the error model.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..arrays import Cube
from ..imaging.psf import enlarge_bicubic
from ..imaging.resampling import fill_nearest
from ..imaging.simplex_weights import stacking_weights
from ..raster.band_selection import SelectedScene
from ..raster.guide import Guide
from ..raster.upsampled_scene import upsampled_window
from ..runtime.context import Context
from .enlarge import enlarge_window, weighted_mean
from .error_model import RoughnessErrorModel, fit_roughness_error_model
from .guide_fusion import downsample_guide
from .options import EnlargeOptions
from .plan import EnlargementPlan
from .registry import BASELINE, COMBINED, ENLARGEMENT_EXPERTS, default_weights
from .scale_comparison import ScaleComparison, compare_scales
from .scale_statistics import fit_scale_statistics
from .scores import ScaleValidation


def validate(
    selected: SelectedScene,
    plan: EnlargementPlan,
    options: EnlargeOptions,
    seed: int,
    context: Context,
    guide: Guide | None = None,
) -> ScaleValidation:
    """Run the plan's experts on downsampled windows, find their weights, and score the weighted mean.

    Networks stop when the plan's share of the remaining time is used. ``guide``: on the fine grid, if an expert uses
    it; weights are then found where it has data.
    """
    psf = options.psf
    comparison = compare_scales([selected.read(window) for window in plan.validation_windows], psf)
    guides = []
    if guide:
        guides = [
            downsample_guide(guide.read(upsampled_window(window, psf.factor)), psf)
            for window in plan.validation_windows
        ]
    estimates = _estimate(comparison, plan, options, seed, context, guides)
    if not comparison.any_compared:
        bands = len(selected.bands)
        unknown = RoughnessErrorModel(np.zeros((bands, 1)), np.full((bands, 1), np.nan))
        return ScaleValidation(default_weights(plan.names), unknown)
    return _score(comparison, plan.names, estimates, guides, psf.factor)


def _estimate(
    comparison: ScaleComparison,
    plan: EnlargementPlan,
    options: EnlargeOptions,
    seed: int,
    context: Context,
    guides: list[Cube],
) -> list[list[Cube]]:
    """The estimates of all experts, for each window."""

    def warn_skipped_fit() -> None:
        context.warn(
            "TIME_BUDGET was used up before the network could be validated: the reported errors are those of "
            "consistent bicubic interpolation."
        )

    reserve = 0.0 if math.isinf(context.seconds_left) else (1 - plan.validation_share) * context.seconds_left
    options = replace(options, on_skipped_fit=warn_skipped_fit)
    copies = comparison.copies
    if copies and plan.needs_statistics:
        # Statistics of the original image would contain the truth, so they are fitted to the copies.
        options = replace(options, statistics=fit_scale_statistics(copies, options.psf, guides=guides))
    estimates = []
    for index, (values, observed) in enumerate(copies):
        step = f"Validating on the downsampled image ({index + 1} of {len(copies)})"
        progress = context.reporter(step, keep_seconds=reserve).split(len(copies))[index]
        guide = guides[index] if guides else None
        estimates.append(enlarge_window(plan.names, values, observed, options, seed + index, progress, guide))
    return estimates


def _score(
    comparison: ScaleComparison,
    names: tuple[str, ...],
    estimates: list[list[Cube]],
    guides: list[Cube],
    factor: int,
) -> ScaleValidation:
    deviations = comparison.band_deviations()
    # Experts with a higher order get a weight only if they lower the error by 1 %; lower orders are tried first.
    orders = [ENLARGEMENT_EXPERTS[name].gain_order for name in names]
    costly = sorted((index for index, order in enumerate(orders) if order), key=lambda index: orders[index])
    weighted = comparison
    if guides:
        weighted = comparison.restricted_to([np.asarray(np.isfinite(guide).all(axis=0)) for guide in guides])
    weights = dict(zip(names, stacking_weights(weighted.error_products(estimates, deviations), costly)))
    combined = [weighted_mean(images, list(weights.values())) for images in estimates]
    baselines = [enlarge_bicubic(fill_nearest(values, observed), factor) for values, observed in comparison.copies]
    error_model = fit_roughness_error_model(comparison.truths, comparison.compared, combined, factor)
    scores = {
        name: comparison.scaled_rmse([images[index] for images in estimates], deviations)
        for index, name in enumerate(names)
    }
    if len(names) > 1:
        scores[COMBINED] = comparison.scaled_rmse(combined, deviations)
    scores[BASELINE] = comparison.scaled_rmse(baselines, deviations)
    bands = tuple(
        comparison.band_score(band, combined, baselines, error_model, factor) for band in range(len(deviations))
    )
    return ScaleValidation(weights, error_model, bands, scores, comparison.rmse(combined), comparison.rmse(baselines))
