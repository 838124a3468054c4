"""The mixture: never worse than its best expert, and an uncertainty that means what it says."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps

from dip_core.imaging.observation import Observation
from dip_core.imaging.simplex_weights import minimize_on_simplex
from dip_core.inpainting import stacking
from dip_core.inpainting.features import CLASSES, TERMS, classes, roughness, surroundings
from dip_core.inpainting.stacking import Samples, elect, unvalidated

COUNT = 12_000


def samples(errors, names=None, seed=0, **facts):
    """Samples of a standard normal truth with the given errors ``(sample, expert)``; two bands, four folds."""
    rng = np.random.default_rng([seed, 9])
    count = len(errors)
    truth = rng.normal(size=count).astype(np.float32)
    found = {
        "names": tuple(names or [f"e{number}" for number in range(errors.shape[1])]),
        "estimates": (truth[:, None] + errors).astype(np.float32),
        "truth": truth,
        "baseline": truth + 1,
        "band": rng.integers(0, 2, count),
        "kind": rng.integers(0, CLASSES, count),
        "distance": np.ones(count, np.float32),
        "roughness": np.ones(count, np.float32),
        "wide": np.ones(count, np.float32),
        "rim": np.ones(count, np.float32),
        "layout": np.ones(count, np.float32),
        "fold": rng.integers(0, 4, count),
    }
    return Samples(**{**found, **facts})


def noise(*deviations, seed=0, count=COUNT):
    """Independent normal errors, one column an expert."""
    return np.random.default_rng(seed).normal(size=(count, len(deviations))) * deviations


def choose(found, mix=True, bands=2):
    return elect(found, bands, np.random.default_rng(0), mix)


# Weights


def test_two_equal_experts_share_and_gain():
    """Independent errors of equal size: the mean's deviation is theirs over the root of 2."""
    chosen = choose(samples(noise(1.0, 1.0)))
    np.testing.assert_allclose(chosen.rule.weights, 0.5, atol=0.05)
    # 12000 samples know a deviation to 1 / sqrt(24000) = 0.6 %.
    assert chosen.scores[chosen.rule.name] == pytest.approx(1 / np.sqrt(2), rel=0.02)
    assert np.sqrt(np.mean((chosen.heldout - chosen.samples.truth) ** 2)) == pytest.approx(
        chosen.scores[chosen.rule.name]
    )


def test_weights_follow_precision():
    """Deviations of 1 and 2: weights are inverse to variances, 4 to 1."""
    chosen = choose(samples(noise(1.0, 2.0)))
    np.testing.assert_allclose(chosen.rule.weights, [[[0.8, 0.2]] * CLASSES], atol=0.05)


def test_an_expert_that_only_adds_noise_gets_nothing():
    """One error is the other plus noise: no convex mixture gains, and the good expert stands alone."""
    good = noise(1.0)
    chosen = choose(samples(np.hstack([good, good + noise(1.0, seed=1)])))
    np.testing.assert_allclose(chosen.rule.weights, [[[1.0, 0.0]] * CLASSES], atol=0.03)
    assert chosen.used[0] == 0


def test_each_distance_has_its_weights_where_it_pays():
    """One expert is good near the rim, the other far from it."""
    many = 10 * COUNT
    found = samples(noise(1.0, 1.0, count=many))
    near = found.kind <= 2
    errors = noise(1.0, 1.0, count=many) * np.where(near[:, None], [0.2, 1.0], [1.0, 0.2])
    chosen = choose(samples(errors, kind=found.kind))
    assert chosen.rule.name == "weights by distance"
    # Alone, a class would give the better one 96 %; the 20,000 pooled samples that it must outvote pull it to a half.
    assert (chosen.rule.weights[0, :3, 0] > 0.7).all() and (chosen.rule.weights[0, 3:, 1] > 0.7).all()


def test_interpolators_that_kriging_stands_for_are_in_no_mixture():
    """Alone they may win; where a mixture does, it goes without them."""
    errors = noise(1.0, 1.0, 1.0)
    chosen = choose(samples(errors, names=("harmonic", "kriging", "biharmonic")))
    np.testing.assert_allclose(chosen.rule.weights, [[[0.0, 0.5, 0.5]] * CLASSES], atol=0.05)
    alone = choose(samples(errors * [0.5, 1.0, 1.0], names=("harmonic", "kriging", "biharmonic")))
    assert alone.rule.name == "harmonic"


def test_mixtures_stand_with_and_without_the_deep_prior():
    """It takes part where the folds agree that it helps; where one of them would lose by it, the others still mix."""
    names = ("kriging", "biharmonic", "deep_prior")
    errors = noise(1.0, 1.0, 1.0)
    helps = choose(samples(errors, names=names))
    assert helps.rule.name == "one weight, with the deep prior"
    np.testing.assert_allclose(helps.rule.weights, 1 / 3, atol=0.05)
    assert helps.scores[helps.rule.name] < helps.scores["one weight"] < helps.scores["kriging"]
    fold = samples(errors).fold
    errors[:, 2] *= np.where(fold == 0, 4.0, 0.4)
    fails = choose(samples(errors, names=names, fold=fold))
    assert fails.rule.name == "one weight"
    np.testing.assert_allclose(fails.rule.weights, [[[0.5, 0.5, 0.0]] * CLASSES], atol=0.05)


@pytest.mark.parametrize("first", [0.95, 1.0, 1.1])
def test_two_sizes_of_one_method_are_drawn_to_their_usual_shares(first):
    """By a fifth of the way to 0.7, from the share that has the least error."""
    products = np.array([[first, 0.875], [0.875, 1.0]])
    difference = first + 1.0 - 2 * 0.875
    found = 0.5 + (1.0 - first) / (2 * difference)
    names = ["plug_and_play", "plug_and_play_fine"]
    np.testing.assert_allclose(
        minimize_on_simplex(stacking._drawn(products, names))[0], 0.8 * found + 0.2 * 0.7, atol=1e-3
    )
    np.testing.assert_array_equal(stacking._drawn(products, ["kriging", "plug_and_play_fine"]), products)


def test_rules_draw_the_shares_of_two_sizes():
    """Shares of least error are 0.5; a fifth of the way to 0.7 is 0.54."""
    errors = noise(1.0, 1.0, 3.0)
    errors[: COUNT // 2] = errors[COUNT // 2 :][:, [1, 0, 2]]  # so that both twins are exactly as good
    twins = choose(samples(errors, ["plug_and_play", "plug_and_play_fine", "kriging"], fold=np.arange(COUNT) % 2))
    first, second = twins.rule.weights.mean(axis=(0, 1))[:2]
    assert first / (first + second) == pytest.approx(0.54, abs=0.005)


def test_rough_and_smooth_surroundings_have_their_weights_where_it_pays():
    """One expert is good where it is smooth, the other where it is rough; distance tells nothing."""
    rough = np.random.default_rng(4).uniform(0.0, 3.0, COUNT).astype(np.float32)
    errors = noise(1.0, 1.0) * np.where(rough[:, None] < 1.0, [0.2, 1.0], [1.0, 0.2])
    chosen = choose(samples(errors, roughness=rough))
    assert chosen.rule.name == "weights by roughness"
    np.testing.assert_allclose(chosen.rule.limits, [1.0, 2.0], atol=0.05)
    kind = np.zeros(3, int)
    assert (chosen.rule.of(kind, np.array([0.1, 1.5, 2.9]))[:, 1] > 0.6).tolist() == [False, True, True]


def test_both_together_where_both_matter():
    rough = np.random.default_rng(4).uniform(0.0, 2.0, 4 * COUNT).astype(np.float32)
    plain = samples(noise(1.0, 1.0, count=4 * COUNT))
    first = (rough < 0.66) ^ (plain.kind <= 2)
    errors = noise(1.0, 1.0, count=4 * COUNT) * np.where(first[:, None], [0.2, 1.0], [1.0, 0.2])
    assert choose(samples(errors, kind=plain.kind, roughness=rough)).rule.name == "weights by distance and roughness"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [40, 400, 4000])
def test_never_worse_than_the_best_expert_on_its_samples(seed, count):
    rng = np.random.default_rng(seed)
    shape = rng.normal(size=(4, 4))
    errors = rng.standard_t(3, size=(count, 4)) @ shape + rng.normal(size=4) * 0.3
    found = samples(errors, seed=seed)
    chosen = choose(found)
    each = np.sqrt(np.mean(errors**2, axis=0))
    assert chosen.scores[chosen.rule.name] <= each.min() * (1 + 1e-5)
    assert chosen.scores[chosen.rule.name] == min(chosen.scores.values())
    assert (chosen.rule.weights >= 0).all()
    np.testing.assert_allclose(chosen.rule.weights.sum(axis=2), 1.0)


def test_the_score_of_a_mixture_is_that_on_other_folds():
    """Experts that are pure chance: weights fitted to their own samples would seem to gain 5 %."""
    errors = noise(*[1.0] * 30, count=300, seed=3)
    errors[:, 0] *= 0.4
    chosen = choose(samples(errors, kind=np.full(300, 3)))
    found = samples(errors, kind=np.full(300, 3))
    mixed = np.arange(errors.shape[1])
    weights = stacking._weighted("", found, errors, mixed, by_class=True, by_level=False).weights[0, 3]
    fitted = float(np.sqrt(np.mean((errors @ weights) ** 2)))
    assert chosen.scores["weights by distance"] > 1.03 * fitted


@pytest.mark.parametrize("excess, mixed", [(0.999, True), (1.001, False)])
def test_a_mixture_wins_only_where_it_has_the_lowest_error(monkeypatch, excess, mixed):
    found = samples(noise(1.0, 1.5))
    near = found.truth + (found.estimates[:, 0] - found.truth) * excess
    monkeypatch.setattr(stacking, "_crossed", lambda *given: near)
    assert (choose(found).rule.name not in found.names) is mixed


def test_one_expert_alone_where_no_mixture_is_wanted():
    chosen = choose(samples(noise(1.0, 0.8, 1.2), names=("a", "b", "c")), mix=False)
    assert set(chosen.scores) == {"a", "b", "c"} and chosen.rule.name == "b" and chosen.used == [1]


def test_a_perfect_expert_wins():
    chosen = choose(samples(np.hstack([noise(1.0), np.zeros((COUNT, 1))])))
    assert chosen.scores[chosen.rule.name] < 1e-6
    assert np.isfinite(chosen.deviation).all() and (chosen.deviation > 0).all()


def test_millions_of_samples_are_thinned(monkeypatch):
    monkeypatch.setattr(stacking, "_MOST_SAMPLES", 1000)
    chosen = choose(samples(noise(1.0, 1.0)))
    assert len(chosen.samples) == 1000 == len(chosen.heldout) == len(chosen.deviation)
    assert len(chosen.samples.estimates) == 1000


def test_the_same_samples_give_the_same_mixture():
    first, again = (choose(samples(noise(1.0, 1.3, 0.9))) for _ in range(2))
    np.testing.assert_array_equal(first.rule.weights, again.rule.weights)
    np.testing.assert_array_equal(first.spread.factors, again.spread.factors)


# Uncertainty


def share_within(chosen, found, errors, sigmas):
    """The share of fresh errors within so many predicted deviations; ``found`` tells what is known of the pixels."""
    weights = chosen.rule.of(found.kind, found.roughness)
    mean = (found.estimates * weights).sum(axis=1)
    scatter = (weights * (found.estimates - mean[:, None]) ** 2).sum(axis=1)
    deviation = chosen.spread.deviation(found.kind, found.band, found.terms(scatter))
    return np.mean(np.abs((errors * weights).sum(axis=1)) <= sigmas * deviation)


@pytest.mark.parametrize("tails", [None, 4])
def test_one_deviation_covers_68_percent_and_two_95(tails):
    """Fresh errors whose size follows the roughness; with longer tails both shares are met as nearly as can be."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        rough = rng.uniform(0.1, 4.0, COUNT).astype(np.float32)
        unit = rng.normal(size=(COUNT, 2)) if tails is None else rng.standard_t(tails, (COUNT, 2)) / np.sqrt(2)
        errors = unit * np.sqrt(rough)[:, None]
        return samples(errors, seed=seed, roughness=rough), errors

    chosen = choose(draw(1)[0])
    found, errors = draw(2)
    # The project's goal is 68 +- 5 %; 12000 samples know the share to half a percent.
    assert share_within(chosen, found, errors, 1) == pytest.approx(0.683, abs=0.03 if tails is None else 0.05)
    assert share_within(chosen, found, errors, 2) == pytest.approx(0.954, abs=0.015 if tails is None else 0.025)
    # The report judges each sample by a model of the other folds, and finds the same.
    within = np.abs(chosen.heldout - chosen.samples.truth) <= chosen.deviation
    assert within.mean() == pytest.approx(0.683, abs=0.05)
    # Rough places are uncertain places.
    rough = found.roughness > 2
    deviation = chosen.spread.deviation(found.kind, found.band, found.terms(np.zeros(COUNT)))
    assert deviation[rough].mean() > 1.5 * deviation[~rough].mean()


def test_each_band_is_calibrated():
    found = samples(noise(1.0, 1.0))
    errors = noise(1.0, 1.0) * np.where(found.band[:, None] == 1, 3.0, 1.0)
    chosen = choose(samples(errors))
    for band in (0, 1):
        own = chosen.samples.band == band
        within = np.abs(chosen.heldout - chosen.samples.truth)[own] <= chosen.deviation[own]
        assert within.mean() == pytest.approx(0.683, abs=0.05)


def test_where_experts_disagree_the_mixture_is_uncertain():
    """Errors in proportion to what the experts differ by."""
    rng = np.random.default_rng(5)
    size = rng.choice([0.2, 2.0], COUNT)
    chosen = choose(samples(rng.normal(size=(COUNT, 8)) * size[:, None]))
    assert chosen.deviation[size == 2.0].mean() > 2 * chosen.deviation[size == 0.2].mean()


def test_without_validation_the_roughness_is_the_variance():
    empty = samples(noise(1.0, 1.0), names=("linear", "harmonic"))
    chosen = unvalidated(empty, 2)
    assert chosen.used == [1] and len(chosen.samples) == 0 and chosen.scores == {}
    kind, band = np.zeros(3, int), np.array([0, 1, 1])
    np.testing.assert_allclose(
        chosen.spread.deviation(kind, band, (np.array([1.0, 4.0, 0.0]), *np.ones((TERMS - 1, 3)))),
        [1, 2, 0.01],
        rtol=1e-3,
    )
    only = samples(noise(1.0), names=("paper_composite",))
    assert unvalidated(only, 2).used == [0]


# Mixing a window


def window():
    """Two bands, 40 x 50, gaps, an exterior, and values borrowed in one place."""
    values = ((landscape(2, 40, 50) - 125) / 40).astype(np.float32)
    gap = np.broadcast_to(slanted_gaps(40, 50), values.shape).copy()
    outside = np.zeros((40, 50), bool)
    outside[:, 44:] = True
    gap &= ~outside
    borrowed = np.zeros_like(gap)
    borrowed[0, :, 20:24] = gap[0, :, 20:24]
    observed = (~gap & ~outside) | borrowed
    return Observation(np.where(observed, values, 0).astype(np.float32), observed, gap), borrowed


def combine(chosen, estimates, observation, borrowed):
    wanted = observation.target
    return chosen.combine(estimates, observation, wanted, surroundings(observation, borrowed, wanted))


def test_combine_keeps_what_was_observed_and_tells_the_deviation():
    observation, borrowed = window()
    chosen = choose(samples(noise(1.0, 1.0)))
    estimates = [np.full(observation.shape, value, np.float32) for value in (1.0, 3.0)]
    mean, deviation = combine(chosen, estimates, observation, borrowed)
    assert mean.dtype == deviation.dtype == np.float32
    np.testing.assert_array_equal(mean[observation.observed], observation.values[observation.observed])
    rest = observation.target & ~borrowed
    weights = chosen.rule.of(classes(observation, borrowed), roughness(observation))
    np.testing.assert_allclose(mean[rest], (weights @ [1.0, 3.0])[rest], rtol=1e-6)
    # Borrowed values are estimates too, and have a deviation; really observed ones and the exterior have none.
    assert (deviation[observation.target] > 0).all()
    assert (deviation[~observation.target] == 0).all() and (mean[:, :, 44:] == 0).all()


def test_combine_wants_the_estimates_of_used_experts_only():
    good = noise(1.0)
    chosen = choose(samples(np.hstack([good + noise(2.0, seed=1), good, good + noise(2.0, seed=2)])), mix=False)
    observation, borrowed = window()
    assert chosen.used == [1]
    mean, _ = combine(chosen, [np.full(observation.shape, 2.0, np.float32)], observation, borrowed)
    assert (mean[observation.target & ~borrowed] == 2.0).all()
