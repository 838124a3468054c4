"""Model of a noisy scene: fitted once to a sample of it, then applied to any window.

The model holds the noise levels and the spectral subspace, the clipping limits, the weights of the denoisers, and the
error model. `denoise` fits and applies it to one array.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.noise import MIN_REGRESSION_BANDS, noise_levels
from ..imaging.subspace import Subspace, find_subspace
from ..runtime.devices import resolve_device
from ..runtime.progress import SILENT, STOP, ProgressReporter
from ..runtime.threads import set_torch_threads
from .clipped_data import clipped_subspace, complete_clipped
from .clipping import Limits, find_limits, no_limits
from .combination import combine_estimates, run_denoisers, scale_leverage
from .error_model import DenoisingErrorModel, default_error_model
from .held_out import Crop, HeldOutData, draw_hidden_samples, hold_out, most_observed_crop
from .nl_ridge import nl_ridge
from .options import DenoiseOptions
from .outliers import find_outliers, replace_outliers
from .rare_signal import keep_rare_signal
from .registry import DENOISERS, DENOISING_METHODS
from .signal_covariance import add_weak_directions
from .validation import DenoisingScore, optimal_gains, pairwise_weights, score_estimate

_CLIPPED_SIDE = 128  # pixels: side of the window from which the noise level of clipped data is estimated
_COVARIANCE_SIDE = 192  # pixels: side of the window of the signal covariance
_MIN_PIXELS_PER_BAND = 4  # of the signal covariance
_MIN_GAIN = 0.2  # of an eigen-image that is kept


@dataclass(frozen=True)
class DenoisingModel:
    """What is known about a scene.

    ``gains``: factors of the eigen-images of the combined estimate ``(rank,)``. ``weights``: of the denoisers, sum 1.
    ``score``: of the validation; None if too few values were observed to hold any out.
    """

    options: DenoiseOptions
    subspace: Subspace
    gains: NDArray[np.float64]
    limits: Limits
    weights: dict[str, float]
    error_model: DenoisingErrorModel
    score: DenoisingScore | None

    @property
    def clipped_bands(self) -> int:
        """Number of bands with a clipping limit."""
        return int(np.count_nonzero(np.isfinite(self.limits.low) | np.isfinite(self.limits.high)))


def denoise(values: NDArray, observed: Mask, options: DenoiseOptions) -> tuple[Cube, Cube, DenoisingModel]:
    """Denoise ``values`` ``(band, row, column)``; returns estimate, one standard deviation of its error, and the model.

    ``observed``: pixels with data; estimates elsewhere are meaningless. Values and results are in the data's units.
    Raises ValueError if no pixel is observed in all bands.
    """
    model = fit_model(values, observed, options)
    estimate, deviation = denoise_window(model, values, observed)
    return estimate, deviation, model


def denoise_window(
    model: DenoisingModel,
    values: NDArray,
    observed: Mask,
    seed: int | None = None,
    progress: ProgressReporter = SILENT,
) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation of its error, in the data's units, ``(band, row, column)``.

    ``seed`` None: that of the model's options.
    """
    options, subspace = model.options, model.subspace
    set_torch_threads(options.threads)
    if not observed.any():
        zeros = np.zeros(observed.shape, np.float32)
        return zeros, zeros
    names = [name for name, weight in model.weights.items() if weight > 0]
    outliers = find_outliers(values, observed, subspace) if options.noise == "mixed" else None
    used = observed if outliers is None else observed & ~outliers
    values = _complete(values, used, subspace, model.limits, options)
    used_seed = options.seed if seed is None else seed
    estimates = run_denoisers(names, subspace, values, used, options, used_seed, progress)
    weights = np.array([model.weights[name] for name in names])
    mean, spread, leverage = combine_estimates(estimates, weights, subspace)
    if (model.gains < 1).any():
        mean = subspace.apply_gains(mean, model.gains)
    deviation = model.error_model.deviation(subspace, mean, spread, scale_leverage(leverage, model.gains))
    if DENOISING_METHODS[options.method].published:
        return mean, deviation
    keep_rare_signal(subspace, values, observed, mean, deviation, outliers)
    return mean, deviation


def fit_model(
    values: NDArray,
    observed: Mask,
    options: DenoiseOptions,
    pixels: int | None = None,
    progress: ProgressReporter = SILENT,
) -> DenoisingModel:
    """Fit the model to ``values`` ``(band, row, column)``; denoisers are validated on one crop of them.

    ``pixels``: rows times columns of the scene that the values are a sample of; None: they are the scene. Raises
    NoCompletePixel if no pixel is observed in all bands.
    """
    set_torch_threads(options.threads)
    method = DENOISING_METHODS[options.method]
    sigma = None if options.sigma is None else np.full(len(values), options.sigma)
    inliers = observed
    if options.noise == "mixed":
        values, inliers = replace_outliers(values, observed, sigma)
    levels = noise_levels(values, observed) if sigma is None else sigma
    limits = no_limits(len(values)) if options.noise == "gaussian" else find_limits(values, inliers, levels)
    plain = _find_subspace(values, observed, limits, sigma, levels, options)
    names = method.select_denoisers(observed[0].size if pixels is None else pixels, options.device)
    rng = np.random.default_rng([options.seed, 1])
    crop = most_observed_crop(observed)
    hidden = draw_hidden_samples(inliers[crop], rng)
    subspace = plain
    if len(values) >= MIN_REGRESSION_BANDS and method.on_eigen_images:
        # Hidden samples are not used, otherwise their noise would be taken for signal.
        kept = observed.copy()
        kept[crop] &= ~hidden
        subspace = _enriched_subspace(plain, values, observed, kept, limits, options)
    held_out = hold_out(values[crop], inliers[crop], subspace, rng, hidden, plain)
    if held_out is None:
        equal_weights = {name: 1.0 / len(names) for name in names}
        error_model = default_error_model(subspace, any(DENOISERS[name].has_leverage for name in names))
        return DenoisingModel(options, subspace, np.ones(subspace.rank), limits, equal_weights, error_model, None)
    return _validate(held_out, subspace, names, limits, options, progress)


def _validate(
    held_out: HeldOutData,
    subspace: Subspace,
    names: tuple[str, ...],
    limits: Limits,
    options: DenoiseOptions,
    progress: ProgressReporter,
) -> DenoisingModel:
    """Weights, gains, error model and score from held-out data of a part of the scene."""
    values = _complete(held_out.values, held_out.observed, held_out.subspace, limits, options)
    estimates = run_denoisers(names, held_out.subspace, values, held_out.observed, options, options.seed, progress)
    weights = pairwise_weights(held_out, [estimate.values for estimate in estimates], limits)
    mean, spread, leverage = combine_estimates(estimates, weights, held_out.subspace)
    gains, weak = np.ones(subspace.rank), subspace.weak
    if DENOISING_METHODS[options.method].on_eigen_images and weak is not None and weak.any():
        # Only weak directions are scaled: strong ones may belong to materials outside the validated window.
        gains = np.where(weak, optimal_gains(held_out, mean, limits), 1.0)
        kept = gains >= min(_MIN_GAIN, gains.max())
        mean = subspace.apply_gains(mean, gains * kept)
        subspace, gains = subspace.select(kept), gains[kept]
        held_out = replace(held_out, subspace=held_out.subspace.select(kept))
        leverage = None if leverage is None else leverage[kept]
    error_model, score = score_estimate(held_out, mean, spread, scale_leverage(leverage, gains), limits)
    weight_by_name = dict(zip(names, weights.tolist()))
    return DenoisingModel(options, subspace, gains, limits, weight_by_name, error_model, score)


def _find_subspace(
    values: NDArray,
    observed: Mask,
    limits: Limits,
    sigma: NDArray[np.float64] | None,
    levels: NDArray[np.float64],
    options: DenoiseOptions,
) -> Subspace:
    """Noise levels and subspace; of clipped data, from a crop if a pixel of it is observed in all bands."""
    if not limits.any:
        return find_subspace(values, observed, sigma, levels)
    crop = most_observed_crop(observed, _CLIPPED_SIDE)
    if observed[crop].all(axis=0).any():
        values, observed = values[crop], observed[crop]
    return clipped_subspace(values, observed, limits, sigma, resolve_device(options.device))


def _enriched_subspace(
    subspace: Subspace, values: NDArray, observed: Mask, kept: Mask, limits: Limits, options: DenoiseOptions
) -> Subspace:
    """The subspace with weak directions of the signal covariance. ``kept``: observed samples that may be used."""
    part = most_observed_crop(observed, _COVARIANCE_SIDE)
    if np.count_nonzero(observed[part].all(axis=0)) < _MIN_PIXELS_PER_BAND * len(values):
        return subspace
    device = resolve_device(options.device)
    completed = values
    if limits.any:  # values are completed in that part only, so the rest is not used
        completed, observed = values.copy(), observed & _inside(part, observed.shape)
        completed[part] = complete_clipped(values[part], kept[part], subspace, limits, device, first_stage_only=True)
        kept = kept & observed
    images, any_observed = subspace.project(completed, kept)
    completed = np.where(kept, completed, subspace.reconstruct(images))
    guide = nl_ridge(images[part], any_observed[part[1:]], device=device, progress=STOP).images
    return add_weak_directions(subspace, completed, observed, guide, part)


def _inside(part: Crop, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, bool)
    mask[part] = True
    return mask


def _complete(values: NDArray, observed: Mask, subspace: Subspace, limits: Limits, options: DenoiseOptions) -> NDArray:
    """Values with clipped samples completed; published methods get them as they are."""
    if not limits.any or DENOISING_METHODS[options.method].published:
        return values
    return complete_clipped(values, observed, subspace, limits, resolve_device(options.device))
