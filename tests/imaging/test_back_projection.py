"""Back-projection: exact consistency with the observation, by the smallest change."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.imaging.back_projection import ConsistencyProjection, back_project
from dip_core.imaging.psf import Psf

KERNELS = ["bicubic", "lanczos", "gaussian"]


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("kernel", KERNELS)
def test_result_is_consistent_and_the_change_is_minimal(factor, kernel):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 17, 23))
    observed = rng.random(values.shape) > 0.1
    operator = Psf(factor, kernel).operator((17 * factor, 23 * factor))
    start = rng.normal(size=(2, 17 * factor, 23 * factor))
    found = back_project(start, values, observed, operator, iterations=200)
    assert np.abs(operator.apply(found) - values)[observed].max() < 1e-3
    # The smallest change is orthogonal to all images that the operator maps to 0.
    other = rng.normal(size=start.shape)
    null = back_project(other, np.zeros_like(values), observed, operator, iterations=400)
    change = found - start
    assert abs((change * null).sum()) < 1e-2 * np.linalg.norm(change) * np.linalg.norm(null)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("kernel", KERNELS)
def test_projection_is_back_projection_in_closed_form(factor, kernel):
    rng = np.random.default_rng(1)
    psf, shape = Psf(factor, kernel), (13 * factor, 17 * factor)
    values, start = rng.normal(size=(2, 13, 17)), rng.normal(size=(2, *shape)).astype(np.float32)
    projection = ConsistencyProjection(psf, shape)
    found = projection.project(start, projection.transform(values))
    assert np.abs(psf.operator(shape).apply(found) - values).max() < 5e-3
    expected = back_project(start, values, np.ones(values.shape, bool), psf.operator(shape), iterations=200)
    assert np.abs(found - expected).max() < 5e-3
    again = projection.project(found, projection.transform(values))
    assert np.abs(again - found).max() < 5e-3  # a second projection changes nothing
