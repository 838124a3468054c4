"""A survey of a scene's values, for finding missing codes: a sample of each band, its extremes, and exact counts.

Pixels that the metadata mark as missing are left out. The scene is read in blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .scene import Scene

_MAX_SAMPLES = 1 << 15  # values per band
_MAX_TOTAL = 1 << 23  # values of all bands
MAX_LISTED = 64  # different values on each side of the sample's range
_LINE_SHARE = 0.9  # of the pixels of a dead line that have its value


@dataclass(frozen=True)
class BandValues:
    """The different values of a band's sample in ascending order, with its lowest and highest value."""

    values: NDArray
    counts: NDArray[np.float64]  # in the sample
    pixels: int  # all that are not marked as missing


@dataclass(frozen=True)
class Survey:
    """What one pass over a scene finds.

    ``border_value``: the most frequent value of pixels at the raster's border that are equal in all bands, None
    without one; ``border_share``: their share of the border.
    """

    bands: list[BandValues]
    border_value: float | None = None
    border_share: float = 0.0


@dataclass
class ValueCount:
    """Where a band has one value.

    ``pixels``: how many have it; ``neighbours``: how many of these are next to another one in their row or column.
    ``rows``, ``columns``: pixels with the value in each row and column; ``all_rows``, ``all_columns``: pixels with any
    value. The latter four are without pixels that have a listed value in all of several bands.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    all_rows: NDArray[np.int64]
    all_columns: NDArray[np.int64]
    single_band: bool
    pixels: int = 0
    neighbours: int = 0

    def share_in_lines(self, max_lines: int) -> float:
        """Share of the pixels in rows or columns that the value fills, at most ``max_lines`` next to each other.

        In a raster of a single band, lines at its border do not count: they are a frame.
        """
        best = 0
        for own, numbers in ((self.rows, self.all_rows), (self.columns, self.all_columns)):
            full = (own > 0) & (own >= _LINE_SHARE * numbers)
            best = max(best, int(own[_short_runs(full, max_lines, inner=self.single_band)].sum()))
        return best / max(self.pixels, 1)


def survey_values(scene: Scene) -> Survey:
    """The values of a sample of each band, its lowest and highest value, and those of the raster's border."""
    limit = min(_MAX_SAMPLES, max(256, _MAX_TOTAL // scene.count))
    step = max(1, int(np.ceil(np.sqrt(scene.grid.width * scene.grid.height / limit))))
    samples: list[list[NDArray]] = [[] for _ in range(scene.count)]
    pixels = np.zeros(scene.count, np.int64)
    border: Counter[float] = Counter()
    for window in scene.blocks():
        values, valid = scene.read(window), scene.declared_valid(window)
        border.update(_equal_border_values(scene, window, values, valid))
        rows = slice(int(-window.row_off % step), None, step)
        for band in range(scene.count):
            whole = bool(valid[band].all())
            observed = values[band] if whole else values[band][valid[band]]
            if not observed.size:
                continue
            pixels[band] += observed.size
            part = values[band, rows, ::step]
            samples[band].append(part.ravel() if whole else part[valid[band, rows, ::step]])
            samples[band].append(np.array([observed.min(), observed.max()]))
    found = []
    for band in range(scene.count):
        sample = np.concatenate(samples[band]) if samples[band] else np.zeros(0, scene.dtype)
        distinct, counts = np.unique(sample, return_counts=True)
        found.append(BandValues(distinct, counts.astype(float), int(pixels[band])))
    if not border:
        return Survey(found)
    value, count = border.most_common(1)[0]
    return Survey(found, value, count / (2 * (scene.grid.width + scene.grid.height)))


def _equal_border_values(scene: Scene, window: Window, values: NDArray, valid: NDArray[np.bool_]) -> dict[float, int]:
    """The values of the border pixels of a block that are equal in all bands, with their numbers."""
    on_border = np.zeros(values.shape[1:], bool)
    on_border[:, [0, -1]] = True
    on_border[0] |= window.row_off == 0
    on_border[-1] |= window.row_off + window.height == scene.grid.height
    border, observed = values[:, on_border], valid[:, on_border].all(axis=0)
    equal = border[0, observed & (border == border[:1]).all(axis=0)]
    found, counts = np.unique(equal, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist()))


def list_extremes(scene: Scene, ranges: Mapping[int, tuple[float, float]]) -> dict[int, dict[float, int]]:
    """The values outside a range ``(low, high)``, by band, with their numbers of pixels.

    At most ``MAX_LISTED`` on each side, the outermost ones.
    """
    found: dict[int, dict[float, int]] = {band: {} for band in ranges}
    bands = list(ranges)
    for window in scene.blocks():
        values, valid = scene.read(window, bands), scene.declared_valid(window, bands)
        for place, band in enumerate(bands):
            low, high = ranges[band]
            outer = values[place][valid[place] & ((values[place] < low) | (values[place] > high))]
            if not outer.size:
                continue
            for value, number in zip(*(part.tolist() for part in np.unique(outer, return_counts=True))):
                found[band][value] = found[band].get(value, 0) + number
            ordered = sorted(found[band])
            kept = {v for v in ordered[:MAX_LISTED] if v < low} | {v for v in ordered[-MAX_LISTED:] if v > high}
            found[band] = {value: found[band][value] for value in ordered if value in kept}
    return found


def count_values(
    scene: Scene, listed: Mapping[int, Sequence[float]]
) -> tuple[dict[tuple[int, float], ValueCount], int]:
    """Exact counts of the values ``listed`` for each band, by band and value, and of pixels with one in all bands."""
    bands = [band for band in listed if listed[band]]
    counts = {(band, value): _no_pixels(scene) for band in bands for value in listed[band]}
    in_all_bands = 0
    for window in scene.blocks():
        values, valid = scene.read(window, bands), scene.declared_valid(window, bands)
        masks = {
            (band, value): valid[place] & (values[place] == scene.dtype.type(value))
            for place, band in enumerate(bands)
            for value in listed[band]
        }
        shared = np.full(values.shape[1:], len(bands) == scene.count)
        for band in bands:
            shared &= np.logical_or.reduce([masks[band, value] for value in listed[band]])
        in_all_bands += int(np.count_nonzero(shared))
        left_out = shared & (scene.count > 1)
        for (band, value), mask in masks.items():
            _add(counts[band, value], mask, valid[bands.index(band)] & ~left_out, window.toslices()[0])
    return counts, in_all_bands


def _no_pixels(scene: Scene) -> ValueCount:
    _, rows, columns = scene.shape
    in_rows, in_columns = np.zeros((2, rows), np.int64), np.zeros((2, columns), np.int64)
    return ValueCount(in_rows[0], in_columns[0], in_rows[1], in_columns[1], scene.count == 1)


def _add(count: ValueCount, mask: NDArray[np.bool_], counted: NDArray[np.bool_], in_rows: slice) -> None:
    near = np.zeros_like(mask)
    near[1:] |= mask[:-1]
    near[:-1] |= mask[1:]
    near[:, 1:] |= mask[:, :-1]
    near[:, :-1] |= mask[:, 1:]
    count.pixels += int(np.count_nonzero(mask))
    count.neighbours += int(np.count_nonzero(mask & near))
    count.rows[in_rows] += np.count_nonzero(mask & counted, axis=1)
    count.columns += np.count_nonzero(mask & counted, axis=0)
    count.all_rows[in_rows] += np.count_nonzero(counted, axis=1)
    count.all_columns += np.count_nonzero(counted, axis=0)


def _short_runs(full: NDArray[np.bool_], max_length: int, *, inner: bool) -> NDArray[np.bool_]:
    """The True elements in runs of at most ``max_length``; ``inner``: without those that begin or end the array."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], full.astype(np.int8), [0]])))
    out = np.zeros_like(full)
    for begin, end in zip(edges[::2], edges[1::2]):
        if end - begin <= max_length and not (inner and (begin == 0 or end == len(full))):
            out[begin:end] = True
    return out
