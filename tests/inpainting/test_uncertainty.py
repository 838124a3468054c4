"""The uncertainty model: recovered coefficients, limits, and factors that calibrate it."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.inpainting.uncertainty import calibration_factor, fit_uncertainty, roughness_as_variance

COUNT = 20_000
CLASSES, BANDS = 3, 2
CONSTANT = np.ones(COUNT)


def features(seed=0, count=COUNT):
    """Distance class, band, disagreement and roughness of random pixels."""
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, CLASSES, count),
        rng.integers(0, BANDS, count),
        np.exp(rng.normal(size=count)),
        np.exp(rng.normal(size=count)),
    )


def errors(distance_class, disagreement, rough, seed=1):
    """Normal errors of variance ``2^class * 0.3 * rough^0.7 * disagreement^0.4``."""
    variance = 2.0**distance_class * 0.3 * rough**0.7 * disagreement**0.4
    return np.random.default_rng(seed).normal(size=len(distance_class)) * np.sqrt(variance)


def fit(error, distance_class, band, terms, classes=CLASSES):
    return fit_uncertainty(np.square(error), distance_class, band, terms, classes, BANDS)


def test_levels_and_powers_are_recovered():
    kind, band, disagreement, rough = features()
    model = fit(errors(kind, disagreement, rough), kind, band, (rough, disagreement, CONSTANT))
    # 20000 squares determine a power to about 0.01; the classes are shrunk by 50 of 6700 samples each.
    np.testing.assert_allclose(model.powers, [0.7, 0.4, 0.0], atol=0.04)
    np.testing.assert_allclose(np.diff(model.levels), np.log(2.0), atol=0.08)
    np.testing.assert_allclose(model.factors, 1.0, atol=0.03)


def test_a_further_term_transfers_from_hidden_pixels_to_gaps():
    """Hidden pixels mostly have a high kriging variance, the pixels to be filled a low one."""
    kind, band, disagreement, rough = features()
    kriging_variance = np.random.default_rng(4).uniform(0.05, 1.0, COUNT)
    error = errors(kind, disagreement, rough) * kriging_variance**0.3
    low = kriging_variance < 0.3
    hidden = (np.arange(COUNT) % 10 == 0) | ~low
    terms = (rough, disagreement, kriging_variance)
    model = fit(error[hidden], kind[hidden], band[hidden], [term[hidden] for term in terms])
    assert model.powers[2] == pytest.approx(0.6, abs=0.06)
    ratio = np.abs(error / model.deviation(kind, band, terms))[low]
    assert np.mean(ratio <= 1) == pytest.approx(0.683, abs=0.02)


def test_both_shares_are_matched_if_the_model_is_true():
    kind, band, disagreement, rough = features()
    model = fit(errors(kind, disagreement, rough), kind, band, (rough, disagreement, CONSTANT))
    kind, band, disagreement, rough = features(seed=5)
    deviation = model.deviation(kind, band, (rough, disagreement, CONSTANT))
    ratio = np.abs(errors(kind, disagreement, rough, seed=6)) / deviation
    assert np.mean(ratio <= 1) == pytest.approx(0.683, abs=0.015)
    assert np.mean(ratio <= 2) == pytest.approx(0.954, abs=0.01)


def test_powers_are_not_negative():
    """Errors that decrease with the roughness."""
    kind, band, disagreement, rough = features()
    model = fit(errors(kind, disagreement, 1.0 / rough), kind, band, (rough, disagreement, CONSTANT))
    assert model.powers[0] == 0.0 and model.powers[1] > 0.3


def test_a_class_without_samples_has_the_mean_level():
    """The mean over samples, not over classes: nine tenths of them are in class 0."""
    kind, band, disagreement, rough = features()
    kind = np.where(np.arange(COUNT) % 10 > 0, 0, kind)
    model = fit(errors(kind, disagreement, rough), kind, band, (rough, disagreement, CONSTANT), classes=5)
    count = np.bincount(kind, minlength=3)
    assert model.levels[3] == model.levels[4] == pytest.approx(np.average(model.levels[:3], weights=count))


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e3])
@pytest.mark.parametrize("flat", [True, False])
def test_deviations_are_finite_and_positive(size, flat):
    kind, band, disagreement, rough = features(count=300)
    constant = np.ones(300)
    if flat:
        disagreement, rough = np.zeros(300), np.zeros(300)
    model = fit(size * errors(kind, disagreement, rough + 1), kind, band, (rough, disagreement, constant))
    deviation = model.deviation(kind, band, (rough, disagreement, constant))
    assert np.isfinite(deviation).all() and (deviation > 0).all()
    extreme = model.deviation(kind, band, (rough * 1e12, disagreement * 1e12, constant))
    assert np.isfinite(extreme).all()


@pytest.mark.parametrize("error", [0.0, 1e-6])
@pytest.mark.parametrize("flat_share", [0.5, 0.72])
def test_flat_areas_do_not_make_the_others_certain(error, flat_share):
    """Water clipped to one value is filled without error, which says nothing about the land."""
    kind, band, disagreement, rough = features()
    flat = np.random.default_rng(3).random(COUNT) < flat_share
    error = np.where(flat, error, errors(kind, disagreement, rough))
    disagreement, rough = np.where(flat, 0.0, disagreement), np.where(flat, 0.0, rough)
    terms = (rough, disagreement, CONSTANT)
    ratio = np.abs(error / fit(error, kind, band, terms).deviation(kind, band, terms))[~flat]
    assert np.mean(ratio <= 1) == pytest.approx(0.683, abs=0.12)
    assert np.mean(ratio <= 2) == pytest.approx(0.954, abs=0.08)


def test_without_samples_the_roughness_is_the_variance():
    none = np.zeros(0)
    model = fit(none, none.astype(int), none.astype(int), (none, none, none))
    one = np.zeros(1, int)
    assert model.deviation(one, one, (np.full(1, 4.0), np.ones(1), np.ones(1)))[0] == pytest.approx(2.0, rel=1e-3)


def test_bands_have_their_own_factors():
    kind, band, disagreement, rough = features()
    error = errors(kind, disagreement, rough) * np.where(band == 1, 3.0, 1.0)
    model = fit(error, kind, band, (rough, disagreement, CONSTANT))
    assert model.factors[1] / model.factors[0] == pytest.approx(3.0, rel=0.05)


def test_one_deviation_has_five_times_the_weight_of_two():
    """Heavy tails: one deviation needs a factor of 1, two need 1.5; the result is in between."""
    ratio = np.sort(np.concatenate([np.linspace(0, 1, 6827), np.linspace(1, 3, 2726)[1:], np.full(448, 9.0)]))
    one, two = np.quantile(ratio, (0.6827, 0.9545))
    assert (one, two / 2) == (pytest.approx(1.0, abs=0.01), pytest.approx(1.5, abs=0.02))
    assert calibration_factor(ratio) == pytest.approx(1.5 ** (1 / 6), abs=0.01)


def test_terms_must_be_complete():
    model = roughness_as_variance(CLASSES, BANDS, 4)
    with pytest.raises(ValueError, match="4 terms are needed, 3 given"):
        model.deviation(np.zeros(1, int), np.zeros(1, int), [np.ones(1)] * 3)
