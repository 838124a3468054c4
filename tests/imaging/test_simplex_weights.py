"""Stacking weights: convex, at least as good as the best expert, and inexpensive experts are preferred."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.imaging.simplex_weights import minimize_bounded, stacking_weights


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_weights_are_convex_and_never_worse_than_the_best_expert(count):
    rng = np.random.default_rng(count)
    for _ in range(20):
        errors = rng.normal(size=(count, 200)) * rng.uniform(0.2, 3, (count, 1)) + rng.normal(size=200)
        products = errors @ errors.T / 200
        weights = np.array(stacking_weights(products))
        assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
        assert weights @ products @ weights <= products.diagonal().min() * (1 + 1e-9)
        assert not ((weights > 0) & (weights < 0.05)).any()


def test_independent_errors_are_weighted_by_their_inverse_variances():
    assert stacking_weights(np.diag([1.0, 1.0, 4.0])) == pytest.approx([4 / 9, 4 / 9, 1 / 9], abs=1e-5)
    assert sum(stacking_weights(np.ones((2, 2)))) == pytest.approx(1)  # identical experts
    assert sum(stacking_weights(np.zeros((3, 3)))) == 1


def test_a_costly_expert_must_lower_the_error_by_a_percent():
    close = np.array([[1.0, 0.99], [0.99, 1.1]])
    assert stacking_weights(np.array([[1.0, 0.8], [0.8, 1.0]]), costly=[1]) == pytest.approx([0.5, 0.5], abs=1e-4)
    assert stacking_weights(np.array([[1.0, 0.97], [0.97, 1.05]])) == pytest.approx([8 / 11, 3 / 11], abs=1e-4)
    assert stacking_weights(np.array([[1.0, 0.97], [0.97, 1.05]]), costly=[1]) == [1, 0]  # it gains 0.4 %
    best_alone = stacking_weights(close[::-1, ::-1], costly=[1])
    assert best_alone == pytest.approx([1 / 12, 11 / 12], abs=1e-4)
    assert stacking_weights(np.array([[2.0]]), costly=[0]) == [1]


def test_bounded_minimum():
    gram = np.diag([1.0, 2.0, 0.0])  # the third coefficient changes nothing
    np.testing.assert_allclose(minimize_bounded(gram, np.array([3.0, -1.0, 0.0]), 2.0), [2, 0, 0], atol=1e-9)
