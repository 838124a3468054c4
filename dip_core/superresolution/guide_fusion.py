"""*Fusion*: what a finer guide shows of the coarse images, and what it leaves over.

The guide is made coarse by the same optics, and the images are regressed on it around each pixel; the same
coefficients then say what the fine guide tells of the fine images. Only detail counts: levels are taken off by local
means. Where the guide shows something else (clouds, change, another season), image and guide do not vary together, and
the coefficients fall to 0 by themselves. Few pixels tell little: each regression is pulled towards that of the whole
scene, in which every place counts alike, however strong its contrast, so that clouds do not sway it.

Sources: He, Sun and Tang, Guided image filtering (2013), for local regressions with smoothed coefficients; Gillespie,
Kahle and Walker (1987) and Aiazzi et al. (2007) for pan-sharpening by regression; the pull and the many bands are ours.
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

_WIDTH = 2.0  # coarse pixels (sigma) that a local regression gathers from
_PULL = 4.0  # towards the scene's regression, in the guide's mean variance of detail
_RIDGE = 1e-3
_MOST = 6  # directions of the guide's bands
_LEAST = 1e-4  # of the strongest direction's variance
_FLAT = 0.1  # of the usual contrast, below which a place tells less
_SEEN = 0.05  # share of pixels around that a local regression needs

Maps = NDArray[np.float64]


@dataclass(frozen=True)
class Guidance:
    """The guide's directions of detail, each of variance 1, ``(guide band, direction)``, and the scene's regression of
    images on them, ``(direction, image)``."""

    basis: NDArray[np.float64]
    coefficients: NDArray[np.float64]


@dataclass(frozen=True)
class Explained:
    """What the guide tells of the images' detail, on the fine and on the coarse grid, ``(image, row, column)``."""

    fine: Cube
    coarse: Cube


def coarse_guide(guide: Cube, optics: Psf) -> Cube:
    """The guide made coarse, ``(guide band, row, column)``; NaN where a part of a pixel is not shown."""
    shown = np.asarray(np.isfinite(guide).all(axis=0))
    coarse = optics.operator((guide.shape[1], guide.shape[2])).apply(_filled(guide, shown))
    return np.where(_whole(shown, optics.factor), coarse, np.nan).astype(np.float32)


def learn_guidance(pieces: Iterable[tuple[Cube, NDArray[np.bool_], Cube]], optics: Psf) -> Guidance | None:
    """Learn from windows: coarse images, the pixels ``(row, column)`` that count, the fine guide. None from nothing."""
    gram: NDArray | float = 0.0
    aim: NDArray | float = 0.0
    total = 0.0
    for images, seen, guide in pieces:
        coarse = coarse_guide(guide, optics)
        known = seen & np.isfinite(coarse).all(axis=0)
        if not known.any():
            continue
        there, around = np.where(known, coarse, 0).astype(np.float64), _Around(known)
        ours, theirs = (known * (maps - around.mean(maps)) for maps in (images.astype(np.float64), there))
        contrast = sum(_relative(around.mean(np.square(maps).sum(axis=0)), known) for maps in (ours, theirs))
        weight = known / (contrast + _FLAT)
        gram = gram + np.einsum("grc,hrc,rc->gh", theirs, theirs, weight, optimize=True)
        aim = aim + np.einsum("grc,krc,rc->gk", theirs, ours, weight, optimize=True)
        total += float(weight.sum())
    if not isinstance(gram, np.ndarray) or not isinstance(aim, np.ndarray):
        return None
    variances, vectors = np.linalg.eigh(gram / total)
    variances, vectors = variances[::-1][:_MOST], vectors[:, ::-1][:, :_MOST]
    kept = variances > _LEAST * variances[0]
    if not kept.any():  # a guide without any detail
        return None
    basis = vectors[:, kept] / np.sqrt(variances[kept])
    return Guidance(basis, basis.T @ aim / total / (1 + _RIDGE))


def explain(images: Cube, seen: NDArray[np.bool_], guide: Cube, guidance: Guidance, optics: Psf) -> Explained:
    """What the guide tells of coarse images ``(image, row, column)``; 0 where it shows nothing.

    ``seen``: the coarse pixels ``(row, column)`` that all bands see.
    """
    shown = np.asarray(np.isfinite(guide).all(axis=0))
    fine = np.tensordot(guidance.basis.T, _filled(guide, shown), axes=1)
    coarse = optics.operator(shown.shape).apply(fine)
    whole = _whole(shown, optics.factor)
    slopes, levels = _regressions(images.astype(np.float64), coarse, seen & whole, guidance.coefficients)
    # Fades out before the guide ends, where filled values would count.
    inner = ndimage.minimum_filter(whole, 3, mode="nearest").astype(np.float64)
    trust = np.clip(2 * _smooth(inner) - 1, 0, 1)
    slopes, levels = slopes * trust, levels * trust
    f = optics.factor
    told, told_coarse = _enlarged(levels, f), levels.copy()
    for slope, band, band_coarse in zip(slopes, fine, coarse):
        told += _enlarged(slope, f) * band
        told_coarse += slope * band_coarse
    return Explained(told.astype(np.float32), told_coarse.astype(np.float32))


def _regressions(images: Maps, guide: Maps, known: NDArray[np.bool_], overall: NDArray) -> tuple[Maps, Maps]:
    """Local slopes ``(direction, image, row, column)``, and levels that take the guide's local mean off."""
    around = _Around(known)
    middle, ours = around.mean(guide), around.mean(images)
    count = len(guide)
    square = np.empty((*guide.shape[1:], count, count))
    across = np.empty((*guide.shape[1:], count, len(images)))
    for place, band in enumerate(guide):
        square[..., place] = np.moveaxis(around.mean(guide * band) - middle * middle[place], 0, -1)
        across[..., place, :] = np.moveaxis(around.mean(images * band) - ours * middle[place], 0, -1)
    square[~around.enough], across[~around.enough] = 0, 0
    solved = np.linalg.solve(square + _PULL * np.eye(count), across + _PULL * overall)
    slopes: Maps = np.moveaxis(solved, (-2, -1), (0, 1)).astype(np.float64)
    return slopes, np.asarray(-np.einsum("gkrc,grc->krc", slopes, middle))


class _Around:
    """Local means of maps over the pixels that are known."""

    def __init__(self, known: NDArray[np.bool_]) -> None:
        self._known = known.astype(np.float64)
        self._share = _smooth(self._known)
        self.enough = self._share > _SEEN

    def mean(self, maps: NDArray) -> Maps:
        """Of ``(..., row, column)``."""
        return _smooth(maps * self._known) / np.maximum(self._share, 1e-9)


def _relative(strength: Maps, known: NDArray[np.bool_]) -> Maps:
    """In units of what is usual: a mean would be that of the clouds."""
    usual = float(np.median(strength[known])) or float(strength[known].mean())
    return strength / usual if usual > 0 else strength


def _smooth(maps: NDArray) -> Maps:
    widths = (0,) * (maps.ndim - 2) + (_WIDTH, _WIDTH)
    return np.asarray(ndimage.gaussian_filter(maps, widths, mode="nearest"))


def _enlarged(maps: Maps, factor: int) -> Maps:
    """Bilinear, which does not overshoot."""
    factors = (1,) * (maps.ndim - 2) + (factor, factor)
    return np.asarray(ndimage.zoom(maps, factors, order=1, grid_mode=True, mode="nearest"))


def _filled(guide: Cube, shown: NDArray[np.bool_]) -> Cube:
    seen: Mask = np.broadcast_to(shown, guide.shape)
    return fill_nearest(np.where(seen, guide, 0), seen)


def _whole(shown: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """Coarse pixels that the guide shows all of."""
    rows, columns = shown.shape
    return np.asarray(shown.reshape(rows // factor, factor, columns // factor, factor).all(axis=(1, 3)))
