"""Weight rules of stacks: which experts are stacked, and weights that minimise the squared error of the samples.

Source: Breiman, Stacked regressions (1996); shrinkage of the weights is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.simplex_weights import minimize_on_simplex
from .experts.registry import GAP_EXPERTS
from .features import DISTANCE_CLASSES
from .samples import ValidationSamples

ROUGHNESS_LEVELS = 3  # low, medium, high: terciles of the samples
_PRIOR_SAMPLES = 20_000  # weight of the common error products in those of a class or level
_VARIANT_SHRINKAGE = 0.25  # in the mean squared difference of the two variants


@dataclass(frozen=True)
class WeightScheme:
    """How the weights of a stack differ: by distance class, by level of roughness, or not at all.

    ``name``: in the DEEP_PRIOR tag; ``label``: in reports.
    """

    name: str
    label: str
    by_class: bool
    by_level: bool


WEIGHT_SCHEMES = (
    WeightScheme("one weight", "Weighted mean, one weight per method", False, False),
    WeightScheme("weights by distance", "Weighted mean, weights by distance", True, False),
    WeightScheme("weights by roughness", "Weighted mean, weights by texture", False, True),
    WeightScheme("weights by distance and roughness", "Weighted mean, weights by distance and texture", True, True),
)


@dataclass(frozen=True)
class WeightRule:
    """Weights ``(level, class, expert)``, and the upper roughness of all levels but the last, ``(level - 1,)``."""

    name: str
    weights: NDArray[np.float64]
    limits: NDArray[np.float64]

    def pixel_weights(self, distance_class: NDArray[np.integer], roughness: NDArray) -> NDArray[np.float64]:
        """The weights ``(..., expert)`` of pixels whose features are ``(...)``."""
        return self.weights[np.searchsorted(self.limits, roughness), distance_class]


def rule_label(name: str) -> str:
    """The label of a candidate (an expert or a stack) for reports."""
    if name in GAP_EXPERTS:
        return GAP_EXPERTS[name].label
    for scheme in WEIGHT_SCHEMES:
        if name.startswith(scheme.name + ",") or name == scheme.name:
            return scheme.label + name[len(scheme.name) :]
    return name


def single_expert(name: str, number: int, experts: int) -> WeightRule:
    """The rule that uses expert ``number`` of ``experts`` alone."""
    return WeightRule(name, np.tile(np.eye(experts)[number], (1, DISTANCE_CLASSES, 1)), np.zeros(0))


def stacked_experts(names: Sequence[str]) -> list[tuple[str, NDArray[np.int64]]]:
    """The sets of experts to stack, as a suffix of the rules' names and the experts' numbers.

    Sets of one expert are left out. An optional expert is in the second set only.
    """
    records = [GAP_EXPERTS.get(name) for name in names]
    everyone = [number for number, record in enumerate(records) if record is None or record.stacked]
    optional = [number for number in everyone if (record := records[number]) and record.optional_in_stack]
    others = [number for number in everyone if number not in optional]
    sets = [("", others)]
    if optional:
        added = " and the ".join(names[number].replace("_", " ") for number in optional)
        sets.append((f", with the {added}", everyone))
    return [(suffix, np.array(numbers, np.int64)) for suffix, numbers in sets if len(numbers) > 1]


def fit_weights(
    name: str, samples: ValidationSamples, errors: NDArray[np.float64], experts: NDArray[np.int64], scheme: WeightScheme
) -> WeightRule:
    """The rule that minimises the squared error of a stack of ``experts`` (numbers) on the samples.

    ``errors``: ``(sample, expert)``. Error products of each class or level are shrunk to those of all samples.
    """
    pooled = errors.T @ errors / max(len(errors), 1)
    quantiles = np.arange(1, ROUGHNESS_LEVELS) / ROUGHNESS_LEVELS if scheme.by_level else np.zeros(0)
    limits: NDArray[np.float64] = np.quantile(samples.roughness.astype(np.float64), quantiles)
    level = np.searchsorted(limits, samples.roughness)
    names = [samples.names[number] for number in experts]
    weights = np.empty((len(limits) + 1, DISTANCE_CLASSES, errors.shape[1]))
    for number in np.ndindex(len(limits) + 1, DISTANCE_CLASSES if scheme.by_class else 1):
        own = errors[(level == number[0]) & ((samples.distance_class == number[1]) | (not scheme.by_class))]
        products = (own.T @ own + _PRIOR_SAMPLES * pooled) / (len(own) + _PRIOR_SAMPLES)
        own_weights = np.zeros(errors.shape[1])
        own_weights[experts] = minimize_on_simplex(shrink_variants(products[np.ix_(experts, experts)], names))
        weights[number if scheme.by_class else number[0]] = own_weights
    return WeightRule(name, weights, limits)


def cross_validate(
    samples: ValidationSamples, errors: NDArray[np.float64], experts: NDArray[np.int64], scheme: WeightScheme
) -> NDArray[np.float64]:
    """The estimate of each sample ``(sample,)`` with the weights of the other folds."""
    folds = np.unique(samples.fold)
    estimate = np.empty(len(samples))
    for fold in folds:
        inside = samples.fold == fold
        rest = np.flatnonzero(~inside if len(folds) > 1 else inside)
        rule = fit_weights("", samples.subset(rest), errors[rest], experts, scheme)
        weights = rule.pixel_weights(samples.distance_class[inside], samples.roughness[inside])
        estimate[inside] = (samples.estimates[inside] * weights).sum(axis=1)
    return estimate


def shrink_variants(products: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Mean error products ``(expert, expert)`` plus a penalty that draws two variants to their usual shares.

    The penalty is ``c D (v q - w p)^2`` for the weights *v*, *w* of the variants, their usual shares *p*, *q* and the
    mean squared difference *D* of their estimates. Unchanged unless both variants are among ``names``.
    """
    variants = [record for record in GAP_EXPERTS.values() if record.variant_share is not None]
    if not {record.name for record in variants} <= set(names):
        return products
    first, second = (names.index(record.name) for record in variants)
    difference = products[first, first] + products[second, second] - 2.0 * products[first, second]
    direction = np.zeros(len(names))
    direction[[first, second]] = variants[1].variant_share, -(variants[0].variant_share or 0.0)
    return products + _VARIANT_SHRINKAGE * difference * np.outer(direction, direction)
