"""The deep image prior: an untrained network fitted to the observed pixels of this window alone.

The presets of the GAP and DHP papers return the network's image unchanged. The preset ``deep_prior`` adds the residual
at the observed pixels, interpolated into the gap by the harmonic surface, so that the fill is continuous at the gap
edge. If many bands share one mask, it fits the network to their principal components.

Source: GAP paper, section 2.2 and appendix A.1; DHP paper, section 3. Width, averaging, stopping and the components of
the preset ``deep_prior`` are our own.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from ...arrays import Cube
from ...dip.image_fit import fit_observed_image
from ...dip.presets import Preset, preset
from ...imaging.noise import MIN_REGRESSION_BANDS
from ...imaging.observation import Observation
from ...imaging.pca import MIN_COMPLETE_PIXELS, fit_principal_components
from ...runtime.progress import ProgressReporter
from .. import holdout
from .interface import DEFAULT_CONTEXT, ExpertContext
from .laplace import fill_harmonic, harmonic

_CHECK_SHARE = 0.05  # of the observed pixels, which decide when to stop


def deep_prior(
    observation: Observation, context: ExpertContext = DEFAULT_CONTEXT, *, preset_name: str = "deep_prior"
) -> Cube:
    """Fit a preset's network to the observation; ``(band, row, column)``.

    When ``context.progress`` stops the fit before the first iteration, the result is the harmonic surface.
    """
    chosen = preset("inpaint", preset_name).with_iterations(context.iterations)
    bands = range(len(observation.values))
    groups = [[band] for band in bands] if chosen.per_band else [list(bands)]
    out = np.zeros(observation.shape, np.float32)
    for number, (group, progress) in enumerate(zip(groups, context.progress.split(len(groups)))):
        window = Observation(observation.values[group], observation.observed[group], observation.target[group])
        if not window.observed.any():
            continue
        if not progress.update(0.0):  # no time is left, and a single iteration can take long
            out[group] = harmonic(window)
        else:
            out[group] = _fit(window, chosen, context, context.seed + number, progress)
    # The network gives nothing for a band without observed pixels here: its mean, 0, is the best estimate.
    out[~observation.observed.any(axis=(1, 2))] = 0.0
    return _add_residual(observation, out) if chosen.add_residual else observation.keep_observed(out)


paper_composite = partial(deep_prior, preset_name="paper_composite")
paper_per_band = partial(deep_prior, preset_name="paper_per_band")
paper_2d = partial(deep_prior, preset_name="paper_2d")
paper_3d = partial(deep_prior, preset_name="paper_3d")


def _fit(
    window: Observation, chosen: Preset, context: ExpertContext, seed: int, progress: ProgressReporter
) -> NDArray[np.float64] | NDArray[np.float32]:
    """The network's image of all bands, fitted to principal components where the preset and the masks allow it."""
    observed = window.observed
    one_mask = len(observed) >= MIN_REGRESSION_BANDS and bool((observed == observed[:1]).all())
    if not chosen.add_residual or not one_mask or np.count_nonzero(observed[0]) < MIN_COMPLETE_PIXELS:
        return _fit_images(window, chosen, context, seed, progress)
    components = fit_principal_components([(window.values, observed)])
    mean = components.mean[:, None, None]
    images = components.project(np.where(observed, window.values, mean))
    masks = (np.broadcast_to(mask, images.shape).copy() for mask in (observed[0], window.target.any(axis=0)))
    fitted = _fit_images(Observation(images, *masks), chosen, context, seed, progress)
    return components.reconstruct(fitted) + mean


def _fit_images(
    observation: Observation, chosen: Preset, context: ExpertContext, seed: int, progress: ProgressReporter
) -> NDArray[np.float32]:
    check = None
    if chosen.schedule.patience:
        rng = np.random.default_rng(seed)
        check = holdout.draw_hidden_pixels(observation.observed, observation.target, rng, _CHECK_SHARE)
    return fit_observed_image(
        chosen,
        observation.values,
        observation.observed,
        check=check,
        network_input=context.network_input,
        seed=seed,
        device=context.device or torch.device("cpu"),
        progress=progress,
    )


def _add_residual(observation: Observation, image: NDArray) -> Cube:
    """The image plus the harmonic surface through its residual at the observed pixels."""
    out = image.astype(np.float64)
    for bands, observed, target in observation.bands_by_mask():
        residual = np.where(observed, observation.values[bands] - image[bands], 0.0)
        out[bands] += fill_harmonic(residual, observed, target)
    return observation.keep_observed(out)
