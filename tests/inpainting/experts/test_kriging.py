"""Ordinary kriging: weights, neighbours, and the prediction of random fields."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps
from gap_cases import observe, random_field, rmse

from dip_core.inpainting.experts.kriging import kriging
from dip_core.inpainting.experts.kriging_neighbours import Neighbourhood, window_positions
from dip_core.inpainting.experts.kriging_system import kriging_weights
from dip_core.inpainting.experts.laplace import biharmonic, harmonic
from dip_core.inpainting.experts.linear import linear
from dip_core.inpainting.experts.variogram import Variogram


def test_weights_sum_to_one_and_are_exact_at_an_observed_pixel():
    offsets = np.array([[[0, 1], [0, -1], [3, 0], [-2, 5]], [[0, 0], [1, 0], [2, 2], [9, 9]]])
    exists = np.ones((2, 4), bool)
    exists[0, 3] = False

    def weights_for(nugget):
        return kriging_weights(window_positions(offsets, exists), [Variogram(8.0, nugget)])[0]

    weights = weights_for(0.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-9)
    assert weights[0, 3] == 0.0  # there is no such neighbour
    assert weights[0, 0] == pytest.approx(weights[0, 1]) and weights[0, 0] > weights[0, 2]
    # Without a nugget, an observed pixel at the same place has all the weight.
    np.testing.assert_allclose(weights[1], [1, 0, 0, 0], atol=1e-4)
    assert weights_for(0.3)[1, 0] < 0.9


def test_pixels_with_the_same_configuration_share_their_weights():
    gap = slanted_gaps(64, 64, thick=4, period=16)
    neighbourhood = Neighbourhood(~gap, gap)
    assert len(neighbourhood.configurations) < 0.3 * np.count_nonzero(gap) and neighbourhood.reached.all()
    (weights,) = kriging_weights(neighbourhood.configurations, [Variogram(5.0, 0.1, 1.0)])
    np.testing.assert_allclose(neighbourhood.apply(np.full((2, 64, 64), 7.0), weights), 7.0, atol=1e-6)


def test_kriging_is_nearly_optimal_on_the_field_that_it_assumes():
    """Exponential covariance with noise: kriging from all pixels would be optimal."""
    field = random_field(8.0, 0.1, size=160, seed=3)
    gap = slanted_gaps(160, 160, thick=8, period=30)
    observation = observe(field[None], gap)
    errors = {expert: rmse(expert(observation)[0], field, gap) for expert in (linear, harmonic, biharmonic, kriging)}
    assert errors[kriging] < 1.02 * min(errors.values())
    # The standard deviation of the field is 1.
    assert errors[kriging] < 0.95 * errors[linear] and errors[kriging] < 0.95 * errors[biharmonic]


def test_each_factor_has_its_own_covariance():
    """Two bands that are mixtures of a smooth and a rough field are filled as if the fields themselves were."""
    fields = np.stack([random_field(30.0, 0.0, 96, 1), random_field(2.0, 0.3, 96, 2)])
    gap = slanted_gaps(96, 96, thick=8, period=30)
    mixing = np.array([[2.0, 1.0], [2.0, -1.0]])
    mixed = np.tensordot(mixing, fields, axes=1)
    separately = np.concatenate([kriging(observe(field[None], gap)) for field in fields])
    expected = np.tensordot(mixing, separately, axes=1)
    together = kriging(observe(mixed, gap))
    everywhere = np.broadcast_to(gap, mixed.shape)
    assert rmse(together, expected, everywhere) < 0.1 * rmse(together, mixed, everywhere)


@pytest.mark.parametrize("bands", [1, 2, 25])
def test_constant_bands_are_reproduced(bands):
    gap = np.zeros((60, 60), bool)
    gap[:, 20:25] = True
    values = np.broadcast_to(np.arange(bands, dtype=np.float32)[:, None, None], (bands, 60, 60))
    np.testing.assert_allclose(kriging(observe(values, gap)), values, atol=1e-4)
