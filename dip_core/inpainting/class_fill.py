"""Fills the gaps of bands that hold classes: a missing pixel gets the class of the observed pixels around it.

Each of the nearest observed pixels votes for its class with the inverse square of its distance. So no class is
averaged, and no value appears that the band does not have.

Source: indicator interpolation with inverse distance weights (Shepard 1968), of which the largest indicator is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from ..arrays import Mask

NEIGHBOURS = 8
_REACH = 4  # pixels around gaps among which the nearest observed ones are searched
_CHUNK = 1 << 17  # target pixels at a time


@dataclass(frozen=True)
class ClassEstimate:
    """The target pixels of one band, in the order of `numpy.nonzero`; all arrays are ``(target pixel,)``.

    ``doubt``: share of the votes for other classes. ``distance``: to the nearest observed pixel, in pixels.
    """

    codes: NDArray
    doubt: NDArray[np.float32]
    distance: NDArray[np.float32]


def fill_classes(codes: NDArray, observed: Mask, target: Mask) -> ClassEstimate:
    """The estimate of the target pixels; all arguments are ``(row, column)``.

    Raises ValueError if no pixel is observed.
    """
    around = binary_dilation(target, np.ones((3, 3)), iterations=_REACH) & observed
    places = np.argwhere(around)
    if not len(places):  # only observed pixels far from all targets
        around = observed
        places = np.argwhere(observed)
    if not len(places):
        raise ValueError("No pixel is observed, so there is no class to fill with.")
    values = codes[around]
    classes, numbers = np.unique(values, return_inverse=True)
    tree = cKDTree(places)
    wanted = np.argwhere(target)
    count = len(wanted)
    found = ClassEstimate(np.empty(count, codes.dtype), np.empty(count, np.float32), np.empty(count, np.float32))
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        distance, index = tree.query(wanted[part], k=min(NEIGHBOURS, len(places)))
        distance, index = (array.reshape(len(wanted[part]), -1) for array in (distance, index))
        winner, share = _most_votes(numbers[index], np.square(1.0 / distance))
        found.codes[part], found.doubt[part], found.distance[part] = classes[winner], 1.0 - share, distance[:, 0]
    return found


def _most_votes(
    numbers: NDArray[np.intp], weights: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The class with most votes, and its share of them; the nearest one of equals. Arguments ``(pixel, neighbour)``."""
    votes = np.stack([(weights * (numbers == column[:, None])).sum(axis=1) for column in numbers.T], axis=1)
    best = np.argmax(votes >= votes.max(axis=1, keepdims=True) * (1 - 1e-9), axis=1)
    pixel = np.arange(len(numbers))
    return numbers[pixel, best], votes[pixel, best] / weights.sum(axis=1)
