"""Guide fusion: what a guide predicts, and where it predicts nothing."""

from __future__ import annotations

import numpy as np
from fine_scenes import fields, rmse
from scipy import ndimage

from dip_core.imaging.psf import Psf
from dip_core.superresolution.guide_fusion import downsample_guide, fit_guide_regression, predict_from_guide

PSF = Psf(2)


def images_and_guide():
    """Fine images that depend on one guide band, their coarse versions, and the guide."""
    guide = fields(1, 64, 72).astype(np.float32)
    fine = np.concatenate([2 * guide, -guide])
    return fine, PSF.operator(fine.shape[1:]).apply(fine).astype(np.float32), guide


def detail(image):
    return image - ndimage.gaussian_filter(image, (0, 2, 2))


def test_detail_is_predicted_from_the_guide():
    fine, coarse, guide = images_and_guide()
    observed = np.ones(coarse.shape[1:], bool)
    regression = fit_guide_regression([(coarse, observed, guide)], PSF)
    prediction = predict_from_guide(coarse, observed, guide, regression, PSF)
    assert rmse(detail(prediction.fine), detail(fine)) < 0.4 * detail(fine).std()
    assert rmse(PSF.operator(fine.shape[1:]).apply(prediction.fine), prediction.coarse) < 0.1 * prediction.coarse.std()


def test_nothing_is_predicted_where_the_guide_is_missing():
    _, coarse, guide = images_and_guide()
    observed = np.ones(coarse.shape[1:], bool)
    regression = fit_guide_regression([(coarse, observed, guide)], PSF)
    guide[:, :, 36:] = np.nan
    assert np.isnan(downsample_guide(guide, PSF)[:, :, 18:]).all()
    prediction = predict_from_guide(coarse, observed, guide, regression, PSF)
    assert np.isfinite(prediction.fine).all()
    assert not prediction.fine[:, :, 50:].any() and prediction.fine[:, :, :20].std() > 0.1


def test_no_regression_without_common_pixels_or_detail():
    _, coarse, guide = images_and_guide()
    observed = np.ones(coarse.shape[1:], bool)
    assert fit_guide_regression([], PSF) is None
    assert fit_guide_regression([(coarse, ~observed, guide)], PSF) is None
    assert fit_guide_regression([(coarse, observed, np.zeros_like(guide))], PSF) is None
