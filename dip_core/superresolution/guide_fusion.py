"""Guide fusion: the detail of the coarse images that a finer guide predicts, and the remainder.

The guide is downsampled with the same point spread function. Around each pixel the images are regressed on it, and the
same coefficients predict the fine images from the fine guide. Only detail counts: local means are subtracted. If the
guide differs there (clouds, change, another season), image and guide are not correlated and the coefficients are near
0. A local regression has few pixels and is therefore pulled towards the regression of the whole scene. In that one each
place counts equally whatever its contrast, so that clouds have little influence.

Sources: He, Sun and Tang, Guided image filtering (2013), for local regressions with smoothed coefficients; Gillespie,
Kahle and Walker (1987) and Aiazzi et al. (2007) for pan-sharpening by regression. The pull and several guide bands: our
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from ..imaging.psf import Psf
from ..imaging.resampling import fill_nearest

_SIGMA = 2.0  # coarse pixels: standard deviation of the weights of a local regression
_PULL = 4.0  # towards the scene's regression, in the mean variance of the guide's detail
_RIDGE = 1e-3
_MAX_DIRECTIONS = 6  # of the guide's bands
_MIN_VARIANCE = 1e-4  # of a direction, relative to the strongest one
_MIN_CONTRAST = 0.1  # relative to the usual one; places with less count less
_MIN_OBSERVED_SHARE = 0.05  # of the weights of a local regression

Maps = NDArray[np.float64]


@dataclass(frozen=True)
class GuideRegression:
    """The scene's regression of images on a guide.

    ``basis``: the guide's directions of detail, each of variance 1, ``(guide band, direction)``; ``coefficients``: of
    the images on them, ``(direction, image)``.
    """

    basis: NDArray[np.float64]
    coefficients: NDArray[np.float64]


@dataclass(frozen=True)
class GuidePrediction:
    """The images' detail predicted from the guide, on the fine and on the coarse grid, ``(image, row, column)``."""

    fine: Cube
    coarse: Cube


def downsample_guide(guide: Cube, psf: Psf) -> Cube:
    """The guide on the coarse grid, ``(guide band, row, column)``; NaN if any fine pixel of a pixel is missing."""
    valid = np.asarray(np.isfinite(guide).all(axis=0))
    coarse = psf.operator((guide.shape[1], guide.shape[2])).apply(_filled(guide, valid))
    return np.where(_complete_pixels(valid, psf.factor), coarse, np.nan).astype(np.float32)


def fit_guide_regression(windows: Iterable[tuple[Cube, NDArray[np.bool_], Cube]], psf: Psf) -> GuideRegression | None:
    """Fit the scene's regression; None if the windows contain no common pixel or the guide no detail.

    ``windows``: coarse images ``(image, row, column)``, usable pixels ``(row, column)``, and the fine guide.
    """
    gram: NDArray | float = 0.0
    target: NDArray | float = 0.0
    total = 0.0
    for images, usable, guide in windows:
        coarse = downsample_guide(guide, psf)
        common = usable & np.isfinite(coarse).all(axis=0)
        if not common.any():
            continue
        coarse, local = np.where(common, coarse, 0).astype(np.float64), _LocalMeans(common)
        image_detail, guide_detail = (
            common * (maps - local.mean(maps)) for maps in (images.astype(np.float64), coarse)
        )
        contrast = sum(
            _relative_strength(local.mean(np.square(maps).sum(axis=0)), common) for maps in (image_detail, guide_detail)
        )
        weight = common / (contrast + _MIN_CONTRAST)
        gram = gram + np.einsum("grc,hrc,rc->gh", guide_detail, guide_detail, weight, optimize=True)
        target = target + np.einsum("grc,krc,rc->gk", guide_detail, image_detail, weight, optimize=True)
        total += float(weight.sum())
    if not isinstance(gram, np.ndarray) or not isinstance(target, np.ndarray):
        return None
    variances, vectors = np.linalg.eigh(gram / total)
    variances, vectors = variances[::-1][:_MAX_DIRECTIONS], vectors[:, ::-1][:, :_MAX_DIRECTIONS]
    kept = variances > _MIN_VARIANCE * variances[0]
    if not kept.any():
        return None
    basis = vectors[:, kept] / np.sqrt(variances[kept])
    return GuideRegression(basis, basis.T @ target / total / (1 + _RIDGE))


def predict_from_guide(
    images: Cube, observed: NDArray[np.bool_], guide: Cube, regression: GuideRegression, psf: Psf
) -> GuidePrediction:
    """The detail of coarse images ``(image, row, column)`` that the guide predicts; 0 where the guide is missing.

    ``observed``: coarse pixels ``(row, column)`` that all bands observe.
    """
    valid = np.asarray(np.isfinite(guide).all(axis=0))
    fine = np.tensordot(regression.basis.T, _filled(guide, valid), axes=1)
    coarse = psf.operator(valid.shape).apply(fine)
    complete = _complete_pixels(valid, psf.factor)
    slopes, offsets = _local_regressions(
        images.astype(np.float64), coarse, observed & complete, regression.coefficients
    )
    # The prediction fades out before the end of the guide, where filled values would count.
    inner = ndimage.minimum_filter(complete, 3, mode="nearest").astype(np.float64)
    fade = np.clip(2 * _local_average(inner) - 1, 0, 1)
    slopes, offsets = slopes * fade, offsets * fade
    f = psf.factor
    predicted, predicted_coarse = _enlarge_bilinear(offsets, f), offsets.copy()
    for slope, band, coarse_band in zip(slopes, fine, coarse):
        predicted += _enlarge_bilinear(slope, f) * band
        predicted_coarse += slope * coarse_band
    return GuidePrediction(predicted.astype(np.float32), predicted_coarse.astype(np.float32))


def _local_regressions(
    images: Maps, guide: Maps, usable: NDArray[np.bool_], scene_coefficients: NDArray
) -> tuple[Maps, Maps]:
    """Local slopes ``(direction, image, row, column)``, and offsets that subtract the guide's local mean."""
    local = _LocalMeans(usable)
    guide_mean, image_mean = local.mean(guide), local.mean(images)
    count = len(guide)
    gram = np.empty((*guide.shape[1:], count, count))
    target = np.empty((*guide.shape[1:], count, len(images)))
    for index, band in enumerate(guide):
        gram[..., index] = np.moveaxis(local.mean(guide * band) - guide_mean * guide_mean[index], 0, -1)
        target[..., index, :] = np.moveaxis(local.mean(images * band) - image_mean * guide_mean[index], 0, -1)
    gram[~local.enough], target[~local.enough] = 0, 0
    solved = np.linalg.solve(gram + _PULL * np.eye(count), target + _PULL * scene_coefficients)
    slopes: Maps = np.moveaxis(solved, (-2, -1), (0, 1)).astype(np.float64)
    return slopes, np.asarray(-np.einsum("gkrc,grc->krc", slopes, guide_mean))


class _LocalMeans:
    """Local means of maps over the usable pixels."""

    def __init__(self, usable: NDArray[np.bool_]) -> None:
        self._weights = usable.astype(np.float64)
        self._share = _local_average(self._weights)
        self.enough = self._share > _MIN_OBSERVED_SHARE

    def mean(self, maps: NDArray) -> Maps:
        """Local means of ``(..., row, column)``."""
        return _local_average(maps * self._weights) / np.maximum(self._share, 1e-9)


def _relative_strength(strength: Maps, usable: NDArray[np.bool_]) -> Maps:
    """Strength divided by its median; a mean would depend on clouds."""
    usual = float(np.median(strength[usable])) or float(strength[usable].mean())
    return strength / usual if usual > 0 else strength


def _local_average(maps: NDArray) -> Maps:
    sigmas = (0,) * (maps.ndim - 2) + (_SIGMA, _SIGMA)
    return np.asarray(ndimage.gaussian_filter(maps, sigmas, mode="nearest"))


def _enlarge_bilinear(maps: Maps, factor: int) -> Maps:
    """Bilinear enlargement, which does not overshoot."""
    factors = (1,) * (maps.ndim - 2) + (factor, factor)
    return np.asarray(ndimage.zoom(maps, factors, order=1, grid_mode=True, mode="nearest"))


def _filled(guide: Cube, valid: NDArray[np.bool_]) -> Cube:
    mask: Mask = np.broadcast_to(valid, guide.shape)
    return fill_nearest(np.where(mask, guide, 0), mask)


def _complete_pixels(valid: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """Coarse pixels whose fine pixels are all valid."""
    rows, columns = valid.shape
    return np.asarray(valid.reshape(rows // factor, factor, columns // factor, factor).all(axis=(1, 3)))
