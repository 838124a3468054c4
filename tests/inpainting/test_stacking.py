"""Selection of the model: never worse than its best expert, with a calibrated uncertainty."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps
from validation_samples import COUNT, noise, samples, select

from dip_core.imaging.observation import Observation
from dip_core.inpainting import stacking
from dip_core.inpainting.feature_extraction import compute_features, distance_classes, roughness
from dip_core.inpainting.features import UNCERTAINTY_TERMS
from dip_core.inpainting.stacking import unvalidated_model

# Selection


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [40, 400, 4000])
def test_never_worse_than_the_best_expert_on_its_samples(seed, count):
    rng = np.random.default_rng(seed)
    errors = rng.standard_t(3, size=(count, 4)) @ rng.normal(size=(4, 4)) + rng.normal(size=4) * 0.3
    model = select(samples(errors, seed=seed))
    each = np.sqrt(np.mean(errors**2, axis=0))
    assert model.scores[model.rule.name] <= each.min() * (1 + 1e-5)
    assert model.scores[model.rule.name] == min(model.scores.values())
    assert (model.rule.weights >= 0).all()
    np.testing.assert_allclose(model.rule.weights.sum(axis=2), 1.0)


@pytest.mark.parametrize("relative_error, stacked", [(0.999, True), (1.001, False)])
def test_a_stack_is_selected_only_if_it_has_the_lowest_error(monkeypatch, relative_error, stacked):
    found = samples(noise(1.0, 1.5))
    estimate = found.truth + (found.estimates[:, 0] - found.truth) * relative_error
    monkeypatch.setattr(stacking, "cross_validate", lambda *arguments: estimate)
    assert (select(found).rule.name not in found.names) is stacked


def test_single_experts_only():
    model = select(samples(noise(1.0, 0.8, 1.2), names=("a", "b", "c")), stack=False)
    assert set(model.scores) == {"a", "b", "c"} and model.rule.name == "b"
    assert model.used == [1] and model.used_names == ["b"]


def test_a_perfect_expert_is_selected():
    model = select(samples(np.hstack([noise(1.0), np.zeros((COUNT, 1))])))
    assert model.scores[model.rule.name] < 1e-6
    assert np.isfinite(model.deviation).all() and (model.deviation > 0).all()


def test_too_many_samples_are_thinned():
    model = select(samples(noise(1.0, 1.0)), max_samples=1000)
    assert len(model.samples) == 1000 == len(model.held_out_estimate) == len(model.deviation)
    assert len(model.samples.estimates) == 1000


def test_the_same_samples_give_the_same_model():
    first, again = (select(samples(noise(1.0, 1.3, 0.9))) for _ in range(2))
    np.testing.assert_array_equal(first.rule.weights, again.rule.weights)
    np.testing.assert_array_equal(first.uncertainty.factors, again.uncertainty.factors)


# Uncertainty


def share_within(model, found, errors, deviations):
    """The share of new errors within ``deviations`` predicted standard deviations; ``found`` has the features."""
    weights = model.rule.pixel_weights(found.distance_class, found.roughness)
    mean = (found.estimates * weights).sum(axis=1)
    disagreement = (weights * (found.estimates - mean[:, None]) ** 2).sum(axis=1)
    predicted = model.uncertainty.deviation(found.distance_class, found.band, found.uncertainty_terms(disagreement))
    return np.mean(np.abs((errors * weights).sum(axis=1)) <= deviations * predicted)


@pytest.mark.parametrize("degrees_of_freedom", [None, 4])
def test_one_deviation_covers_68_percent_and_two_95(degrees_of_freedom):
    """New errors whose variance follows the roughness; with heavy tails both shares are matched approximately."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        rough = rng.uniform(0.1, 4.0, COUNT).astype(np.float32)
        if degrees_of_freedom is None:
            unit = rng.normal(size=(COUNT, 2))
        else:
            unit = rng.standard_t(degrees_of_freedom, (COUNT, 2)) / np.sqrt(2)
        errors = unit * np.sqrt(rough)[:, None]
        return samples(errors, seed=seed, roughness=rough), errors

    model = select(draw(1)[0])
    found, errors = draw(2)
    # The project's goal is 68 +- 5 %; 12000 samples determine the share to half a percent.
    heavy_tails = degrees_of_freedom is not None
    assert share_within(model, found, errors, 1) == pytest.approx(0.683, abs=0.05 if heavy_tails else 0.03)
    assert share_within(model, found, errors, 2) == pytest.approx(0.954, abs=0.025 if heavy_tails else 0.015)
    # The report evaluates each sample with a model of the other folds.
    within = np.abs(model.held_out_estimate - model.samples.truth) <= model.deviation
    assert within.mean() == pytest.approx(0.683, abs=0.05)
    rough = found.roughness > 2
    deviation = model.uncertainty.deviation(found.distance_class, found.band, found.uncertainty_terms(np.zeros(COUNT)))
    assert deviation[rough].mean() > 1.5 * deviation[~rough].mean()


def test_each_band_is_calibrated():
    errors = noise(1.0, 1.0)
    model = select(samples(errors * np.where(samples(errors).band[:, None] == 1, 3.0, 1.0)))
    for band in (0, 1):
        own = model.samples.band == band
        within = np.abs(model.held_out_estimate - model.samples.truth)[own] <= model.deviation[own]
        assert within.mean() == pytest.approx(0.683, abs=0.05)


def test_the_uncertainty_is_high_where_experts_disagree():
    """The errors are proportional to the disagreement."""
    rng = np.random.default_rng(5)
    size = rng.choice([0.2, 2.0], COUNT)
    model = select(samples(rng.normal(size=(COUNT, 8)) * size[:, None]))
    assert model.deviation[size == 2.0].mean() > 2 * model.deviation[size == 0.2].mean()


def test_without_validation_the_roughness_is_the_variance():
    model = unvalidated_model(samples(noise(1.0, 1.0), names=("linear", "harmonic")), 2)
    assert model.used == [1] and len(model.samples) == 0 and model.scores == {}
    terms = (np.array([1.0, 4.0, 0.0]), *np.ones((UNCERTAINTY_TERMS - 1, 3)))
    deviation = model.uncertainty.deviation(np.zeros(3, int), np.array([0, 1, 1]), terms)
    np.testing.assert_allclose(deviation, [1, 2, 0.01], rtol=1e-3)
    assert unvalidated_model(samples(noise(1.0), names=("paper_composite",)), 2).used == [0]


# Combination of the estimates of a window


@pytest.fixture
def window():
    """Two bands, 40 x 50, with gaps, an exterior, and some predicted pixels."""
    values = ((landscape(2, 40, 50) - 125) / 40).astype(np.float32)
    gap = np.broadcast_to(slanted_gaps(40, 50), values.shape).copy()
    outside = np.zeros((40, 50), bool)
    outside[:, 44:] = True
    gap &= ~outside
    predicted = np.zeros_like(gap)
    predicted[0, :, 20:24] = gap[0, :, 20:24]
    observed = (~gap & ~outside) | predicted
    return Observation(np.where(observed, values, 0).astype(np.float32), observed, gap), predicted


def combine(model, estimates, observation, predicted):
    features = compute_features(observation, predicted, observation.target)
    return model.combine(estimates, observation, observation.target, features)


def test_combine_keeps_observed_pixels_and_returns_the_deviation(window):
    observation, predicted = window
    model = select(samples(noise(1.0, 1.0)))
    estimates = [np.full(observation.shape, value, np.float32) for value in (1.0, 3.0)]
    mean, deviation = combine(model, estimates, observation, predicted)
    assert mean.dtype == deviation.dtype == np.float32
    np.testing.assert_array_equal(mean[observation.observed], observation.values[observation.observed])
    rest = observation.target & ~predicted
    weights = model.rule.pixel_weights(distance_classes(observation, predicted), roughness(observation))
    np.testing.assert_allclose(mean[rest], (weights @ [1.0, 3.0])[rest], rtol=1e-6)
    # Predicted pixels are estimates too and have a deviation; observed pixels and the exterior have none.
    assert (deviation[observation.target] > 0).all()
    assert (deviation[~observation.target] == 0).all() and (mean[:, :, 44:] == 0).all()


def test_combine_needs_the_estimates_of_used_experts_only(window):
    observation, predicted = window
    good = noise(1.0)
    errors = np.hstack([good + noise(2.0, seed=1), good, good + noise(2.0, seed=2)])
    model = select(samples(errors), stack=False)
    assert model.used == [1]
    mean, _ = combine(model, [np.full(observation.shape, 2.0, np.float32)], observation, predicted)
    assert (mean[observation.target & ~predicted] == 2.0).all()
