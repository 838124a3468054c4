"""Lines that resampling repeated or interpolated, which are not defects.

Resampling treats all bands alike, and both axes, and repeats lines at regular distances. A dead line of the sensor is
in one band or at one place, and runs along one axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from .copied_lines import LineDifferences, copied_lines, exceeds_copied_share
from .lines import LineMask, runs

Part = tuple[int, int, int]  # axis (0 columns, 1 rows), and the first and last positions of the part of the lines

_MIN_BAND_SHARE = 0.25  # of the bands, that show a line alike
_MIN_REGULAR = 3  # lines at regular distances
_MIN_OWN = 3  # lines per axis in a band that differs from the others
_MIN_DIP_SHARE = 0.05  # of the lines of an axis, that differ little from their neighbours
_EDGE = 4  # lines at the edges of a raster, which interpolation repeats
_MIN_GRID_SHARE = 0.8  # of the lines, that follow one grid; the others are then dead
_TOLERANCE = 0.75, 0.01  # lines, and share of their distance, by which regular lines may be misplaced
_MAX_COUNT_DIFFERENCE = 0.3  # of the share of copied lines in columns and rows


def separate_copies(
    differences: Mapping[Part, list[LineDifferences]],
) -> tuple[dict[Part, list[LineMask]], list[int]]:
    """The copied lines per part of the lines and band, without those of resampling, and the resampled bands.

    ``differences``: per part, one item per band.
    """
    bands = len(next(iter(differences.values())))
    if not any(item.candidates.any() for items in differences.values() for item in items):
        return {part: [np.zeros_like(item.means) for item in items] for part, items in differences.items()}, []
    shared = {part: _shared(items, bands) for part, items in differences.items()}
    whole = _whole_lines(differences)
    both_axes = all(
        any(
            _share_copies(items, bands) or (part in whole and _share_dips(items, bands))
            for part, items in differences.items()
            if part[0] == axis
        )
        for axis in (0, 1)
    )
    copied: dict[Part, list[LineMask]] = {part: [] for part in differences}
    resampled: set[int] = set()
    for band in range(bands):
        own = {part: items[band] for part, items in differences.items()}
        if bands > 1:
            explained = {
                part: (pairs & item.pairs, means & item.means)
                if both_axes or _is_regular(pairs[:-1] & item.pairs[:-1] | means & item.means)
                else (np.zeros_like(pairs), np.zeros_like(means))
                for (part, item), (pairs, means) in zip(own.items(), shared.values())
            }
        else:
            explained = {part: (np.zeros_like(item.pairs), np.zeros_like(item.means)) for part, item in own.items()}
        if any(mask.any() for masks in explained.values() for mask in masks):
            resampled.add(band)
        rest = {part: item.candidates & ~(explained[part][0][:-1] | explained[part][1]) for part, item in own.items()}
        if _own_resampling(own, rest, bands == 1):
            resampled.add(band)
            for part, item in own.items():
                kept = _off_grid(rest[part])
                explained[part] = (item.pairs & ~np.append(kept, False), item.means & ~kept)
        for part, item in own.items():
            if exceeds_copied_share(item.candidates, item):
                resampled.add(band)
            copied[part].append(copied_lines(item, *explained[part]))
    return copied, sorted(resampled)


def _whole_lines(parts: Iterable[Part]) -> list[Part]:
    """The parts that are the whole lines of each axis."""
    known = list(parts)
    return [max((part for part in known if part[0] == axis), key=lambda part: part[2] - part[1]) for axis in (0, 1)]


def _share_copies(items: list[LineDifferences], bands: int) -> bool:
    """True if several bands have a copied line at one place."""
    copied = np.sum([item.pairs[:-1] for item in items], axis=0), np.sum([item.means for item in items], axis=0)
    return any(bool((number >= _wanted(bands)).any()) for number in copied)


def _share_dips(items: list[LineDifferences], bands: int) -> bool:
    """True if many lines of several bands differ little from their neighbours, as interpolated ones do."""
    return any(mask.sum() >= max(_MIN_REGULAR, _MIN_DIP_SHARE * len(mask)) for mask in _shared(items, bands))


def _wanted(bands: int) -> int:
    return max(2, int(np.ceil(_MIN_BAND_SHARE * bands)))


def _shared(items: list[LineDifferences], bands: int) -> tuple[LineMask, LineMask]:
    """True for the pairs ``(line + 1,)`` and means ``(line,)`` that stand out in several bands."""
    wanted = _wanted(bands)
    pairs = np.sum([item.pair_dips for item in items], axis=0) >= wanted
    means = np.sum([item.mean_dips for item in items], axis=0) >= wanted
    return pairs, means


def _own_resampling(own: Mapping[Part, LineDifferences], rest: Mapping[Part, LineMask], only: bool) -> bool:
    """True if lines of one band alone are explained by resampling; ``only``: the raster has no other band."""
    whole = _whole_lines(own)
    lines = [rest[part] for part in whole]
    regular = [_is_regular(mask) for mask in lines]
    counts = [sum(1 for _ in runs(mask)) for mask in lines]
    if only:
        if not any(mask.any() for mask in rest.values()):
            return False
        dips = [max(own[part].pair_dips.mean(), own[part].mean_dips.mean()) for part in whole]
        counts = [max(int(mask.sum()) for part, mask in rest.items() if part[0] == axis) for axis in (0, 1)]
        if any(regular) or min(dips) >= _MIN_DIP_SHARE or (min(counts) >= 1 and sum(counts) >= _MIN_OWN):
            return True
    shares = [count / len(mask) for count, mask in zip(counts, lines)]
    slack = max(1.5 / min(len(mask) for mask in lines), _MAX_COUNT_DIFFERENCE * max(shares))
    alike = abs(shares[0] - shares[1]) <= slack
    if only:
        return min(counts) >= 1 and alike
    return all(regular) or (min(counts) >= _MIN_OWN and alike)


def _is_regular(marked: LineMask) -> bool:
    """True if runs of marked lines follow each other at one distance over all lines."""
    places = np.array([(first + last - 1) / 2 for first, last in runs(marked)])
    return len(places) >= _MIN_REGULAR and bool(_on_grid(places, len(marked)).all())


def _off_grid(marked: LineMask) -> LineMask:
    """True for the marked lines that are not on the grid of the others; none if there is no grid."""
    out = np.zeros(len(marked), bool)
    parts = list(runs(marked))
    places = np.array([(first + last - 1) / 2 for first, last in parts])
    if len(places) > _MIN_REGULAR:
        on_grid = _on_grid(places, len(marked))
        if on_grid.sum() >= max(_MIN_REGULAR + 1, _MIN_GRID_SHARE * len(places)):
            for first, last in (part for part, on in zip(parts, on_grid) if not on):
                out[first:last] = True
    out[:_EDGE] = out[-_EDGE:] = False
    return out


def _on_grid(places: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """True for the places on a regular grid that most of ``places`` follow and that covers ``count`` lines."""
    none = np.zeros(len(places), bool)
    gaps = np.diff(places)
    if not len(gaps):
        return none
    best = none
    mean = (places[-1] - places[0]) / len(gaps)
    for distance in [mean, *(float(np.median(gaps)) * np.linspace(0.85, 1.15, 121))]:
        phase = np.angle(np.exp(2j * np.pi * places / distance).sum()) / (2 * np.pi)
        number = places / distance - phase
        away = np.abs(number - np.rint(number)) * distance
        near = away <= min(_TOLERANCE[0] + _TOLERANCE[1] * distance, 0.25 * distance)
        covered = near.any() and len(np.unique(np.rint(number[near]))) >= 0.8 * (count / distance - 1)
        if covered and near.sum() > best.sum():
            best = near
    return best
