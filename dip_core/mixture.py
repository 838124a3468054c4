"""The *mixture*: experts weighted by what they score on pixels hidden on purpose, and its uncertainty.

A *sample* is a hidden pixel: the truth, every expert's estimate, and its *class* (its distance to the
nearest observed pixel). Weights are not negative, sum to 1 and differ by class. Several *rules* stand for
election (each expert alone, one set of weights for all classes, one a class); the one with the lowest
cross-validated error wins, so that the mixture is never worse on the hold-outs than its best expert.

The uncertainty of a filled pixel is ``sqrt(a + b spread + c roughness)``: a, b, c by class are fitted to
the squared errors, ``spread`` is the variance among the experts, ``roughness`` the variance of the observed
pixels around. A factor a band makes one standard deviation cover 68 % of the hidden pixels and two cover 95 %. Errors
have longer tails than the normal distribution, so that both cannot be met: the factor is a geometric mean of what
either wants, in which one standard deviation counts four times. With it, errors of a Laplace distribution have 70 and
91 %.

Source: stacking by Breiman, Stacked regressions (1996); the calibration is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from .observation import Cube, Mask, Observation
from .shares import convex

# Upper ends of the distance classes in pixels; class 0 is kept for pixels that other bands see.
DISTANCES = (1.5, 3.5, 6.5, np.inf)
CLASSES = len(DISTANCES) + 1
ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545
_ROUGHNESS_WINDOW = 15
_SHRINKAGE = 2000  # samples of the pooled weights that a class's own weights must outvote
_MOST_SAMPLES = 400_000


@dataclass(frozen=True)
class Samples:
    """Hidden pixels. ``estimates``: ``(sample, expert)``; the rest ``(sample,)``; standardised values."""

    names: tuple[str, ...]
    estimates: NDArray[np.float32]
    truth: NDArray[np.float32]
    baseline: NDArray[np.float32]
    band: NDArray[np.int64]
    kind: NDArray[np.int64]
    distance: NDArray[np.float32]
    roughness: NDArray[np.float32]
    fold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Rule:
    """A way of weighting: its name and the weights ``(class, expert)``."""

    name: str
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """The uncertainty model: ``(class, 3)`` coefficients and a calibration factor a band."""

    coefficients: NDArray[np.float64]
    factors: NDArray[np.float64]

    def deviation(self, kind: NDArray, band: NDArray, spread: NDArray, roughness: NDArray) -> NDArray[np.float64]:
        """One standard deviation of each pixel, standardised."""
        terms = np.stack([np.ones_like(spread), spread, roughness], axis=-1)
        variance = (self.coefficients[kind] * terms).sum(axis=-1)
        return np.sqrt(np.maximum(variance, 1e-12)) * self.factors[band]


@dataclass(frozen=True)
class Mixture:
    """The elected rule, its uncertainty, and the cross-validated estimate of every sample."""

    names: tuple[str, ...]
    rule: Rule
    spread: Spread
    scores: dict[str, float]
    heldout: NDArray[np.float64]
    deviation: NDArray[np.float64]
    samples: Samples

    @property
    def used(self) -> list[int]:
        """Numbers of the experts with a weight; only these need to run."""
        return [int(number) for number in np.flatnonzero((self.rule.weights > 1e-6).any(axis=0))]

    def combine(self, estimates: Sequence[Cube], observation: Observation, borrowed: Mask) -> tuple[Cube, Cube]:
        """Mixture and one standard deviation from the estimates of the experts in `used`, in that order.

        ``observation`` is what the experts saw; both results are ``(band, row, column)``, standardised.
        The deviation is 0 at observed pixels.
        """
        kind = classes(observation, borrowed)
        weights = self.rule.weights[:, self.used]
        weights = weights / weights.sum(axis=1, keepdims=True)
        mean = np.zeros(observation.shape, np.float64)
        for place, estimate in enumerate(estimates):
            mean += weights[:, place][kind] * estimate
        scatter = np.zeros(observation.shape, np.float64)
        for place, estimate in enumerate(estimates):
            scatter += weights[:, place][kind] * np.square(estimate - mean)
        band = np.broadcast_to(np.arange(len(mean))[:, None, None], mean.shape)
        deviation = self.spread.deviation(kind, band, scatter, roughness(observation))
        filled = observation.target & (~observation.seen | borrowed)
        return observation.keep_observed(mean), np.where(filled, deviation, 0.0).astype(np.float32)


def classes(observation: Observation, borrowed: Mask) -> NDArray[np.int64]:
    """The class of every pixel, ``(band, row, column)``."""
    near = np.where(borrowed, 0, 1 + np.searchsorted(DISTANCES[:-1], observation.distance()))
    return near if observation.assumed is None else np.where(observation.assumed, CLASSES - 1, near)


def roughness(observation: Observation) -> Cube:
    """Variance of the observed pixels in a 15 x 15 window; gaps without any take the mean of all."""
    from scipy.ndimage import uniform_filter

    size = (0, _ROUGHNESS_WINDOW, _ROUGHNESS_WINDOW)
    seen = observation.observed.astype(np.float32)
    count = uniform_filter(seen, size)
    values = observation.values * seen
    scale = np.divide(1.0, count, out=np.zeros_like(count), where=count > 1e-4)
    mean = uniform_filter(values, size) * scale
    variance = np.maximum(uniform_filter(values * values, size) * scale - mean * mean, 0.0)
    overall = variance[observation.observed].mean() if observation.observed.any() else 1.0
    return np.where(count > 1e-4, variance, overall).astype(np.float32)


def elect(samples: Samples, bands: int, rng: np.random.Generator, mix: bool = True) -> Mixture:
    """Choose the rule with the lowest cross-validated error and calibrate its uncertainty.

    ``mix`` False elects among single experts only.
    """
    if len(samples) > _MOST_SAMPLES:
        samples = _thin(samples, np.sort(rng.choice(len(samples), _MOST_SAMPLES, replace=False)))
    experts = len(samples.names)
    errors = samples.estimates.astype(np.float64) - samples.truth[:, None]
    heldout: dict[str, NDArray[np.float64]] = {
        name: samples.estimates[:, number].astype(np.float64) for number, name in enumerate(samples.names)
    }
    single = np.eye(experts)
    rules = {name: Rule(name, np.tile(single[number], (CLASSES, 1))) for number, name in enumerate(samples.names)}
    if mix and experts > 1:
        for name, by_class in (("one weight", False), ("weights by distance", True)):
            rules[name] = Rule(name, _weights(errors, samples.kind, by_class))
            heldout[name] = _crossed(samples, errors, by_class)
    scores = {name: float(np.sqrt(np.mean(np.square(value - samples.truth)))) for name, value in heldout.items()}
    winner = min(scores, key=scores.__getitem__)
    rule, crossed = rules[winner], heldout[winner]
    spread, deviation = _calibrate(samples, rule, crossed, bands)
    return Mixture(samples.names, rule, spread, scores, crossed, deviation, samples)


def unvalidated(samples: Samples, bands: int) -> Mixture:
    """For a scene that leaves nothing to validate on: harmonic if it can be, and the roughness as variance."""
    number = samples.names.index("harmonic") if "harmonic" in samples.names else 0
    name = samples.names[number]
    rule = Rule(name, np.tile(np.eye(len(samples.names))[number], (CLASSES, 1)))
    spread = Spread(np.tile([0.0, 0.0, 1.0], (CLASSES, 1)), np.ones(bands))
    nothing = np.zeros(0)
    return Mixture(samples.names, rule, spread, {}, nothing, nothing, _thin(samples, np.zeros(0, np.int64)))


def _crossed(samples: Samples, errors: NDArray[np.float64], by_class: bool) -> NDArray[np.float64]:
    """Each sample's mixture by the weights of the other folds."""
    folds = np.unique(samples.fold)
    crossed = np.empty(len(samples))
    for fold in folds:
        out = samples.fold == fold
        rest = ~out if len(folds) > 1 else out
        weights = _weights(errors[rest], samples.kind[rest], by_class)
        crossed[out] = (samples.estimates[out] * weights[samples.kind[out]]).sum(axis=1)
    return crossed


def _thin(samples: Samples, kept: NDArray[np.int64]) -> Samples:
    parts = {item.name: getattr(samples, item.name)[kept] for item in fields(samples) if item.name != "names"}
    return replace(samples, **parts)


def _weights(errors: NDArray[np.float64], kind: NDArray[np.int64], by_class: bool) -> NDArray[np.float64]:
    """Weights ``(class, expert)`` that minimise the squared error of the mixture."""
    pooled = errors.T @ errors / max(len(errors), 1)
    common = convex(pooled)
    if not by_class:
        return np.tile(common, (CLASSES, 1))
    weights = np.empty((CLASSES, errors.shape[1]))
    for number in range(CLASSES):
        own = errors[kind == number]
        gram = (own.T @ own + _SHRINKAGE * pooled) / (len(own) + _SHRINKAGE)
        weights[number] = convex(gram)
    return weights


def _calibrate(
    samples: Samples, rule: Rule, crossed: NDArray[np.float64], bands: int
) -> tuple[Spread, NDArray[np.float64]]:
    """The uncertainty model from all samples, and each sample's deviation from the other folds' model."""
    weights = rule.weights[samples.kind]
    mean = (samples.estimates * weights).sum(axis=1)
    scatter = (weights * np.square(samples.estimates - mean[:, None])).sum(axis=1)
    square = np.square(crossed - samples.truth)

    def model(chosen: Mask) -> Spread:
        terms = np.stack([np.ones(chosen.sum()), scatter[chosen], samples.roughness[chosen]], axis=1)
        kind, error = samples.kind[chosen], square[chosen]
        coefficients = np.zeros((CLASSES, 3))
        overall, _ = nnls(terms.T @ terms, terms.T @ error)
        for number in range(CLASSES):
            own = kind == number
            enough = np.count_nonzero(own) >= 200
            coefficients[number] = nnls(terms[own].T @ terms[own], terms[own].T @ error[own])[0] if enough else overall
        raw = Spread(coefficients, np.ones(bands))
        deviation = raw.deviation(kind, samples.band[chosen], scatter[chosen], samples.roughness[chosen])
        ratio = np.sqrt(error) / deviation
        common = _factor(ratio) if len(ratio) else 1.0
        factors = np.full(bands, common)
        for band in range(bands):
            own = samples.band[chosen] == band
            if np.count_nonzero(own) >= 200:
                factors[band] = _factor(ratio[own])
        return Spread(coefficients, factors)

    everything = np.ones(len(samples), bool)
    spread = model(everything)
    deviation = np.empty(len(samples))
    folds = np.unique(samples.fold)
    for fold in folds:
        out = samples.fold == fold
        fitted = model(~out) if len(folds) > 1 else spread
        deviation[out] = fitted.deviation(samples.kind[out], samples.band[out], scatter[out], samples.roughness[out])
    return spread, deviation


def _factor(ratio: NDArray[np.float64]) -> float:
    """What deviations must be multiplied by, from the ratios of error and deviation."""
    one, two = np.quantile(ratio, (ONE_SIGMA, TWO_SIGMA))
    return float(max(one**4 * two / 2.0, 1e-30) ** 0.2)
