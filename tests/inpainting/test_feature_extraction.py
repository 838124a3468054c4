"""Features of missing pixels: distance classes, variances near and far and at the gap edge, and kriging variance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dip_core.imaging.observation import Observation
from dip_core.inpainting.feature_extraction import (
    NEAR_WINDOW,
    WIDE_WINDOW,
    compute_features,
    distance_classes,
    edge_variance,
    kriging_variance,
    roughness,
)
from dip_core.inpainting.features import DISTANCE_CLASSES, UNCERTAINTY_TERMS


def observation_of(values, observed):
    values = np.where(observed, values, 0).astype(np.float32)
    return Observation(values, observed, ~observed)


def no_pixels(observed):
    return np.zeros(observed.shape, bool)


def test_distance_classes():
    observed = np.zeros((1, 1, 30), bool)
    observed[0, 0, 0] = True
    observation = observation_of(0.0, observed)
    predicted = no_pixels(observed)
    predicted[0, 0, 25] = True
    classes = distance_classes(observation, predicted)[0, 0]
    # 1 pixel; 2 to 3; 4 to 6; 7 and more; and 0 for pixels predicted from other bands.
    assert classes[1:9].tolist() == [1, 2, 2, 3, 3, 3, 4, 4] and classes[25] == 0 and classes[29] == 4
    assumed = dataclasses.replace(observation, observed=np.ones_like(observed), assumed=~observed)
    assert distance_classes(assumed, no_pixels(observed))[0, 0, 5] == DISTANCE_CLASSES - 1


# Kriging variance


def kriging_variance_map(observed):
    """The kriging variance of all pixels that are not observed, as a map."""
    out = np.zeros(observed.shape, np.float32)
    out[~observed] = kriging_variance(observation_of(0.0, observed), no_pixels(observed), ~observed)
    return out


def test_kriging_variance_grows_with_distance_width_and_openness():
    observed = np.ones((1, 90, 60), bool)
    observed[0, 20:25] = False  # narrow
    observed[0, 50:65] = False  # wide
    observed[0, 80:] = False  # open to one side
    column = kriging_variance_map(observed)[0, :, 30]
    assert column[20] < column[21] < column[22] and column[20] == pytest.approx(column[24], rel=1e-5)
    assert column[20] < column[50] < column[80]  # beside the gap edge
    assert column[22] < column[52] < column[82]  # the third pixel from the edge
    assert 0 < column[~observed[0, :, 30]].min() and column.max() < 1


def test_kriging_variance_solves_the_equations():
    """With symmetric neighbours the weights are equal, and the variance is 1 - 2 w . c0 + w' C w."""
    observed = np.zeros((1, 1, 60), bool)
    observed[0, 0, [0, 2]] = True
    row = kriging_variance_map(observed)[0, 0]
    assert row[1] == pytest.approx(1 - 2 * np.exp(-1 / 30) + (1 + np.exp(-2 / 30)) / 2, rel=1e-3)
    assert row[22] < 1 and (row[23:] == 1.0).all()  # no observed pixel within 20 pixels
    observed = np.zeros((1, 3, 3), bool)
    observed[0, [0, 0, 2, 2], [0, 2, 0, 2]] = True
    with_target = np.exp(-np.sqrt([2.0, 2.0, 2.0, 2.0]) / 30)
    distances = np.array([[0, 2, 2, 8**0.5], [2, 0, 8**0.5, 2], [2, 8**0.5, 0, 2], [8**0.5, 2, 2, 0]])
    expected = 1 - 2 * with_target.mean() + np.exp(-distances / 30).mean()
    assert kriging_variance_map(observed)[0, 1, 1] == pytest.approx(expected, rel=1e-3)


def test_kriging_variance_at_the_corner_of_a_gap_that_opens_to_the_border():
    observed = np.ones((1, 40, 40), bool)
    observed[0, :, :6] = False
    variance = kriging_variance_map(observed)[0]
    np.testing.assert_allclose(variance[:, :6], variance[::-1, :6], rtol=0.2)  # each axis belongs to one quadrant
    assert variance[0, 5] < 2 * variance[20, 5] and (np.diff(variance[0, :6]) < 0).all()


def test_kriging_variance_ignores_predicted_pixels():
    observed = np.ones((1, 40, 40), bool)
    observed[0, 18:22] = False
    predicted = no_pixels(observed)
    predicted[0, 19] = True
    found = kriging_variance(observation_of(0.0, observed | predicted), predicted, ~observed)
    np.testing.assert_array_equal(found, kriging_variance_map(observed)[~observed])


def test_kriging_variance_is_computed_for_the_requested_pixels():
    """Bands with one mask and different requested pixels."""
    observed = np.ones((3, 20, 30), bool)
    observed[:, :, 10:14] = False
    observation = observation_of(0.0, observed)
    everywhere = kriging_variance_map(observed)
    some = ~observed
    some[1] = False
    some[2, 7:] = False
    np.testing.assert_array_equal(kriging_variance(observation, no_pixels(observed), some), everywhere[some])
    assert kriging_variance(observation, no_pixels(observed), no_pixels(observed)).shape == (0,)


# Roughness


def test_roughness_is_the_variance_around_a_pixel():
    values = np.random.default_rng(0).normal(size=(1, 100, 120)).astype(np.float32)
    values[:, :, 60:] *= 3
    observed = np.ones(values.shape, bool)
    observed[:, 45:50] = False
    observed[:, :30, :30] = False
    found = roughness(observation_of(values, observed))[0]
    # The variance of 15 x 15 pixels is known to about 10 %, its mean over the area far better.
    assert found[60:90, 10:50].mean() == pytest.approx(1.0, rel=0.1)
    assert found[60:90, 70:110].mean() == pytest.approx(9.0, rel=0.1)
    assert found[5, 5] == pytest.approx(values[observed].var(), rel=0.5)  # no observed pixel around: the mean of all
    nothing = no_pixels(observed)
    assert (roughness(observation_of(0.0, nothing)) == 1).all()


def test_a_wider_window_reaches_farther():
    values = np.random.default_rng(1).normal(size=(1, 80, 100)).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[:, 30:50] = False  # the middle of the gap is 10 pixels from its edges
    observation = observation_of(values, observed)
    near, wide = (roughness(observation, side)[0, 40] for side in (NEAR_WINDOW, WIDE_WINDOW))
    assert near[50] == pytest.approx(1.0, rel=0.05) and np.ptp(near) < 1e-6  # no observed pixel in 15 x 15
    assert np.ptp(wide) > 0.01 and wide.mean() == pytest.approx(1.0, rel=0.1)


# Edge variance


def edge_variance_map(observation, predicted, pixels):
    """The edge variance of the requested pixels as a map, 9 where too few pixels are observed, and 0 elsewhere."""
    out = np.zeros(observation.shape, np.float32)
    out[pixels] = edge_variance(observation, predicted, pixels, np.full(np.count_nonzero(pixels), 9.0))
    return out


def test_edge_variance_is_the_variance_of_the_nearest_pixels():
    values = np.zeros((2, 9, 9), np.float32)
    values[:, 6:] = 4.0  # an image edge along the gap
    observed = np.ones(values.shape, bool)
    observed[:, 3:6] = False
    observed[1, :, 4] = False
    found = edge_variance_map(observation_of(values, observed), no_pixels(observed), ~observed)
    # Up and down, at distances 1 and 3, 2 and 2, 3 and 1: 16 w (1 - w) with the weight w of one of them.
    np.testing.assert_allclose(found[0, 3:6, 2], [3.0, 4.0, 3.0], rtol=1e-5)
    # Row 7 of the second band has 4 left and right; where its two gaps cross, its row and column are empty.
    assert found[1, 7, 4] == 0
    assert found[1, 4, 4] == 9.0
    np.testing.assert_allclose(found[1, 4, 2], 4.0, rtol=1e-5)


def test_edge_variance_weights_near_pixels_more():
    values = np.zeros((1, 5, 12), np.float32)
    values[0, :, 0], values[0, :, 11] = 1.0, 3.0
    observed = np.zeros(values.shape, bool)
    observed[0, :, [0, 11]] = True
    observation = observation_of(values, observed)
    found = edge_variance_map(observation, no_pixels(observed), ~observed)
    # Distances 2 and 9: weights 9/11 and 2/11, so the variance is 4 x 9/11 x 2/11.
    np.testing.assert_allclose(found[0, :, 2], 4.0 * 18.0 / 121.0, rtol=1e-5)
    # Predicted pixels do not count: without the last column the gap has one side only.
    predicted = no_pixels(observed)
    predicted[0, :, 11] = True
    assert (edge_variance_map(observation, predicted, predicted | ~observed)[0, :, 1:] == 9.0).all()


def test_edge_variance_is_computed_for_the_requested_pixels():
    """Bands with one mask and different requested pixels."""
    values = np.random.default_rng(5).normal(size=(3, 20, 30)).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[:, :, 10:14] = False
    observation = observation_of(values, observed)
    everywhere = edge_variance_map(observation, no_pixels(observed), ~observed)
    some = ~observed
    some[1, :7] = some[2, 7:] = False
    found = edge_variance_map(observation, no_pixels(observed), some)
    np.testing.assert_array_equal(found[some], everywhere[some])


# All together


def test_a_gap_at_the_border_is_not_more_certain():
    """It has observed pixels on one side only, so its edge variance would be 0: the wide roughness replaces it."""
    values = np.random.default_rng(3).normal(size=(1, 40, 60)).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[0, :3] = observed[0, 20:23] = False
    features = compute_features(observation_of(values, observed), no_pixels(observed), ~observed)
    border = np.nonzero(~observed)[1] < 3
    np.testing.assert_array_equal(features.edge_variance[border], features.wide_roughness[border])
    assert features.edge_variance[border].mean() > 0.5 * features.edge_variance[~border].mean() > 0.1


def test_assumed_pixels_count_as_not_observed():
    """Assumed values deep inside a gap come from a smooth surface, which must not make the gap look certain."""
    values = np.random.default_rng(4).normal(size=(1, 80, 80)).astype(np.float32)
    assumed = np.zeros(values.shape, bool)
    assumed[0, 20:60, 20:60] = True
    values = np.where(assumed, 0.5, values).astype(np.float32)
    observation = Observation(values, np.ones_like(assumed), assumed, None, assumed)
    features = compute_features(observation, np.zeros_like(assumed), assumed)
    row, column = np.nonzero(assumed)[1:]
    middle, edge = (row == 40) & (column == 40), row < 24
    for name in ("roughness", "wide_roughness", "edge_variance", "kriging_variance"):
        feature = getattr(features, name)
        assert feature[middle] >= 0.5 * feature[edge].mean() > 0, name
    assert features.kriging_variance[middle] > 0.6


def test_uncertainty_terms_are_complete():
    observed = np.ones((1, 20, 20), bool)
    observed[0, 8:12] = False
    values = np.random.default_rng(2).normal(size=observed.shape)
    observation = observation_of(values, observed)
    terms = compute_features(observation, no_pixels(observed), ~observed).uncertainty_terms(np.full(80, 7.0))
    assert len(terms) == UNCERTAINTY_TERMS
    assert all(np.isfinite(term).all() and term.shape == (80,) for term in terms)
    # The first one is the variance if nothing was validated.
    np.testing.assert_array_equal(terms[0], roughness(observation)[~observed])
    np.testing.assert_array_equal(terms[3], roughness(observation, WIDE_WINDOW)[~observed])
    np.testing.assert_array_equal(terms[4], edge_variance(observation, no_pixels(observed), ~observed, terms[3]))
