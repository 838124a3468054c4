"""Denoising of an array: noise levels, whitening, subspace, experts on the eigen-images, and back.

A *model* is what is learned from a scene (or a sample of it) once: its subspace, the shares of the experts, and
the error to expect; `restore` applies it to any window of that scene. `denoise` does both for one array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.noise import MIN_REGRESSION_BANDS, noise_levels
from ..imaging.subspace import Subspace, find_subspace
from ..runtime.devices import resolve_device
from ..runtime.progress import SILENT, STOP, ProgressReporter
from ..runtime.threads import set_torch_threads
from . import error_model
from . import validation as trial
from .clipping import Limits, complete, find_limits, no_limits, unclipped
from .error_model import ErrorModel
from .nl_ridge import nl_ridge, nl_ridge_pair
from .outliers import find_outliers, robust_subspace
from .signal_covariance import with_weak_directions
from .validation import Score

# The experts that a METHOD mixes.
EXPERTS: dict[str, tuple[str, ...]] = {
    "best": ("nl_ridge_pair", "deep_prior"),
    "fast": ("nl_ridge",),
    "deep_prior": ("deep_prior",),
    "paper_2d": ("paper_2d",),
    "paper_3d": ("paper_3d",),
}
_ROUNDS_OF_LEARNING = 6  # the level of the noise converges by about a half in each
_ROUNDS = 4
_CLIPPED_SIDE = 128  # pixels of the part of a scene from which the noise level of clipped data is learned
_COVARIANCE_SIDE = 192  # pixels of the part of a scene whose signal covariance is taken
_PIXELS_A_BAND = 4  # that it needs
_LEAST_GAIN = 0.2  # of an eigen-image that is kept
PAPERS = ("paper_2d", "paper_3d")  # work on the bands themselves
_WITHOUT_NETWORK = {"nl_ridge": nl_ridge, "nl_ridge_pair": nl_ridge_pair}
# Pixels of a scene up to which METHOD best tries the deep prior: some ten seconds on two cores, and on a GPU.
_AFFORDABLE = {"cpu": 64 * 64, "mps": 512 * 512, "cuda": 2048 * 2048}


@dataclass(frozen=True)
class Settings:
    """How to denoise.

    ``noise``: auto (clipping is looked for), gaussian (nothing is clipped) or mixed (outliers are looked for too).
    ``sigma``: the noise level of every band in the data's units, None to estimate it. ``device`` and ``threads`` as in
    a job; ``iterations`` of the networks, None for their own numbers.
    """

    method: str = "fast"
    noise: str = "auto"
    sigma: float | None = None
    device: str = "cpu"
    seed: int = 0
    threads: int = 0
    iterations: int | None = None


@dataclass(frozen=True)
class Estimate:
    """An expert's estimate in the data's units, and the leverage of its eigen-images ``(rank, row, column)``."""

    values: Cube
    leverage: Cube | None = None


@dataclass(frozen=True)
class Model:
    """What is known of a scene: subspace, limits of clipping, the experts' shares (of 1), the error to expect.

    ``gains``: what each eigen-image of the mixture is multiplied by ``(rank,)``. ``score`` is the hold-out's; None
    where nothing could be held out.
    """

    settings: Settings
    subspace: Subspace
    gains: NDArray[np.float64]
    limits: Limits
    shares: dict[str, float]
    errors: ErrorModel
    score: Score | None


def denoise(values: NDArray, observed: Mask, settings: Settings) -> tuple[Cube, Cube, Model]:
    """Denoise ``values`` ``(band, row, column)``; returns estimate, one standard deviation of its error, and the model.

    ``observed``: pixels that hold data; estimates elsewhere mean nothing. Values and results are in the data's
    units. Raises ValueError where no pixel is observed in all bands.
    """
    model = learn(values, observed, settings)
    estimate, deviation = restore(model, values, observed)
    return estimate, deviation, model


def learn(
    values: NDArray,
    observed: Mask,
    settings: Settings,
    pixels: int | None = None,
    progress: ProgressReporter = SILENT,
) -> Model:
    """Find the subspace and validate the experts on the middle of ``values``.

    ``pixels``: size of the scene that ``values`` are a sample of, None where they are all of it.
    """
    set_torch_threads(settings.threads)
    given = None if settings.sigma is None else np.full(len(values), settings.sigma)
    if settings.noise == "mixed":
        robust = robust_subspace(values, observed, given)
        outliers = find_outliers(values, observed, robust)
        # What the subspace makes of the others stands for them, so that pixels stay complete.
        stand_in = robust.reconstruct(robust.project(values, observed & ~outliers)[0])
        values, judged = np.where(outliers, stand_in, values), observed & ~outliers
    else:
        judged = observed
    limits = no_limits(len(values))
    first = noise_levels(values, observed) if given is None else given
    if settings.noise != "gaussian":
        limits = find_limits(values, judged, first)
    if limits.any:
        subspace = _clipped_subspace(values, observed, limits, given, settings)
    else:
        subspace = find_subspace(values, observed, given, first)
    names = experts_of(settings, observed[0].size if pixels is None else pixels)
    rng = np.random.default_rng([settings.seed, 1])
    crop = trial.middle(observed)
    hidden = trial.hidden_samples(judged[crop], rng)
    plain = subspace
    if len(values) >= MIN_REGRESSION_BANDS and settings.method not in PAPERS:
        subspace = _enriched(subspace, values, observed, crop, hidden, limits, settings)
    test = trial.hold_out(values[crop], judged[crop], subspace, rng, hidden, plain)
    shares = {name: 1.0 / len(names) for name in names}
    if test is None:
        errors = error_model.unknown(subspace, any(name in _WITHOUT_NETWORK for name in names))
        return Model(settings, subspace, np.ones(subspace.rank), limits, shares, errors, None)
    given_values = _completed(test.values, test.observed, test.subspace, limits, settings)
    estimates = run_experts(names, test.subspace, given_values, test.observed, settings, settings.seed, progress)
    weights = trial.best_shares(test, [estimate.values for estimate in estimates], limits)
    shares = dict(zip(names, weights.tolist()))
    mean, spread, leverage = _mixed(estimates, weights, test.subspace)
    gains, weak = np.ones(subspace.rank), subspace.weak
    if settings.method not in PAPERS and weak is not None and weak.any():
        # Strong directions may belong to materials that the trial's part of the scene lacks.
        gains = np.where(weak, trial.gains(test, mean, limits), 1.0)
        kept = gains >= min(_LEAST_GAIN, gains.max())
        mean = subspace.apply_gains(mean, gains * kept)
        subspace, gains = subspace.select(kept), gains[kept]
        test = replace(test, subspace=test.subspace.select(kept))
        leverage = None if leverage is None else leverage[kept]
    errors, score = trial.judge(test, mean, spread, _shrunk(leverage, gains), limits)
    return Model(settings, subspace, gains, limits, shares, errors, score)


def experts_of(settings: Settings, pixels: int) -> tuple[str, ...]:
    """The experts that a METHOD runs on a scene of so many pixels: best leaves the deep prior out where it is slow."""
    names = EXPERTS[settings.method]
    if len(names) > 1 and pixels > _AFFORDABLE[resolve_device(settings.device).type]:
        return tuple(name for name in names if name != "deep_prior")
    return names


def restore(
    model: Model,
    values: NDArray,
    observed: Mask,
    seed: int | None = None,
    progress: ProgressReporter = SILENT,
) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation of its error in the data's units, ``(band, row, column)``."""
    set_torch_threads(model.settings.threads)
    if not observed.any():
        nothing = np.zeros(observed.shape, np.float32)
        return nothing, nothing
    names = [name for name, share in model.shares.items() if share > 0]
    chosen = model.settings.seed if seed is None else seed
    if model.settings.noise == "mixed":
        observed = observed & ~find_outliers(values, observed, model.subspace)
    values = _completed(values, observed, model.subspace, model.limits, model.settings)
    estimates = run_experts(names, model.subspace, values, observed, model.settings, chosen, progress)
    weights = np.array([model.shares[name] for name in names])
    mean, spread, leverage = _mixed(estimates, weights, model.subspace)
    if (model.gains < 1).any():
        mean = model.subspace.apply_gains(mean, model.gains)
    return mean, model.errors.deviation(model.subspace, mean, spread, _shrunk(leverage, model.gains))


def run_experts(
    names: Sequence[str],
    subspace: Subspace,
    values: NDArray,
    observed: Mask,
    settings: Settings,
    seed: int,
    progress: ProgressReporter,
) -> list[Estimate]:
    """The estimates of the experts called ``names``."""
    device = resolve_device(settings.device)
    if names[0] in PAPERS:
        from .deep_prior import denoise_bands  # torch.nn is slow to load

        iterations = settings.iterations
        image = denoise_bands(
            values, observed, names[0], seed=seed, device=device, iterations=iterations, progress=progress
        )
        return [Estimate(image)]
    images, seen = subspace.project(values, observed)
    found = []
    for name, part in zip(names, progress.split(len(names))):
        if name == "deep_prior":
            from .deep_prior import denoise_eigen_images  # torch.nn is slow to load

            iterations = settings.iterations
            fitted = denoise_eigen_images(images, seen, seed=seed, device=device, iterations=iterations, progress=part)
            found.append(Estimate(subspace.reconstruct(fitted)))
        else:
            denoised_images, leverage = _WITHOUT_NETWORK[name](images, seen, device=device, progress=part)
            # The error of what stands for unseen bands counts as noise; where no band sees, the whole signal is lost.
            lost = subspace.signal_variance[:, None, None].astype(np.float32)
            leverage = np.where(seen, leverage * subspace.error_variance(observed), lost)
            found.append(Estimate(subspace.reconstruct(denoised_images), leverage))
    return found


def _enriched(
    subspace: Subspace,
    values: NDArray,
    observed: Mask,
    crop: trial.Crop,
    hidden: Mask,
    limits: Limits,
    settings: Settings,
) -> Subspace:
    """The subspace with the weak directions that the signal covariance shows.

    The trial's ``hidden`` samples of the part ``crop`` have no say, or it would take their noise for signal.
    """
    kept = observed.copy()
    kept[crop] &= ~hidden
    part = trial.middle(observed, _COVARIANCE_SIDE)
    if np.count_nonzero(observed[part].all(axis=0)) < _PIXELS_A_BAND * len(values):
        return subspace
    whole = values
    if limits.any:  # completed in that part only, so the rest says nothing
        whole, observed = values.copy(), observed & _only(part, observed.shape)
        whole[part] = _completed(values[part], kept[part], subspace, limits, settings, _quick_estimate)
        kept &= observed
    images, seen = subspace.project(whole, kept)
    whole = np.where(kept, whole, subspace.reconstruct(images))
    guide, _ = nl_ridge(images[part], seen[part[1:]], device=resolve_device(settings.device), progress=STOP)
    return with_weak_directions(subspace, whole, observed, guide, part)


def _only(part: trial.Crop, shape: tuple[int, ...]) -> Mask:
    inside = np.zeros(shape, bool)
    inside[part] = True
    return inside


def _clipped_subspace(
    values: NDArray, observed: Mask, limits: Limits, given: NDArray[np.float64] | None, settings: Settings
) -> Subspace:
    """Noise levels and subspace of clipped data: by expectation and maximisation, on the middle of ``values``."""
    crop = trial.middle(observed, _CLIPPED_SIDE)
    part, seen = values[crop], observed[crop]
    if not seen.all(axis=0).any():
        part, seen = values, observed
    subspace = find_subspace(part, seen, given)
    estimate: NDArray = unclipped(_first_estimate(part, seen, subspace, settings), subspace.sigma, limits)
    sigma = subspace.sigma
    for _ in range(_ROUNDS_OF_LEARNING):
        whole, level = complete(part, seen, estimate, sigma, limits)
        sigma = given if given is not None else np.maximum(level, 1e-6 * sigma)
        subspace = find_subspace(whole, seen, sigma)
        estimate = _first_estimate(whole, seen, subspace, settings)
    return subspace


def _completed(
    values: NDArray,
    observed: Mask,
    subspace: Subspace,
    limits: Limits,
    settings: Settings,
    estimator: Callable[[NDArray, Mask, Subspace, Settings], Cube] | None = None,
) -> NDArray:
    """Values with clipped samples replaced by what they are expected to have been; by default by a full denoiser."""
    if not limits.any or settings.method in PAPERS:
        return values
    estimator = estimator or _first_estimate
    estimate: NDArray = unclipped(estimator(values, observed, subspace, settings), subspace.sigma, limits)
    whole = values
    for number in range(_ROUNDS):
        whole, _ = complete(values, observed, estimate, subspace.sigma, limits)
        if number + 1 < _ROUNDS:
            estimate = estimator(whole, observed, subspace, settings)
    return whole


def _quick_estimate(values: NDArray, observed: Mask, subspace: Subspace, settings: Settings) -> Cube:
    """That of the non-local ridge's first stage."""
    images, seen = subspace.project(values, observed)
    return subspace.reconstruct(nl_ridge(images, seen, device=resolve_device(settings.device), progress=STOP).images)


def _first_estimate(values: NDArray, observed: Mask, subspace: Subspace, settings: Settings) -> Cube:
    images, seen = subspace.project(values, observed)
    return subspace.reconstruct(nl_ridge(images, seen, device=resolve_device(settings.device)).images)


def _mixed(
    estimates: Sequence[Estimate], weights: NDArray[np.float64], subspace: Subspace
) -> tuple[Cube, Cube, Cube | None]:
    """The weighted mean, the mean square difference between the experts in noise variances ``(row, column)``, leverage.

    The leverage of a mean is the mean of theirs; an expert that has none counts as one like the others.
    """
    known = [(weight, found.leverage) for weight, found in zip(weights, estimates) if found.leverage is not None]
    total = sum(weight for weight, _ in known)
    leverage = sum(np.float32(weight / total) * own for weight, own in known) if total > 0 else None
    images = [found.values for found in estimates]
    if len(images) == 1:
        return images[0], np.zeros(images[0].shape[1:], np.float32), leverage
    mean = sum(np.float32(weight) * image for weight, image in zip(weights, images))
    spread = np.zeros(images[0].shape[1:], np.float32)
    for weight, image in zip(weights, images):
        difference = (image - mean) / subspace.sigma[:, None, None].astype(np.float32)
        spread += np.float32(weight) * np.square(difference).mean(axis=0)
    return np.asarray(mean, np.float32), spread, leverage


def _shrunk(leverage: Cube | None, gains: NDArray[np.float64]) -> Cube | None:
    """The leverage of eigen-images that are multiplied by ``gains``."""
    return None if leverage is None else leverage * gains[:, None, None].astype(np.float32)
