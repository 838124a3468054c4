"""The *surroundings* of a missing pixel: what is seen around it, from which weights and uncertainty are told.

The *class* is that of the distance to the nearest observed pixel; pixels that other bands see have one of their own.
*Roughness* is the variance of the observed pixels in a window of 15 x 15 pixels, *wide* that of 31 x 31, in which more
is left where much is missing. The *rim* is the variance of the nearest observed pixels up, down, left and right,
weighted by the inverse of their distances: where an edge crosses the gap they differ. The *layout* is how well what is
seen encloses the pixel, whatever it holds: the variance of ordinary kriging from the 3 nearest seen pixels of each
quadrant, for one covariance at all places. Pixels that are only assumed count as not observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from ..imaging.observation import Observation, per_mask
from .experts.kriging import Variogram, kriging_variances
from .experts.kriging_neighbours import PLACES, Neighbourhood

# Upper ends of the distance classes in pixels; class 0 is kept for pixels that other bands see.
DISTANCES = (1.5, 3.5, 6.5, np.inf)
CLASSES = len(DISTANCES) + 1
TERMS = 5  # of `Surroundings.terms`
_AROUND, _WIDE = 15, 31  # pixels: the sides of the windows
_PER_QUADRANT = 3
_COVARIANCE = Variogram(range=30.0, nugget=0.0)
_OUT_OF_SIGHT = 1.0  # the sill: the layout of a pixel around which nothing is seen
_LEAST_COUNT = 1e-4  # share of a window that must be observed


@dataclass(frozen=True)
class Surroundings:
    """Of pixels: arrays ``(pixel,)``, standardised."""

    kind: NDArray[np.int8]
    roughness: NDArray[np.float32]
    wide: NDArray[np.float32]
    rim: NDArray[np.float32]
    layout: NDArray[np.float32]

    def terms(self, spread: NDArray) -> Sequence[NDArray]:
        """What the uncertainty is a product of powers of; ``spread``: the variance among the experts."""
        return self.roughness, spread, self.layout, self.wide, self.rim


def surroundings(observation: Observation, borrowed: Mask, wanted: Mask) -> Surroundings:
    """Those of the pixels ``wanted``, in their order; ``borrowed``: pixels that other bands see.

    Both are ``(band, row, column)``.
    """
    wide = roughness(observation, _WIDE)[wanted]
    return Surroundings(
        kind=classes(observation, borrowed)[wanted],
        roughness=roughness(observation)[wanted],
        wide=wide,
        rim=rim(observation, borrowed, wanted, wide),
        layout=layout(observation, borrowed, wanted),
    )


def classes(observation: Observation, borrowed: Mask) -> NDArray[np.int8]:
    """The class of every pixel, ``(band, row, column)``."""
    near = np.where(borrowed, 0, 1 + np.searchsorted(DISTANCES[:-1], observation.distance()))
    last = False if observation.assumed is None else observation.assumed
    return np.where(last, CLASSES - 1, near).astype(np.int8)


def roughness(observation: Observation, side: int = _AROUND) -> Cube:
    """Variance of the observed pixels in a window of ``side`` pixels; gaps without any take the mean of all."""
    size, seen = (0, side, side), observation.measured
    values = np.where(seen, observation.values, np.float32(0))
    count = per_mask(seen, lambda mask: ndimage.uniform_filter(mask.astype(np.float32), side))
    scale = np.divide(1.0, count, out=np.zeros_like(count), where=count > _LEAST_COUNT)
    mean = ndimage.uniform_filter(values, size) * scale
    variance = np.maximum(ndimage.uniform_filter(values * values, size) * scale - mean * mean, 0.0)
    overall = variance[seen].mean() if seen.any() else 1.0
    return np.where(count > _LEAST_COUNT, variance, overall).astype(np.float32)


def rim(observation: Observation, borrowed: Mask, wanted: Mask, otherwise: NDArray) -> NDArray[np.float32]:
    """Variance of the nearest observed pixels up, down, left and right, weighted by the inverse of their distances.

    Of the pixels ``wanted`` ``(band, row, column)``, in their order, as is ``otherwise``: what pixels get of which
    fewer than two are seen, as at the border. ``borrowed`` pixels are not seen.
    """
    known = observation.measured & ~borrowed
    found = []
    for band, (seen, chosen) in enumerate(zip(known, wanted)):
        if not band or not _as_before(band, known, wanted):
            places, weights = (part[:, chosen] for part in _nearest(seen))
            few = np.count_nonzero(weights, axis=0) < 2
            scale = 1.0 / np.where(few, 1.0, weights.sum(axis=0))
        near = observation.values[band].reshape(-1)[places]
        mean = (weights * near).sum(axis=0) * scale
        variance = (weights * np.square(near - mean)).sum(axis=0) * scale
        found.append(np.where(few, np.nan, variance))
    variances = np.concatenate(found)
    return np.where(np.isnan(variances), otherwise, variances).astype(np.float32)


def layout(observation: Observation, borrowed: Mask, wanted: Mask) -> NDArray[np.float32]:
    """Kriging variance of the pixels ``wanted`` ``(band, row, column)``, in their order; 1 is the sill.

    It tells the middle of a gap from its rim, a wide gap from a narrow one, and what lies between two gaps from what
    lies beside one. ``borrowed`` pixels are not seen.
    """
    known = observation.measured & ~borrowed
    found: list[NDArray] = []
    for band, (seen, chosen) in enumerate(zip(known, wanted)):
        if not chosen.any():
            found.append(np.zeros(0))
        elif found and _as_before(band, known, wanted):
            found.append(found[-1])
        else:
            places = Neighbourhood(seen, chosen, _PER_QUADRANT)
            variances = kriging_variances(places.settings, _COVARIANCE)
            variances[(places.settings >= PLACES).all(axis=1)] = _OUT_OF_SIGHT
            found.append(places.of_pixels(variances))
    return np.concatenate(found).astype(np.float32)


def _as_before(band: int, known: Mask, wanted: Mask) -> bool:
    """Whether the band sees and wants the same pixels as the one before."""
    return np.array_equal(known[band], known[band - 1]) and np.array_equal(wanted[band], wanted[band - 1])


def _nearest(seen: Mask) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Flat places of the nearest seen pixels up, down, left, right, and their weights, both ``(4, row, column)``."""
    flat = np.arange(seen.size).reshape(seen.shape)
    places, weights = [], []
    for axis, length in enumerate(seen.shape):
        own = np.broadcast_to(np.expand_dims(np.arange(length), 1 - axis), seen.shape)
        before = np.maximum.accumulate(np.where(seen, own, -1), axis=axis)
        behind = np.flip(np.minimum.accumulate(np.flip(np.where(seen, own, length), axis), axis=axis), axis)
        for nearest in (before, behind):
            place = nearest.clip(0, length - 1)
            places.append(np.take_along_axis(flat, place, axis=axis))
            weights.append((nearest == place) / np.maximum(np.abs(own - place), 1).astype(np.float32))
    return np.stack(places), np.stack(weights)
