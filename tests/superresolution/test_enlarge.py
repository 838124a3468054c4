"""The experts without a network: consistent, better than interpolation, independent of units."""

from __future__ import annotations

import numpy as np
import pytest
from fine_scenes import downsampled, enlarged, fields, rmse, scene

from dip_core.imaging.psf import Psf, enlarge_bicubic
from dip_core.runtime.progress import STOP
from dip_core.superresolution.enlarge import enlarge_window, weighted_mean
from dip_core.superresolution.options import EnlargeOptions
from dip_core.superresolution.registry import ENLARGEMENT_METHODS

ENLARGEMENT_EXPERTS = ENLARGEMENT_METHODS["fast"].experts


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize(("kernel", "bands"), [("bicubic", 3), ("gaussian", 1), ("lanczos", 2)])
def test_every_expert_is_consistent_and_the_steered_ridge_beats_interpolation(factor, kernel, bands):
    psf = Psf(factor, kernel)
    fine = fields(bands, 48 * factor, 48 * factor)
    coarse, observed = downsampled(fine, psf)
    estimates = enlarged(ENLARGEMENT_EXPERTS, coarse, observed, psf)
    operator = psf.operator(fine.shape[1:])
    for image in estimates.values():
        assert image.shape == fine.shape and rmse(operator.apply(image), coarse) < 1e-3 * coarse.std()
    bicubic = rmse(enlarge_bicubic(coarse, factor), fine)
    errors = {name: rmse(image, fine) for name, image in estimates.items()}
    # Total variation suits straight edges between flat areas; at factor 4, 12 x 12 pixels are too few to learn much.
    assert errors["back_projection"] < bicubic and errors["vectorial_tv"] < bicubic
    assert errors["steered_ridge"] < (0.97 if factor == 2 else 1.01) * errors["back_projection"]


def test_units_of_bands_do_not_matter_and_runs_are_reproducible():
    psf = Psf(2)
    coarse, observed = downsampled(fields(3, 64, 64), psf)
    units = np.array([1.0, 1000.0, 0.01])[:, None, None]
    first, again, scaled = (
        enlarged(ENLARGEMENT_EXPERTS, values, observed, psf) for values in (coarse, coarse, coarse * units + 7)
    )
    for name in ENLARGEMENT_EXPERTS:
        assert np.array_equal(first[name], again[name])
        assert rmse((scaled[name] - 7) / units, first[name]) < 1e-3 * coarse.std()


def test_a_network_that_is_not_fitted_is_replaced_by_consistent_interpolation():
    coarse = scene(2, 16, 20)
    observed = np.ones(coarse.shape, bool)
    skipped = []
    low, high = coarse.min(axis=(1, 2)), coarse.max(axis=(1, 2))
    options = EnlargeOptions(Psf(2), low, high, threads=1, on_skipped_fit=lambda: skipped.append(1))
    (image,) = enlarge_window(["deep_prior"], coarse, observed, options, progress=STOP)
    assert skipped == [1]
    assert np.abs(Psf(2).operator((32, 40)).apply(image) - coarse).max() < 1e-2 * coarse.std()
    assert rmse(image, enlarge_bicubic(coarse, 2)) < 0.2 * coarse.std()


def test_an_expert_says_what_it_lacks():
    coarse = scene(1, 16, 20)
    options = EnlargeOptions(Psf(2), np.zeros(1), np.ones(1))
    with pytest.raises(ValueError, match="statistics"):
        enlarge_window(["steered_ridge"], coarse, np.ones(coarse.shape, bool), options)
    with pytest.raises(ValueError, match="model"):
        enlarge_window(["paper_cascade"], coarse, np.ones(coarse.shape, bool), options)


def test_weighted_mean():
    one, other = np.ones((1, 2, 2), np.float32), np.full((1, 2, 2), 3.0, np.float32)
    np.testing.assert_allclose(weighted_mean([one, other], [0.75, 0.25]), 1.5)
