"""Weights of stacks: by precision, by distance and by texture, and which experts are stacked."""

from __future__ import annotations

import numpy as np
import pytest
from validation_samples import COUNT, noise, samples, select

from dip_core.imaging.simplex_weights import minimize_on_simplex
from dip_core.inpainting.experts.registry import GAP_EXPERTS
from dip_core.inpainting.features import DISTANCE_CLASSES
from dip_core.inpainting.weight_rules import WEIGHT_SCHEMES, cross_validate, fit_weights, rule_label, shrink_variants

BY_DISTANCE = WEIGHT_SCHEMES[1]


def same_for_all_classes(*weights):
    return [[list(weights)] * DISTANCE_CLASSES]


def test_two_equal_experts_have_equal_weights():
    """With independent errors of equal size, the error of the mean is theirs divided by the square root of 2."""
    model = select(samples(noise(1.0, 1.0)))
    np.testing.assert_allclose(model.rule.weights, 0.5, atol=0.05)
    # 12000 samples determine a standard deviation to 1 / sqrt(24000) = 0.6 %.
    assert model.scores[model.rule.name] == pytest.approx(1 / np.sqrt(2), rel=0.02)
    error = model.held_out_estimate - model.samples.truth
    assert np.sqrt(np.mean(error**2)) == pytest.approx(model.scores[model.rule.name])


def test_weights_are_inverse_to_variances():
    """Standard deviations of 1 and 2: weights 4 to 1."""
    np.testing.assert_allclose(select(samples(noise(1.0, 2.0))).rule.weights, same_for_all_classes(0.8, 0.2), atol=0.05)


def test_an_expert_that_only_adds_noise_gets_no_weight():
    """The error of the second expert is that of the first plus noise, so no stack is better than the first."""
    good = noise(1.0)
    model = select(samples(np.hstack([good, good + noise(1.0, seed=1)])))
    np.testing.assert_allclose(model.rule.weights, same_for_all_classes(1.0, 0.0), atol=0.03)
    assert model.used[0] == 0


def test_weights_by_distance():
    """One expert is good near the gap edge, the other far from it."""
    count = 10 * COUNT
    classes = samples(noise(1.0, 1.0, count=count)).distance_class
    errors = noise(1.0, 1.0, count=count) * np.where(classes[:, None] <= 2, [0.2, 1.0], [1.0, 0.2])
    model = select(samples(errors, distance_class=classes))
    assert model.rule.name == "weights by distance"
    # A class by itself would give the better expert 96 %; 20,000 pooled samples shrink this towards a half.
    assert (model.rule.weights[0, :3, 0] > 0.7).all() and (model.rule.weights[0, 3:, 1] > 0.7).all()


def test_weights_by_texture():
    """One expert is good on low texture, the other on high texture; distance has no effect."""
    roughness = np.random.default_rng(4).uniform(0.0, 3.0, COUNT).astype(np.float32)
    errors = noise(1.0, 1.0) * np.where(roughness[:, None] < 1.0, [0.2, 1.0], [1.0, 0.2])
    model = select(samples(errors, roughness=roughness))
    assert model.rule.name == "weights by roughness"
    np.testing.assert_allclose(model.rule.limits, [1.0, 2.0], atol=0.05)
    weights = model.rule.pixel_weights(np.zeros(3, int), np.array([0.1, 1.5, 2.9]))
    assert (weights[:, 1] > 0.6).tolist() == [False, True, True]


def test_weights_by_distance_and_texture():
    count = 4 * COUNT
    roughness = np.random.default_rng(4).uniform(0.0, 2.0, count).astype(np.float32)
    classes = samples(noise(1.0, 1.0, count=count)).distance_class
    first = (roughness < 0.66) ^ (classes <= 2)
    errors = noise(1.0, 1.0, count=count) * np.where(first[:, None], [0.2, 1.0], [1.0, 0.2])
    model = select(samples(errors, distance_class=classes, roughness=roughness))
    assert model.rule.name == "weights by distance and roughness"


def test_the_estimate_of_a_sample_has_weights_of_the_other_folds():
    """Experts of pure chance: weights fitted to the samples themselves would seem to gain 5 %."""
    errors = noise(*[1.0] * 30, count=300, seed=3)
    errors[:, 0] *= 0.4
    found = samples(errors, distance_class=np.full(300, 3))
    experts = np.arange(errors.shape[1])
    weights = fit_weights("", found, errors, experts, BY_DISTANCE).weights[0, 3]
    fitted = float(np.sqrt(np.mean((errors @ weights) ** 2)))
    estimate = cross_validate(found, found.errors(), experts, BY_DISTANCE)
    assert np.sqrt(np.mean((estimate - found.truth) ** 2)) > 1.03 * fitted


# Which experts are stacked


def test_linear_and_harmonic_interpolation_are_never_stacked():
    """They are candidates only on their own."""
    errors, names = noise(1.0, 1.0, 1.0), ("harmonic", "kriging", "biharmonic")
    np.testing.assert_allclose(
        select(samples(errors, names)).rule.weights, same_for_all_classes(0.0, 0.5, 0.5), atol=0.05
    )
    assert select(samples(errors * [0.5, 1.0, 1.0], names)).rule.name == "harmonic"


def test_stacks_with_and_without_the_deep_prior_are_candidates():
    """The deep prior is used if it helps in all folds; if it is bad in one, the others are stacked without it."""
    names, errors = ("kriging", "biharmonic", "deep_prior"), noise(1.0, 1.0, 1.0)
    helps = select(samples(errors, names))
    assert helps.rule.name == "one weight, with the deep prior"
    np.testing.assert_allclose(helps.rule.weights, 1 / 3, atol=0.05)
    assert helps.scores[helps.rule.name] < helps.scores["one weight"] < helps.scores["kriging"]
    fold = samples(errors).fold
    errors[:, 2] *= np.where(fold == 0, 4.0, 0.4)
    fails = select(samples(errors, names, fold=fold))
    assert fails.rule.name == "one weight"
    np.testing.assert_allclose(fails.rule.weights, same_for_all_classes(0.5, 0.5, 0.0), atol=0.05)


@pytest.mark.parametrize("first", [0.95, 1.0, 1.1])
def test_weights_of_two_variants_are_shrunk_to_their_usual_shares(first):
    """By a fifth of the way from the weight with the lowest error to 0.7."""
    products = np.array([[first, 0.875], [0.875, 1.0]])
    lowest = 0.5 + (1.0 - first) / (2 * (first + 1.0 - 2 * 0.875))
    shrunk = shrink_variants(products, ["plug_and_play", "plug_and_play_fine"])
    np.testing.assert_allclose(minimize_on_simplex(shrunk)[0], 0.8 * lowest + 0.2 * 0.7, atol=1e-3)
    np.testing.assert_array_equal(shrink_variants(products, ["kriging", "plug_and_play_fine"]), products)


def test_rules_shrink_the_weights_of_variants():
    """The weights with the lowest error are 0.5; a fifth of the way to 0.7 is 0.54."""
    errors = noise(1.0, 1.0, 3.0)
    errors[: COUNT // 2] = errors[COUNT // 2 :][:, [1, 0, 2]]  # both variants are equally good
    names = ["plug_and_play", "plug_and_play_fine", "kriging"]
    weights = select(samples(errors, names, fold=np.arange(COUNT) % 2)).rule.weights
    first, second = weights.mean(axis=(0, 1))[:2]
    assert first / (first + second) == pytest.approx(0.54, abs=0.005)


# Labels


def test_every_candidate_has_a_label():
    assert rule_label("kriging") == GAP_EXPERTS["kriging"].label
    assert rule_label("one weight") == "Weighted mean, one weight per method"
    assert rule_label("weights by distance, with the deep prior").endswith("by distance, with the deep prior")
    assert "texture" in rule_label("weights by distance and roughness")
