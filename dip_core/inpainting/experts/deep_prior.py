"""The *deep prior*: an untrained network fitted to the observed pixels of this window alone.

The presets of the GAP and DHP papers return the network's image as it is. The lean one adds what the network
left over: the residual at the observed pixels, carried into the gap by the harmonic surface, so that the fill
meets the rim without a step. Where many bands share one mask, it is fitted to their principal images, in proportion to
these images' strength; what they leave over is part of that residual. Source: GAP paper, section 2.2 and appendix A.1;
DHP paper, section 3; the lean network's width, averaging, stopping and subspace are our own.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ...arrays import Cube
from ...dip.image_fit import fit_observed_image
from ...dip.presets import Preset, preset
from ...imaging.noise import MIN_REGRESSION_BANDS
from ...imaging.observation import Observation
from ...imaging.pca import MIN_COMPLETE_PIXELS, fit_principal_components
from ...runtime.progress import SILENT, ProgressReporter
from .. import holdout
from .laplace import fill_harmonic, harmonic

_CHECK_SHARE = 0.05


def deep_prior(
    observation: Observation,
    name: str = "deep_prior",
    *,
    seed: int = 0,
    device: torch.device | None = None,
    network_input: str = "noise",
    iterations: int | None = None,
    progress: ProgressReporter = SILENT,
) -> Cube:
    """Fit a preset's network to the observation; ``(band, row, column)``.

    ``progress`` can stop the fit. When it stops the fit before the first iteration, the result is the harmonic surface.
    """
    chosen = preset("inpaint", name).with_iterations(iterations)
    device = device or torch.device("cpu")
    bands = range(len(observation.values))
    groups = [[band] for band in bands] if chosen.per_band else [list(bands)]
    out = np.zeros(observation.shape, np.float32)
    for place, (numbers, part) in enumerate(zip(groups, progress.split(len(groups)))):
        window = Observation(observation.values[numbers], observation.observed[numbers], observation.target[numbers])
        if not window.observed.any():
            continue
        if not part.update(0.0):  # no time is left, and one iteration alone can take long
            out[numbers] = harmonic(window)
        else:
            out[numbers] = _fit(window, chosen, seed + place, device, network_input, part)
    # Of a band that is not seen here at all, the network says nothing: its mean is the best guess.
    out[~observation.observed.any(axis=(1, 2))] = 0.0
    return _meet_rim(observation, out) if chosen.meet_rim else observation.keep_observed(out)


def _fit(
    window: Observation,
    chosen: Preset,
    seed: int,
    device: torch.device,
    network_input: str,
    progress: ProgressReporter,
) -> NDArray[np.float64] | NDArray[np.float32]:
    """The network's image of all bands, by way of principal images where the preset and the masks allow it."""
    observed = window.observed
    alike = len(observed) >= MIN_REGRESSION_BANDS and bool((observed == observed[:1]).all())
    if not chosen.meet_rim or not alike or np.count_nonzero(observed[0]) < MIN_COMPLETE_PIXELS:
        return _fit_group(window, chosen, seed, device, network_input, progress)
    found = fit_principal_components([(window.values, observed)])
    images = found.project(np.where(observed, window.values, found.mean[:, None, None]))
    target = window.target.any(axis=0)
    few = Observation(images, *(np.broadcast_to(mask, images.shape).copy() for mask in (observed[0], target)))
    return found.reconstruct(_fit_group(few, chosen, seed, device, network_input, progress)) + found.mean[:, None, None]


def _fit_group(
    observation: Observation,
    chosen: Preset,
    seed: int,
    device: torch.device,
    network_input: str,
    progress: ProgressReporter,
) -> NDArray[np.float32]:
    check = None
    if chosen.schedule.patience:
        rng = np.random.default_rng(seed)
        check = holdout.draw(observation.observed, observation.target, rng, _CHECK_SHARE)
    return fit_observed_image(
        chosen,
        observation.values,
        observation.observed,
        check=check,
        network_input=network_input,
        seed=seed,
        device=device,
        progress=progress,
    )


def _meet_rim(observation: Observation, image: NDArray) -> Cube:
    out = image.astype(np.float64)
    for numbers, observed, target in observation.bands_by_mask():
        residual = np.where(observed, observation.values[numbers] - image[numbers], 0.0)
        out[numbers] += fill_harmonic(residual, observed, target)
    return observation.keep_observed(out)
