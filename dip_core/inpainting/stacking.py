"""Selection of the gap-filling model on hidden pixels: single experts and stacks of experts.

A *stack* is a weighted mean of the experts with non-negative weights that sum to 1. Weights are common to all pixels,
or differ by distance class, by level of roughness (terciles of the samples), or by both; they minimise the squared
error of the stack. The candidates are each expert alone and each stack; the one with the lowest cross-validated error
is selected, so on the samples the model is never worse than its best expert.

Source: Breiman, Stacked regressions (1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.observation import Observation
from . import uncertainty
from .features import DISTANCE_CLASSES, UNCERTAINTY_TERMS, GapFeatures
from .samples import ValidationSamples
from .uncertainty import UncertaintyModel
from .weight_rules import WEIGHT_SCHEMES, WeightRule, cross_validate, fit_weights, single_expert, stacked_experts

MAX_SAMPLES = 400_000
_MIN_WEIGHT = 1e-6  # smaller weights are rounding errors


@dataclass(frozen=True)
class StackedModel:
    """The selected rule and its uncertainty.

    ``scores``: cross-validated RMSE of every candidate, standardised. ``held_out_estimate``, ``deviation``
    ``(sample,)``: the estimate of each sample and its standard deviation, by models of the other folds.
    """

    names: tuple[str, ...]
    rule: WeightRule
    uncertainty: UncertaintyModel
    scores: dict[str, float]
    held_out_estimate: NDArray[np.float64]
    deviation: NDArray[np.float64]
    samples: ValidationSamples

    @property
    def used(self) -> list[int]:
        """Numbers of the experts with a weight; only these need to run."""
        return [int(number) for number in np.flatnonzero((self.rule.weights > _MIN_WEIGHT).any(axis=(0, 1)))]

    @property
    def used_names(self) -> list[str]:
        """Names of the experts with a weight."""
        return [self.names[number] for number in self.used]

    def combine(
        self, estimates: Sequence[Cube], observation: Observation, pixels: Mask, features: GapFeatures
    ) -> tuple[Cube, Cube]:
        """Weighted mean and one standard deviation, both ``(band, row, column)`` and standardised.

        ``estimates``: of the experts in `used`, in this order. ``observation``: the input of the experts. ``pixels``
        ``(band, row, column)``: the pixels to combine, with their ``features``; the deviation is 0 elsewhere.
        """
        weights = self.rule.weights[:, :, self.used]
        weights = weights / weights.sum(axis=2, keepdims=True)
        values = [estimate[pixels] for estimate in estimates]
        mean = values[0].astype(np.float64)
        disagreement = np.zeros(mean.shape)
        if len(values) > 1:
            index = np.searchsorted(self.rule.limits, features.roughness), features.distance_class
            each = [weights[:, :, number][index] for number in range(len(values))]
            mean = sum((weight * value for weight, value in zip(each, values)), disagreement)
            disagreement = sum((weight * np.square(value - mean) for weight, value in zip(each, values)), disagreement)
        combined, deviation = np.zeros(observation.shape, np.float32), np.zeros(observation.shape, np.float32)
        combined[pixels] = mean
        terms = features.uncertainty_terms(disagreement)
        deviation[pixels] = self.uncertainty.deviation(features.distance_class, np.nonzero(pixels)[0], terms)
        return observation.keep_observed(combined), deviation


def select_model(
    samples: ValidationSamples,
    bands: int,
    rng: np.random.Generator,
    stack: bool = True,
    max_samples: int = MAX_SAMPLES,
) -> StackedModel:
    """Select the candidate with the lowest cross-validated error, and calibrate its uncertainty.

    ``stack`` False: the candidates are single experts only. ``max_samples``: more samples are thinned at random.
    """
    if len(samples) > max_samples:
        samples = samples.subset(np.sort(rng.choice(len(samples), max_samples, replace=False)))
    errors = samples.errors()
    rules = {name: single_expert(name, number, len(samples.names)) for number, name in enumerate(samples.names)}
    estimates: dict[str, NDArray[np.float64]] = {
        name: samples.estimates[:, number].astype(np.float64) for number, name in enumerate(samples.names)
    }
    for suffix, experts in stacked_experts(samples.names) if stack else ():
        for scheme in WEIGHT_SCHEMES:
            name = scheme.name + suffix
            rules[name] = fit_weights(name, samples, errors, experts, scheme)
            estimates[name] = cross_validate(samples, errors, experts, scheme)
    scores = {name: float(np.sqrt(np.mean(np.square(value - samples.truth)))) for name, value in estimates.items()}
    selected = min(scores, key=scores.__getitem__)
    model, deviation = _calibrate(samples, rules[selected], estimates[selected], bands)
    return StackedModel(samples.names, rules[selected], model, scores, estimates[selected], deviation, samples)


def unvalidated_model(samples: ValidationSamples, bands: int) -> StackedModel:
    """The model if too few pixels can be hidden: harmonic interpolation, or else the first expert."""
    number = samples.names.index("harmonic") if "harmonic" in samples.names else 0
    name = samples.names[number]
    rule = single_expert(name, number, len(samples.names))
    none = np.zeros(0)
    model = uncertainty.roughness_as_variance(DISTANCE_CLASSES, bands, UNCERTAINTY_TERMS)
    return StackedModel(samples.names, rule, model, {}, none, none, samples.subset(np.zeros(0, np.int64)))


def _calibrate(
    samples: ValidationSamples, rule: WeightRule, held_out_estimate: NDArray[np.float64], bands: int
) -> tuple[UncertaintyModel, NDArray[np.float64]]:
    """The uncertainty model from all samples, and the deviation of each sample by the model of the other folds."""
    weights = rule.pixel_weights(samples.distance_class, samples.roughness)
    mean = (samples.estimates * weights).sum(axis=1)
    disagreement = (weights * np.square(samples.estimates - mean[:, None])).sum(axis=1)
    squared_error = np.square(held_out_estimate - samples.truth)
    terms = samples.uncertainty_terms(disagreement)

    def fit(chosen: Mask) -> UncertaintyModel:
        return uncertainty.fit_uncertainty(
            squared_error[chosen],
            samples.distance_class[chosen],
            samples.band[chosen],
            [term[chosen] for term in terms],
            DISTANCE_CLASSES,
            bands,
        )

    model = fit(np.ones(len(samples), bool))
    deviation = np.empty(len(samples))
    folds = np.unique(samples.fold)
    for fold in folds:
        inside = samples.fold == fold
        fitted = fit(~inside) if len(folds) > 1 else model
        deviation[inside] = fitted.deviation(
            samples.distance_class[inside], samples.band[inside], [term[inside] for term in terms]
        )
    return model, deviation
