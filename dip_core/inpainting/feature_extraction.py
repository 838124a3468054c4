"""Computes the features of missing pixels from the observed pixels around them.

Source: Chiles and Delfiner, Geostatistics (Wiley 1999), chapter 3, for the kriging variance; the others are our own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from ..imaging.observation import Observation, per_mask
from .experts.kriging_neighbours import WINDOW_PIXELS, Neighbourhood
from .experts.kriging_system import kriging_variances
from .experts.variogram import Variogram
from .features import DISTANCE_CLASSES, DISTANCE_LIMITS, GapFeatures

NEAR_WINDOW, WIDE_WINDOW = 15, 31  # sides in pixels
_NEIGHBOURS_PER_QUADRANT = 3
_VARIOGRAM = Variogram(range=30.0, nugget=0.0)
_SILL = 1.0
_MIN_OBSERVED_SHARE = 1e-4  # of a window


def compute_features(observation: Observation, predicted: Mask, pixels: Mask) -> GapFeatures:
    """Features of the True pixels of ``pixels``, in their order.

    ``predicted``: pixels whose values were predicted from other bands. Both masks are ``(band, row, column)``.
    """
    wide = roughness(observation, WIDE_WINDOW)[pixels]
    return GapFeatures(
        distance_class=distance_classes(observation, predicted)[pixels],
        roughness=roughness(observation)[pixels],
        wide_roughness=wide,
        edge_variance=edge_variance(observation, predicted, pixels, wide),
        kriging_variance=kriging_variance(observation, predicted, pixels),
    )


def distance_classes(observation: Observation, predicted: Mask) -> NDArray[np.int8]:
    """The distance class of every pixel, ``(band, row, column)``; assumed pixels are in the last class."""
    by_distance = np.where(predicted, 0, 1 + np.searchsorted(DISTANCE_LIMITS[:-1], observation.distance()))
    assumed = False if observation.assumed is None else observation.assumed
    return np.where(assumed, DISTANCE_CLASSES - 1, by_distance).astype(np.int8)


def roughness(observation: Observation, side: int = NEAR_WINDOW) -> Cube:
    """Variance of the observed pixels in a window of ``side`` pixels; the mean variance where the window has none."""
    size, observed = (0, side, side), observation.measured
    values = np.where(observed, observation.values, np.float32(0))
    share = per_mask(observed, lambda mask: ndimage.uniform_filter(mask.astype(np.float32), side))
    scale = np.divide(1.0, share, out=np.zeros_like(share), where=share > _MIN_OBSERVED_SHARE)
    mean = ndimage.uniform_filter(values, size) * scale
    variance = np.maximum(ndimage.uniform_filter(values * values, size) * scale - mean * mean, 0.0)
    overall = variance[observed].mean() if observed.any() else 1.0
    return np.where(share > _MIN_OBSERVED_SHARE, variance, overall).astype(np.float32)


def edge_variance(observation: Observation, predicted: Mask, pixels: Mask, fallback: NDArray) -> NDArray[np.float32]:
    """Variance of the nearest observed pixels in the four directions, weighted by inverse distance.

    Of the True pixels of ``pixels`` ``(band, row, column)``, in their order. ``fallback`` ``(pixel,)``: the value if
    there are observed pixels in fewer than two directions, as at the border.
    """
    observed = observation.measured & ~predicted
    variances = []
    for band, (band_observed, chosen) in enumerate(zip(observed, pixels)):
        if not band or not _same_as_previous(band, observed, pixels):
            indices, weights = (part[:, chosen] for part in _nearest_in_directions(band_observed))
            too_few = np.count_nonzero(weights, axis=0) < 2
            scale = 1.0 / np.where(too_few, 1.0, weights.sum(axis=0))
        values = observation.values[band].reshape(-1)[indices]
        mean = (weights * values).sum(axis=0) * scale
        variance = (weights * np.square(values - mean)).sum(axis=0) * scale
        variances.append(np.where(too_few, np.nan, variance))
    joined = np.concatenate(variances)
    return np.where(np.isnan(joined), fallback, joined).astype(np.float32)


def kriging_variance(observation: Observation, predicted: Mask, pixels: Mask) -> NDArray[np.float32]:
    """Variance of ordinary kriging with a fixed covariance; 1, the sill, without observed pixels nearby.

    Of the True pixels of ``pixels`` ``(band, row, column)``, in their order. It distinguishes the middle of a gap from
    its edge, wide gaps from narrow ones, and pixels between two gaps from pixels beside a single one.
    """
    observed = observation.measured & ~predicted
    variances: list[NDArray] = []
    for band, (band_observed, chosen) in enumerate(zip(observed, pixels)):
        if not chosen.any():
            variances.append(np.zeros(0))
        elif variances and _same_as_previous(band, observed, pixels):
            variances.append(variances[-1])
        else:
            neighbourhood = Neighbourhood(band_observed, chosen, _NEIGHBOURS_PER_QUADRANT)
            by_configuration = kriging_variances(neighbourhood.configurations, _VARIOGRAM)
            by_configuration[(neighbourhood.configurations >= WINDOW_PIXELS).all(axis=1)] = _SILL
            variances.append(neighbourhood.per_pixel(by_configuration))
    return np.concatenate(variances).astype(np.float32)


def _same_as_previous(band: int, observed: Mask, pixels: Mask) -> bool:
    """Whether both masks of the band are equal to those of the band before."""
    return np.array_equal(observed[band], observed[band - 1]) and np.array_equal(pixels[band], pixels[band - 1])


def _nearest_in_directions(observed: Mask) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Flat indices of the nearest observed pixels up, down, left, right, and their weights; ``(4, row, column)``.

    The weight is the inverse distance, 0 if there is no observed pixel in that direction.
    """
    flat = np.arange(observed.size).reshape(observed.shape)
    indices, weights = [], []
    for axis, length in enumerate(observed.shape):
        position = np.broadcast_to(np.expand_dims(np.arange(length), 1 - axis), observed.shape)
        before = np.maximum.accumulate(np.where(observed, position, -1), axis=axis)
        after = np.flip(np.minimum.accumulate(np.flip(np.where(observed, position, length), axis), axis=axis), axis)
        for nearest in (before, after):
            inside = nearest.clip(0, length - 1)
            indices.append(np.take_along_axis(flat, inside, axis=axis))
            weights.append((nearest == inside) / np.maximum(np.abs(position - inside), 1).astype(np.float32))
    return np.stack(indices), np.stack(weights)
