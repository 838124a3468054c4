"""Statistics of a scene: fitted from observed pixels only, and from enough of them."""

from __future__ import annotations

import numpy as np
from fine_scenes import downsampled, enlarged, fields
from scipy import ndimage

from dip_core.imaging.psf import Psf
from dip_core.superresolution.registry import ENLARGEMENT_METHODS
from dip_core.superresolution.scale_statistics import fit_scale_statistics


def test_missing_pixels_are_not_used_and_have_a_limited_reach():
    psf = Psf(2)
    coarse, complete = downsampled(fields(2), psf)
    observed = complete.copy()
    observed[:, 20:24, 30:36] = False
    observed[1, 10, 10] = False
    one, other = np.where(observed, coarse, 0.0), np.where(observed, coarse, 1e6)
    statistics, same = (fit_scale_statistics([(values, observed)], psf) for values in (one, other))
    assert np.array_equal(statistics.coefficients, same.coefficients)
    name = "steered_ridge"
    with_hole, with_other_values = (
        enlarged([name], values, observed, psf, statistics)[name] for values in (one, other)
    )
    assert np.array_equal(with_hole, with_other_values)
    far = ~ndimage.binary_dilation(np.repeat(np.repeat(~observed, 2, 1), 2, 2), np.ones((1, 33, 33), bool))
    without_hole = enlarged([name], coarse, complete, psf, statistics)[name]
    assert np.abs(with_hole - without_hole)[far].max() < 0.05 * coarse.std()


def test_a_small_scene_is_enlarged_by_the_mean_of_the_two():
    psf = Psf(4)
    coarse, observed = downsampled(fields(1, 20, 24), psf)
    statistics = fit_scale_statistics([(coarse, observed)], psf)
    assert not statistics.coefficients.any()
    estimates = enlarged(ENLARGEMENT_METHODS["fast"].experts, coarse, observed, psf, statistics)
    mean = (estimates["back_projection"] + estimates["vectorial_tv"]) / 2
    assert np.abs(estimates["steered_ridge"] - mean).max() < 1e-3 * coarse.std()
