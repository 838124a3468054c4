"""Values that mark missing pixels although the raster's metadata do not say so, such as -9999.

A *missing code* repeats exactly and lies outside the range of the band's other values, by a distance that depends on
how likely the value is a code: little for -9999 and -3.4e38, more for 65535, most for values that are no known code.
The distance is relative to the range of the other values. Several codes may lie on one side. See
``docs/decisions/035-untagged-missing-codes.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scene import Scene
from .value_survey import BandValues, Survey, ValueCount, count_values, list_extremes, survey_values

MAX_DEAD_LINES = 24  # dead lines next to each other
_MAX_CODES = 8  # of one band, on each side of its range
_HUGE = 1e18
_LIKELY = {-9999.0, -99999.0, -999999.0, -32767.0, -32768.0, -2147483647.0, -2147483648.0, -28672.0}
_SMALLER_LIMITS = {255.0, 32767.0, 65535.0, 4294967295.0}  # of types whose rasters were converted to a wider one
_NEAR_LIMIT = 8  # products use several codes at the end of a type, such as 249 to 255 or 65531 to 65535
# Distance to the other values over their range. Type limits and the like may be saturated pixels.
_MIN_GAP_LIKELY, _MIN_GAP_KNOWN, _MIN_GAP_FLOAT, _MIN_GAP_OTHER = 0.1, 0.5, 1.5, 3.0
_MIN_GAP_SINGLE = 1.0  # for a likely code of few pixels
_MIN_PIXELS, _MIN_SHARE_OTHER = 8, 0.001
_MIN_NEIGHBOURS = 0.3  # share of a code's pixels next to another one; impulses are scattered
_MAX_SHARE_IN_LINES = 0.7  # of a code's pixels in whole rows or columns, which are dead or saturated lines
_MIN_DISTINCT = 16  # other values in the sample; with fewer, the raster may hold classes
_DOUBTFUL_SHARE = 0.01
_MIN_BORDER_SHARE = 0.02  # of the raster's border, in a frame
# MODIS vegetation indices: -3000 is fill, values are -2000 to 10000.
_INDEX_FILL, _INDEX_RANGE, _MIN_INDEX_MAXIMUM = -3000.0, (-2000.0, 10000.0), 2500.0


@dataclass(frozen=True)
class UntaggedCodes:
    """What was found: the missing ``codes`` by band number, and the share of pixels (0 to 1) that have each.

    ``doubtful``: values that may be codes but are left as data, with the highest share of a band. ``in_all_bands``:
    share of the pixels with a code in all bands. ``marked``: the metadata or NaN mark some pixel as missing.
    ``zero``: 0 is within the range of all bands, and not one of just two values. ``frame``: a value that may fill a
    frame around the scene.
    """

    codes: dict[int, tuple[float, ...]]
    shares: dict[float, float]
    doubtful: dict[float, float]
    marked: bool
    zero: bool
    in_all_bands: float = 0.0
    frame: float | None = None


def find_untagged_codes(scene: Scene, *, keep_damage: bool = False) -> UntaggedCodes:
    """Find the missing codes of a scene.

    ``keep_damage``: leave dead lines and scattered impulses as data, for tasks that repair them. A scene without
    suspicious values is read once, another one up to four times.
    """
    survey = survey_values(scene)
    surveyed = survey.bands
    size = scene.grid.width * scene.grid.height
    marked = any(values.pixels < size for values in surveyed)
    zero = all(len(band.values) and band.values[0] <= 0 <= band.values[-1] for band in surveyed)
    if all(len(band.values) == 2 for band in surveyed):  # a mask, such as 0 and 1: without 0 nothing is left
        zero = False
    candidates = {
        band: found
        for band, values in enumerate(surveyed)
        if band not in scene.categorical and (found := _outlying(values, scene.dtype))
    }
    if candidates:
        candidates = _complete(scene, surveyed, candidates)
    doubtful = _doubtful(surveyed, scene.dtype)
    codes, shares = _confirm(scene, surveyed, candidates, keep_damage=keep_damage) if candidates else ({}, {})
    doubtful = {value: share for value, share in doubtful.items() if value not in shares}
    in_all_bands = count_values(scene, codes)[1] / size if len(codes) == scene.count else 0.0
    frame = survey.border_value if _may_be_frame(survey) else None
    return UntaggedCodes(codes, shares, doubtful, marked, zero, in_all_bands, frame)


def _may_be_frame(survey: Survey) -> bool:
    """Whether a value that the bands share at the border is at the end of the values of all bands."""
    value = survey.border_value
    return (
        value is not None
        and len(survey.bands) > 1
        and survey.border_share >= _MIN_BORDER_SHARE
        and all(len(band.values) > 1 and value in (band.values[0], band.values[-1]) for band in survey.bands)
    )


def _confirm(
    scene: Scene, surveyed: Sequence[BandValues], candidates: dict[int, tuple[float, ...]], *, keep_damage: bool
) -> tuple[dict[int, tuple[float, ...]], dict[float, float]]:
    """The codes among the candidates, by band, and the share of all pixels that have each."""
    if len(candidates) == scene.count and all(0 in found for found in candidates.values()):
        candidates = {band: tuple(value for value in found if value != 0) for band, found in candidates.items()}
    everywhere = {value for found in candidates.values() for value in found if _is_likely(value)}
    listed = {
        band: _with_shared(surveyed[band], candidates.get(band, ()), everywhere)
        for band in range(scene.count)
        if band not in scene.categorical
    }
    counts, _ = count_values(scene, listed)
    codes: dict[int, tuple[float, ...]] = {}
    shares: dict[float, float] = {}
    pixels = sum(values.pixels for values in surveyed) or 1
    for band, values in listed.items():
        for value in values:
            count = counts[band, value]
            if _is_code(value, count, surveyed[band], values, scene.dtype, keep_damage=keep_damage):
                codes[band] = (*codes.get(band, ()), value)
                shares[value] = shares.get(value, 0.0) + count.pixels / pixels
    return codes, shares


def _complete(
    scene: Scene, surveyed: list[BandValues], candidates: dict[int, tuple[float, ...]]
) -> dict[int, tuple[float, ...]]:
    """The candidates with regard to all pixels; replaces the sampled extremes in ``surveyed`` by exact counts."""
    ranges = {}
    for band, found in candidates.items():
        rest = _without(surveyed[band].values, found)
        ranges[band] = (rest[0].item(), rest[-1].item())
    complete = {}
    for band, extremes in list_extremes(scene, ranges).items():
        low, high = ranges[band]
        old = surveyed[band]
        inner = (old.values >= low) & (old.values <= high)
        sampled_share = float(old.counts.sum()) / max(old.pixels, 1)
        values = np.concatenate([old.values[inner], np.array(list(extremes), old.values.dtype)])
        counts = np.concatenate([old.counts[inner], sampled_share * np.array(list(extremes.values()), float)])
        order = np.argsort(values, kind="stable")
        surveyed[band] = BandValues(values[order], counts[order], old.pixels)
        found = _outlying(surveyed[band], scene.dtype)
        if found:
            complete[band] = found
    return complete


def _outlying(band: BandValues, dtype: np.dtype) -> tuple[float, ...]:
    """The values of a band that lie far outside its other values, as many as possible."""
    values = band.values
    if len(values) < 2:
        return ()
    best: tuple[float, ...] = ()
    for below, above in _splits(len(values)):
        if below + above <= len(best):
            continue
        outer = [*values[:below].tolist(), *values[len(values) - above :].tolist()]
        rest = values[below : len(values) - above]
        counts = band.counts[below : len(values) - above]
        if all(_is_far(value, rest, counts, dtype) for value in outer):
            best = tuple(outer)
    return best


def _splits(length: int) -> Iterator[tuple[int, int]]:
    """Numbers of low and of high codes that leave at least one other value."""
    for below in range(_MAX_CODES + 1):
        for above in range(_MAX_CODES + 1):
            if below + above < length:
                yield below, above


def _is_far(value: float, rest: NDArray, counts: NDArray[np.float64], dtype: np.dtype) -> bool:
    """Whether a value is far enough from the ``rest`` of a band's values to be a code."""
    low, high = float(rest[0]), float(rest[-1])
    gap = low - value if value < low else value - high
    if value == _INDEX_FILL and _INDEX_RANGE[0] <= low and _MIN_INDEX_MAXIMUM <= high <= _INDEX_RANGE[1]:
        return True
    if _is_likely(value):
        return gap > _MIN_GAP_LIKELY * _central_range(rest, counts) and (len(rest) > 1 or gap > 1)
    if len(rest) < _MIN_DISTINCT:
        return False
    if _is_known(value, dtype):
        return gap >= _MIN_GAP_KNOWN * (high - low)
    all_differ = dtype.kind == "f" and np.median(counts) <= 1
    return gap >= (_MIN_GAP_FLOAT if all_differ else _MIN_GAP_OTHER) * (high - low)


def _central_range(rest: NDArray, counts: NDArray[np.float64]) -> float:
    """The range of the central 98 % of the pixels."""
    share = np.cumsum(counts) / max(float(counts.sum()), 1e-12)
    low, high = np.searchsorted(share, (0.01, 0.99))
    return float(rest[min(high, len(rest) - 1)]) - float(rest[low])


def _is_likely(value: float) -> bool:
    """True for values that are rarely anything else than a missing code."""
    return value in _LIKELY or abs(value) >= _HUGE


def _is_known(value: float, dtype: np.dtype) -> bool:
    """True for values that are often codes: at or near the limit of an integer type, or nines."""
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        if value >= limits.max - _NEAR_LIMIT or (limits.min < 0 and value == limits.min):
            return True
    if value in _SMALLER_LIMITS:
        return True
    digits = f"{abs(value):.7g}".replace(".", "")
    return set(digits) == {"9"} and len(digits) >= (2 if value < 0 else 3)


def _with_shared(band: BandValues, found: Sequence[float], everywhere: set[float]) -> tuple[float, ...]:
    """The candidates of a band, and those likely codes of other bands that it has at one of its ends, or alone."""
    values = list(found)
    rest = _without(band.values, found)
    for value in sorted(everywhere - set(found)):
        if len(rest) and (value == rest[0].item() or value == rest[-1].item()):
            values.append(value)
    return tuple(values)


def _is_code(
    value: float, count: ValueCount, band: BandValues, codes: Sequence[float], dtype: np.dtype, *, keep_damage: bool
) -> bool:
    """Whether an outlying value is a code rather than saturation, a dead line or an impulse."""
    in_areas = count.neighbours >= _MIN_NEIGHBOURS * count.pixels
    in_lines = count.share_in_lines(MAX_DEAD_LINES) > _MAX_SHARE_IN_LINES
    if not count.pixels or (keep_damage and (in_lines or not in_areas)):
        return False
    if _is_likely(value):
        rest = _without(band.values, codes)
        if count.pixels >= _MIN_PIXELS or not len(rest):
            return True
        low, high = float(rest[0]), float(rest[-1])
        return min(abs(value - low), abs(value - high)) >= _MIN_GAP_SINGLE * (high - low)
    if in_lines or not in_areas or count.pixels < _MIN_PIXELS:
        return False
    return _is_known(value, dtype) or count.pixels >= _MIN_SHARE_OTHER * band.pixels


def _doubtful(surveyed: Sequence[BandValues], dtype: np.dtype) -> dict[float, float]:
    """Type limits and known codes at the end of a band's values with a noticeable share of its sample, by value."""
    found: dict[float, float] = {}
    for band in surveyed:
        total = float(band.counts.sum())
        for place in {0, len(band.values) - 1} if len(band.values) > 1 else ():
            value, share = band.values[place].item(), float(band.counts[place] / total)
            near_limit = dtype.kind != "f" and 0 < np.iinfo(dtype).max - value <= _NEAR_LIMIT
            if share >= _DOUBTFUL_SHARE and (_is_likely(value) or (_is_known(value, dtype) and not near_limit)):
                found[value] = max(found.get(value, 0.0), share)
    return found


def _without(values: NDArray, left_out: Sequence[float]) -> NDArray:
    return values[~np.isin(values, np.array(list(left_out), values.dtype))]
