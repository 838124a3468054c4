"""The uncertainty: powers that are found again, floors that hold, factors that calibrate."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.inpainting import uncertainty

COUNT = 20_000
ALIKE = np.ones(COUNT)  # as much is missing around each pixel


def facts(seed=0, count=COUNT):
    """Class, band, spread and roughness of pixels."""
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 3, count),
        rng.integers(0, 2, count),
        np.exp(rng.normal(size=count)),
        np.exp(rng.normal(size=count)),
    )


def errors(kind, spread, rough, seed=1):
    """Normal errors of variance ``2^kind * 0.3 * rough^0.7 * spread^0.4``."""
    variance = 2.0**kind * 0.3 * rough**0.7 * spread**0.4
    return np.random.default_rng(seed).normal(size=len(kind)) * np.sqrt(variance)


def test_levels_and_powers_are_found_again():
    kind, band, spread, rough = facts()
    model = uncertainty.fit(np.square(errors(kind, spread, rough)), kind, band, (rough, spread, ALIKE), 3, 2)
    # 20000 squares know a power to 0.01 or so; the pull between classes is that of 50 samples of 6700.
    np.testing.assert_allclose(model.powers, [0.7, 0.4, 0.0], atol=0.04)
    np.testing.assert_allclose(np.diff(model.levels), np.log(2.0), atol=0.08)
    np.testing.assert_allclose(model.factors, 1.0, atol=0.03)


def test_where_less_encloses_a_pixel_errors_are_larger():
    """Hidden pixels lie mostly where less is left to go by than beside the pixels to be filled: they are told apart."""
    kind, band, spread, rough = facts()
    layout = np.random.default_rng(4).uniform(0.05, 1.0, COUNT)
    found = errors(kind, spread, rough) * layout**0.3
    well = layout < 0.3
    hidden = (np.arange(COUNT) % 10 == 0) | ~well
    terms = (rough, spread, layout)
    model = uncertainty.fit(
        np.square(found[hidden]), kind[hidden], band[hidden], [term[hidden] for term in terms], 3, 2
    )
    assert model.powers[2] == pytest.approx(0.6, abs=0.06)
    ratio = np.abs(found / model.deviation(kind, band, terms))[well]
    assert np.mean(ratio <= 1) == pytest.approx(0.683, abs=0.02)


def test_both_shares_are_met_where_the_model_holds():
    kind, band, spread, rough = facts()
    model = uncertainty.fit(np.square(errors(kind, spread, rough)), kind, band, (rough, spread, ALIKE), 3, 2)
    kind, band, spread, rough = facts(seed=5)
    ratio = np.abs(errors(kind, spread, rough, seed=6)) / model.deviation(kind, band, (rough, spread, ALIKE))
    assert np.mean(ratio <= 1) == pytest.approx(0.683, abs=0.015)
    assert np.mean(ratio <= 2) == pytest.approx(0.954, abs=0.01)


def test_more_roughness_never_makes_a_pixel_more_certain():
    """Errors that fall with the roughness: its power stays at 0."""
    kind, band, spread, rough = facts()
    model = uncertainty.fit(np.square(errors(kind, spread, 1.0 / rough)), kind, band, (rough, spread, ALIKE), 3, 2)
    assert model.powers[0] == 0.0 and model.powers[1] > 0.3


def test_a_class_without_samples_has_the_mean_level():
    """The mean over samples, not over classes: nine tenths of these are of class 0."""
    kind, band, spread, rough = facts()
    kind = np.where(np.arange(COUNT) % 10 > 0, 0, kind)
    model = uncertainty.fit(np.square(errors(kind, spread, rough)), kind, band, (rough, spread, ALIKE), 5, 2)
    count = np.bincount(kind, minlength=3)
    assert model.levels[3] == model.levels[4] == pytest.approx(np.average(model.levels[:3], weights=count))


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e3])
@pytest.mark.parametrize("flat", [True, False])
def test_any_size_of_error_and_flat_scenes_give_finite_deviations(size, flat):
    kind, band, spread, rough = facts(count=300)
    alike = np.ones(300)
    if flat:
        spread, rough = np.zeros(300), np.zeros(300)
    found = uncertainty.fit(np.square(size * errors(kind, spread, rough + 1)), kind, band, (rough, spread, alike), 3, 2)
    deviation = found.deviation(kind, band, (rough, spread, alike))
    assert np.isfinite(deviation).all() and (deviation > 0).all()
    extreme = found.deviation(kind, band, (rough * 1e12, spread * 1e12, alike))
    assert np.isfinite(extreme).all()


@pytest.mark.parametrize("error", [0.0, 1e-6])
@pytest.mark.parametrize("flat", [0.5, 0.72])
def test_flat_parts_do_not_make_the_others_certain(error, flat):
    """Water that is clipped to one value is filled without error, which says nothing of the land."""
    kind, band, spread, rough = facts()
    still = np.random.default_rng(3).random(COUNT) < flat
    found = np.where(still, error, errors(kind, spread, rough))
    spread, rough = np.where(still, 0.0, spread), np.where(still, 0.0, rough)
    model = uncertainty.fit(np.square(found), kind, band, (rough, spread, ALIKE), 3, 2)
    ratio = np.abs(found / model.deviation(kind, band, (rough, spread, ALIKE)))[~still]
    assert np.mean(ratio <= 1) == pytest.approx(0.683, abs=0.12)
    assert np.mean(ratio <= 2) == pytest.approx(0.954, abs=0.08)


def test_nothing_to_fit_to():
    none = np.zeros(0)
    model = uncertainty.fit(none, none.astype(int), none.astype(int), (none, none, none), 3, 2)
    one = np.zeros(1, int)
    assert model.deviation(one, one, (np.full(1, 4.0), np.ones(1), np.ones(1)))[0] == pytest.approx(2.0, rel=1e-3)


def test_bands_have_factors_of_their_own():
    kind, band, spread, rough = facts()
    wrong = errors(kind, spread, rough) * np.where(band == 1, 3.0, 1.0)
    model = uncertainty.fit(np.square(wrong), kind, band, (rough, spread, ALIKE), 3, 2)
    assert model.factors[1] / model.factors[0] == pytest.approx(3.0, rel=0.05)


def test_one_deviation_counts_five_times():
    """Errors with long tails: one deviation should be 1, two should be 1.5 of the model's; the factor is between."""
    ratio = np.sort(np.concatenate([np.linspace(0, 1, 6827), np.linspace(1, 3, 2726)[1:], np.full(448, 9.0)]))
    one, two = np.quantile(ratio, (0.6827, 0.9545))
    assert (one, two / 2) == (pytest.approx(1.0, abs=0.01), pytest.approx(1.5, abs=0.02))
    assert uncertainty._factor(ratio) == pytest.approx(1.5 ** (1 / 6), abs=0.01)


def test_terms_must_be_complete():
    model = uncertainty.as_rough(3, 2, 4)
    with pytest.raises(ValueError, match="4 terms are needed, 3 given"):
        model.deviation(np.zeros(1, int), np.zeros(1, int), [np.ones(1)] * 3)
