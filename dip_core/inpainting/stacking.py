"""The *mixture*: experts weighted by what they score on pixels hidden on purpose, and its uncertainty.

A *sample* is a hidden pixel: the truth, every expert's estimate, and its surroundings (see `surroundings`), among them
its class, by the distance to the nearest observed pixel, and its roughness. Weights are not negative, sum to 1, and may
differ by class, by *level* (smooth, middling or rough: a third of the samples each) or by both. Several *rules* stand
for election (each expert alone, one set of weights, a set a class, a level, or both); the one with the lowest
cross-validated error wins, so it is never worse than its best expert there. Linear and harmonic interpolation stand
alone only: what they add to a mixture with kriging and biharmonic interpolation is mostly chance.

Source: stacking by Breiman, Stacked regressions (1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.observation import Observation
from ..imaging.simplex_weights import minimize_on_simplex
from . import uncertainty
from .features import CLASSES, TERMS, Surroundings
from .uncertainty import Spread

LEVELS = 3  # of roughness
_SHRINKAGE = 20_000  # samples of the pooled weights that a class's or level's own weights must outvote
# Rules that mix: their names, and whether weights differ by class and by level.
_MIXTURES = (
    ("one weight", False, False),
    ("weights by distance", True, False),
    ("weights by roughness", False, True),
    ("weights by distance and roughness", True, True),
)
_ALONE = ("linear", "harmonic")  # experts that no mixture has
_AT_WILL = "deep_prior"  # the expert that mixtures stand with and without
INCLUDED = ", with the deep prior"  # what the names of those that have it end in
# Two sizes of one method, whose errors are so alike that hold-outs tell little of which is better: their shares are
# drawn to these parts of their sum, the mean of the best shares on 48 pieces of scenes.
_TWINS = {"plug_and_play": 0.7, "plug_and_play_fine": 0.3}
_DRAW = 0.25  # how strongly, in the mean squared difference of the two
_MOST_SAMPLES = 400_000


@dataclass(frozen=True)
class Samples(Surroundings):
    """Hidden pixels. ``estimates``: ``(sample, expert)``; other arrays ``(sample,)``; standardised values."""

    names: tuple[str, ...]
    estimates: NDArray[np.float32]
    truth: NDArray[np.float32]
    baseline: NDArray[np.float32]
    band: NDArray[np.int64]
    distance: NDArray[np.float32]
    fold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Rule:
    """A way of weighting: its name, weights ``(level, class, expert)``, and the roughness at which levels end."""

    name: str
    weights: NDArray[np.float64]
    limits: NDArray[np.float64]

    def of(self, kind: NDArray[np.integer], roughness: NDArray) -> NDArray[np.float64]:
        """The weights ``(..., expert)`` of pixels ``(...)``."""
        return self.weights[np.searchsorted(self.limits, roughness), kind]


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
        return [int(number) for number in np.flatnonzero((self.rule.weights > 1e-6).any(axis=(0, 1)))]

    def combine(
        self, estimates: Sequence[Cube], observation: Observation, wanted: Mask, around: Surroundings
    ) -> tuple[Cube, Cube]:
        """Mixture and one standard deviation from the estimates of the experts in `used`, in that order.

        ``observation`` is what the experts saw; ``wanted``: the pixels to mix, whose surroundings are ``around``. Both
        results are ``(band, row, column)``, standardised; elsewhere, the deviation is 0.
        """
        weights = self.rule.weights[:, :, self.used]
        weights = weights / weights.sum(axis=2, keepdims=True)
        own = [estimate[wanted] for estimate in estimates]
        mean = own[0].astype(np.float64)
        scatter = np.zeros(mean.shape)
        if len(own) > 1:
            place = np.searchsorted(self.rule.limits, around.roughness), around.kind
            each = [weights[:, :, number][place] for number in range(len(own))]
            mean = sum((weight * estimate for weight, estimate in zip(each, own)), scatter)
            scatter = sum((weight * np.square(estimate - mean) for weight, estimate in zip(each, own)), scatter)
        mixed, deviation = np.zeros(observation.shape, np.float32), np.zeros(observation.shape, np.float32)
        mixed[wanted] = mean
        deviation[wanted] = self.spread.deviation(around.kind, np.nonzero(wanted)[0], around.terms(scatter))
        return observation.keep_observed(mixed), deviation


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
    rules = {name: _alone(name, number, experts) for number, name in enumerate(samples.names)}
    for ending, mixed in _line_ups(samples.names) if mix else ():
        for kind, by_class, by_level in _MIXTURES:
            name = kind + ending
            rules[name] = _weighted(name, samples, errors, mixed, by_class, by_level)
            heldout[name] = _crossed(samples, errors, mixed, by_class, by_level)
    scores = {name: float(np.sqrt(np.mean(np.square(value - samples.truth)))) for name, value in heldout.items()}
    winner = min(scores, key=scores.__getitem__)
    rule, crossed = rules[winner], heldout[winner]
    spread, deviation = _calibrate(samples, rule, crossed, bands)
    return Mixture(samples.names, rule, spread, scores, crossed, deviation, samples)


def no_samples(names: Sequence[str]) -> Samples:
    """Samples of a scene that leaves nothing to validate on."""
    none, whole, kind = np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int8)
    return Samples(
        kind=kind,
        roughness=none,
        wide=none,
        rim=none,
        layout=none,
        names=tuple(names),
        estimates=np.zeros((0, len(names)), np.float32),
        truth=none,
        baseline=none,
        band=whole,
        distance=none,
        fold=whole,
    )


def unvalidated(samples: Samples, bands: int) -> Mixture:
    """For a scene that leaves nothing to validate on: harmonic if it can be, and the roughness as variance."""
    number = samples.names.index("harmonic") if "harmonic" in samples.names else 0
    name = samples.names[number]
    rule = _alone(name, number, len(samples.names))
    nothing = np.zeros(0)
    spread = uncertainty.as_rough(CLASSES, bands, TERMS)
    return Mixture(samples.names, rule, spread, {}, nothing, nothing, _thin(samples, np.zeros(0, np.int64)))


def _line_ups(names: Sequence[str]) -> list[tuple[str, NDArray[np.int64]]]:
    """The experts of every kind of mixture, as numbers, and what its rules' names end in."""
    everyone = [number for number, name in enumerate(names) if name not in _ALONE]
    others = [number for number in everyone if names[number] != _AT_WILL]
    found = [("", others)] if others == everyone else [("", others), (INCLUDED, everyone)]
    return [(ending, np.array(some, np.int64)) for ending, some in found if len(some) > 1]


def _alone(name: str, number: int, experts: int) -> Rule:
    return Rule(name, np.tile(np.eye(experts)[number], (1, CLASSES, 1)), np.zeros(0))


def _crossed(
    samples: Samples, errors: NDArray[np.float64], mixed: NDArray[np.int64], by_class: bool, by_level: bool
) -> NDArray[np.float64]:
    """Each sample's mixture by the weights of the other folds."""
    folds = np.unique(samples.fold)
    crossed = np.empty(len(samples))
    for fold in folds:
        out = samples.fold == fold
        rest = np.flatnonzero(~out if len(folds) > 1 else out)
        rule = _weighted("", _thin(samples, rest), errors[rest], mixed, by_class, by_level)
        crossed[out] = (samples.estimates[out] * rule.of(samples.kind[out], samples.roughness[out])).sum(axis=1)
    return crossed


def _thin(samples: Samples, kept: NDArray[np.int64]) -> Samples:
    parts = {item.name: getattr(samples, item.name)[kept] for item in fields(samples) if item.name != "names"}
    return replace(samples, **parts)


def _weighted(
    name: str,
    samples: Samples,
    errors: NDArray[np.float64],
    mixed: NDArray[np.int64],
    by_class: bool,
    by_level: bool,
) -> Rule:
    """The rule whose weights of the experts ``mixed`` minimise the squared error of the mixture (see `_drawn`)."""
    pooled = errors.T @ errors / max(len(errors), 1)
    shares = np.arange(1, LEVELS) / LEVELS if by_level else np.zeros(0)
    limits: NDArray[np.float64] = np.quantile(samples.roughness.astype(np.float64), shares)
    level = np.searchsorted(limits, samples.roughness)
    names = [samples.names[one] for one in mixed]
    weights = np.empty((len(limits) + 1, CLASSES, errors.shape[1]))
    for number in np.ndindex(len(limits) + 1, CLASSES if by_class else 1):
        own = errors[(level == number[0]) & ((samples.kind == number[1]) | (not by_class))]
        gram = (own.T @ own + _SHRINKAGE * pooled) / (len(own) + _SHRINKAGE)
        own_shares = np.zeros(errors.shape[1])
        own_shares[mixed] = minimize_on_simplex(_drawn(gram[np.ix_(mixed, mixed)], names))
        weights[number if by_class else number[0]] = own_shares
    return Rule(name, weights, limits)


def _drawn(products: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Mean products of errors, and a charge for shares of the twins that are not in their usual proportion.

    It is ``D (s q - t p)^2 / 4`` (the 1/4 is `_DRAW`), with shares *s* and *t*, usual parts *p* and *q*, and *D* the
    mean squared difference of the twins.
    """
    if not set(_TWINS) <= set(names):
        return products
    one, other = (names.index(twin) for twin in _TWINS)
    difference = products[one, one] + products[other, other] - 2.0 * products[one, other]
    off = np.zeros(len(names))
    off[[one, other]] = _TWINS[names[other]], -_TWINS[names[one]]
    return products + _DRAW * difference * np.outer(off, off)


def _calibrate(
    samples: Samples, rule: Rule, crossed: NDArray[np.float64], bands: int
) -> tuple[Spread, NDArray[np.float64]]:
    """The uncertainty model from all samples, and each sample's deviation from the other folds' model."""
    weights = rule.of(samples.kind, samples.roughness)
    mean = (samples.estimates * weights).sum(axis=1)
    scatter = (weights * np.square(samples.estimates - mean[:, None])).sum(axis=1)
    square = np.square(crossed - samples.truth)
    terms = samples.terms(scatter)

    def model(chosen: Mask) -> Spread:
        known = (samples.kind[chosen], samples.band[chosen], [term[chosen] for term in terms])
        return uncertainty.fit(square[chosen], *known, CLASSES, bands)

    spread = model(np.ones(len(samples), bool))
    deviation = np.empty(len(samples))
    folds = np.unique(samples.fold)
    for fold in folds:
        out = samples.fold == fold
        fitted = model(~out) if len(folds) > 1 else spread
        deviation[out] = fitted.deviation(samples.kind[out], samples.band[out], [term[out] for term in terms])
    return spread, deviation
