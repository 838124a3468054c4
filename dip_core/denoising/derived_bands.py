"""Derived bands: copies of another band, with any scale and offset, and linear combinations such as a mean of others.

Their noise is that of their sources. So bands and derived bands predict each other, their noise levels seem to be
almost 0, and they would stay noisy. The model is fitted to the other bands, and the same combination of the results is
the result of a derived band. A band is derived only if rounding explains every difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.noise import MIN_REGRESSION_BANDS, diagonal_detail

_MAX_PIXELS, _MIN_PIXELS = 20_000, 100  # of the search
_MIN_PIXELS_PER_BAND = 4  # for combinations
_STEP_PIXELS = 4000
_MIN_SHARE = 0.5  # of a band's observed pixels, observed in both bands of a copy
_ROUNDING = 0.51  # steps by which a rounded value may differ
_FLOAT_ERROR = 4.0 * float(np.finfo(np.float32).eps)  # relative
_MIN_DEVIATION = 5.0  # of a band, in largest differences by rounding; less contrast proves nothing
_MAX_EXACT, _MIN_NOISE = 0.01, 1.0  # of a copy's difference and noise, in largest differences by rounding
_RIDGE = 1e-12  # of the variance
_MIN_WEIGHT = 0.05  # of a source, relative to the largest
# Partial correlation with another band: without the derived band, the noise level of that one is 1.7 times as high.
_MIN_PARTIAL_CORRELATION = 0.8


@dataclass(frozen=True)
class Derived:
    """A band that is a linear combination of others: ``weights`` by their places, and ``offset``."""

    weights: Mapping[int, float]
    offset: float

    @property
    def is_copy(self) -> bool:
        """Whether one band is the source."""
        return len(self.weights) == 1


DerivedBands = Mapping[int, Derived]  # by the place of the band


def find_derived(values: NDArray, observed: Mask) -> dict[int, Derived]:
    """The derived bands among those of ``values`` ``(band, row, column)``; their sources are not derived."""
    places = np.flatnonzero(observed.all(axis=0))
    if len(places) < _MIN_PIXELS:
        return {}
    places = places[:: -(-len(places) // _MAX_PIXELS)]
    sample = values.reshape(len(values), -1)[:, places].astype(np.float64)
    rounding = np.array([_ROUNDING * _step(band) + _FLOAT_ERROR * np.abs(band).max() for band in sample])
    centre = sample.mean(axis=1)
    sample -= centre[:, None]
    derived = _find_copies(sample, rounding, values, observed)
    others = np.array(sources(len(values), derived))
    if len(others) >= MIN_REGRESSION_BANDS and len(places) >= _MIN_PIXELS_PER_BAND * len(others):
        found = _find_combinations(sample[others], rounding[others])
        for at, weights in found.items():
            by_place = {int(others[source]): weight for source, weight in weights.items()}
            offset = centre[others[at]] - sum(weight * centre[source] for source, weight in by_place.items())
            derived[int(others[at])] = Derived(by_place, float(offset))
    return {band: _without_derived_sources(own, derived) for band, own in derived.items()}


def sources(bands: int, derived: DerivedBands) -> list[int]:
    """The places of the bands that are not derived."""
    return [band for band in range(bands) if band not in derived]


def add_derived(layer: Cube, bands: int, derived: DerivedBands, *, is_deviation: bool = False) -> Cube:
    """All ``bands`` of a layer ``(band, row, column)`` that holds the sources only.

    ``is_deviation``: the layer holds standard deviations. Errors of the sources are taken as fully correlated.
    """
    kept = sources(bands, derived)
    out = np.empty((bands, *layer.shape[1:]), np.float32)
    out[kept] = layer
    for band, own in derived.items():
        total = np.full(layer.shape[1:], 0.0 if is_deviation else own.offset)
        for source, weight in own.weights.items():
            total += (abs(weight) if is_deviation else weight) * out[source]
        out[band] = total
    return out


def _find_copies(
    sample: NDArray[np.float64], rounding: NDArray[np.float64], values: NDArray, observed: Mask
) -> dict[int, Derived]:
    """Copies of earlier bands. ``sample`` ``(band, pixel)``: with mean 0; ``rounding`` ``(band,)``."""
    covariance = sample @ sample.T / sample.shape[1]
    variance = np.maximum(np.diag(covariance), 1e-300)
    slope = covariance / variance[:, None]  # of band j on band i, at [i, j]
    rest = np.maximum(variance[None] - slope * covariance, 0.0)
    limit = rounding[None] + np.abs(slope) * rounding[:, None]
    possible = (rest <= np.square(limit) + 1e-12 * variance) & (np.sqrt(variance) >= _MIN_DEVIATION * limit)
    copies: dict[int, Derived] = {}
    for band in range(1, len(values)):
        for source in np.flatnonzero(possible[:band, band]):
            if int(source) in copies:
                continue
            line = _fit_line(values, observed, int(source), band, float(limit[source, band]))
            if line is not None:
                copies[band] = Derived({int(source): line[0]}, line[1])
                break
    return copies


def _fit_line(values: NDArray, observed: Mask, source: int, band: int, limit: float) -> tuple[float, float] | None:
    """Factor and offset, if all samples that both bands observe lie within ``limit`` of a straight line."""
    both = observed[source] & observed[band]
    x, y = values[source][both].astype(np.float64), values[band][both].astype(np.float64)
    if len(x) < _MIN_SHARE * max(np.count_nonzero(observed[source]), np.count_nonzero(observed[band])):
        return None
    if len(x) < _MIN_PIXELS or np.ptp(x) == 0:
        return None
    centre = x.mean()
    factor = float((x - centre) @ (y - y.mean()) / np.square(x - centre).sum())
    offset = float(y.mean() - factor * centre)
    difference = float(np.abs(factor * x + offset - y).max())
    # Without noise, bands that are merely similar may agree within rounding.
    seen = both[:-1, :-1] & both[1:, 1:] & both[:-1, 1:] & both[1:, :-1]
    details = np.abs(diagonal_detail(values[band])[seen]) if min(both.shape) > 1 else np.zeros(0)
    noise = float(np.median(details)) if details.size else 0.0
    is_copy = difference <= limit and (difference < _MAX_EXACT * limit or noise > _MIN_NOISE * limit)
    return (factor, offset) if is_copy else None


def _find_combinations(sample: NDArray[np.float64], rounding: NDArray[np.float64]) -> dict[int, dict[int, float]]:
    """Weights of the sources of each combination, by places in ``sample`` ``(band, pixel)``, which has mean 0."""
    scale = np.maximum(sample.std(axis=1), 1e-300)
    correlation = (sample @ sample.T) / sample.shape[1] / np.outer(scale, scale)
    left = np.arange(len(sample))
    found: dict[int, dict[int, float]] = {}
    while len(left) > len(sample) // 2:
        precision = np.linalg.inv(correlation[np.ix_(left, left)] + _RIDGE * np.eye(len(left)))
        diagonal = np.sqrt(np.diag(precision))
        partial = np.abs(precision) / np.outer(diagonal, diagonal) - np.eye(len(left))
        weights = -precision / np.square(diagonal)[:, None] * scale[left][:, None] / scale[left][None]
        np.fill_diagonal(weights, 0.0)
        limit = rounding[left] + np.abs(weights) @ rounding[left]
        possible = partial.max(axis=1) >= _MIN_PARTIAL_CORRELATION
        possible &= (scale[left] / diagonal <= limit) & (scale[left] >= _MIN_DEVIATION * limit)
        for at in sorted(np.flatnonzero(possible), key=lambda place: float(limit[place] / rounding[left[place]])):
            own = _fit_weights(sample[left], int(at), weights[at], float(limit[at]))
            if own is not None:
                found[int(left[at])] = {int(left[other]): weight for other, weight in own.items()}
                left = np.delete(left, at)
                break
        else:
            break
    return found


def _fit_weights(
    sample: NDArray[np.float64], band: int, weights: NDArray[np.float64], limit: float
) -> dict[int, float] | None:
    """Weights of the important sources of a band, if they explain it within ``limit``.

    ``weights``: those of all bands ``(band,)``.
    """
    chosen = np.flatnonzero(np.abs(weights) > _MIN_WEIGHT * np.abs(weights).max())
    found = np.linalg.lstsq(sample[chosen].T, sample[band], rcond=None)[0]
    if np.abs(sample[band] - found @ sample[chosen]).max() > limit:
        return None
    return dict(zip(chosen.tolist(), found.tolist()))


def _without_derived_sources(own: Derived, derived: DerivedBands) -> Derived:
    """The same band in terms of bands that are not derived."""
    weights, offset = dict(own.weights), own.offset
    while any(source in derived for source in weights):
        for source in [source for source in weights if source in derived]:
            weight = weights.pop(source)
            offset += weight * derived[source].offset
            for other, part in derived[source].weights.items():
                weights[other] = weights.get(other, 0.0) + weight * part
    return Derived(weights, offset)


def _step(band: NDArray[np.float64]) -> float:
    """The smallest difference between values of a band: 1 for integers, almost 0 for real numbers."""
    levels = np.unique(band[:_STEP_PIXELS])
    return float(np.diff(levels).min()) if len(levels) > 1 else 0.0
