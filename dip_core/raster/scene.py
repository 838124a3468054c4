"""A *scene*: the bands of one or more rasters on one grid, read by windows.

The first raster sets the grid; the bands of further ones are appended, for example one file per band (Landsat).
An alpha band that marks valid pixels is not a band of the scene (see `alpha`). A pixel is *valid* unless nodata, a
mask, alpha, NaN or a missing code (see `open_scene`) excludes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from ..errors import GridMismatch, UnreadableRaster
from ..runtime.blocks import block_rows
from .alpha import alpha_notes, find_alpha_bands, read_valid
from .class_names import read_class_names
from .file_view import Nodata
from .grid import grid_of
from .missing_values import equals_any, without_repeats
from .nodata import masks_differ, same, unused_value
from .packed_mask import PackedMask
from .source import RASTER_ERRORS, open_raster, read_bands, read_tags, short_message

_BANDS_PER_READ = 64
_MAX_LISTED_BANDS = 6
_Result = TypeVar("_Result")
_Reader = Callable[[int, list[int]], NDArray]  # the number of a file and band indexes (from 1) to pixels


class Scene:
    """The open bands of one or more rasters; a context manager that closes them.

    ``grid``: that of the first raster. ``dtype``: the smallest type that holds the values of all bands. ``notes``:
    sentences for the user about assumptions made on opening. ``missing_codes``: values that mark missing pixels besides
    those that the metadata name, by band number. ``fill_value``, ``fill_pixels``: a value that marks missing pixels in
    some places, and these pixels (see `fill_value`). ``categorical``: numbers (from 0) of the bands that hold classes,
    see `categories`. Raises UnreadableRaster for a file that cannot be read and GridMismatch if the rasters have
    different grids.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        self._stack = ExitStack()
        try:
            self._sources = [self._stack.enter_context(open_raster(path)) for path in paths]
            self.grid = grid_of(self._sources[0])
            for path, source in zip(paths[1:], self._sources[1:]):
                difference = self.grid.difference(grid_of(source))
                if difference:
                    raise GridMismatch(path=path, reference=paths[0], reason=difference)
            stacked = len(paths) > 1
            self._alphas = [
                self._guard(number, partial(find_alpha_bands, source)) for number, source in enumerate(self._sources)
            ]
            self.bands = [
                band
                for number, source in enumerate(self._sources)
                for band in read_bands(source, number, stacked, self._alphas[number])
            ]
            if not self.bands:
                raise UnreadableRaster(path=paths[0], reason="it has no data band")
            for band in self.bands:
                if band.dtype.startswith("complex"):
                    reason = f"its data type {band.dtype} is not supported"
                    raise UnreadableRaster(path=paths[band.source], reason=reason)
        except BaseException:
            self._stack.close()
            raise
        self.dtype = np.result_type(*(band.dtype for band in self.bands))
        self.notes = [text for path, alpha in zip(paths, self._alphas) for text in alpha_notes(path, alpha)]
        self.missing_codes: dict[int, tuple[float, ...]] = {}
        self.fill_value: float | None = None
        self.fill_pixels: PackedMask | None = None
        self.categorical: frozenset[int] = frozenset()
        self._class_names: dict[int, dict[int, list[str]]] = {}
        self._nodata: Nodata | None = None
        self._mixed: bool | None = None
        self._inherited_nodata: set[int] = set()
        self._inherit_nodata()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.bands)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, rows, columns."""
        return self.count, self.grid.height, self.grid.width

    @property
    def nodata(self) -> Nodata | None:
        """The nodata value of the scene, None without one; an integer for 64-bit integers.

        If the bands mark missing pixels in different ways, it is a value that no valid pixel has. Raises
        UnreadableRaster if the type has no such value.
        """
        if not self.has_mixed_markers():
            return self.bands[0].nodata
        if self._nodata is None:
            candidates = [band.nodata for band in self.bands if band.nodata is not None]
            self._nodata = unused_value(self.dtype, candidates, self._used_values, self.paths[0])
        return self._nodata

    def has_mixed_markers(self) -> bool:
        """True if the bands differ in their nodata values, or have masks of their own: a GeoTIFF has one of each."""
        if self._mixed is None:
            first = self.bands[0].nodata
            self._mixed = any(not same(band.nodata, first) for band in self.bands) or masks_differ(
                self._sources, lambda: (self.declared_valid(window) for window in self.blocks())
            )
        return self._mixed

    def _used_values(self) -> Iterator[NDArray]:
        """The values of the valid pixels of each block."""
        for window in self.blocks():
            yield np.unique(self.read(window)[self.declared_valid(window)])

    @property
    def sources(self) -> list[rasterio.DatasetReader]:
        """The open files."""
        return self._sources

    @property
    def names(self) -> list[str]:
        """The bands' names, as shown in reports."""
        return [band.name(number) for number, band in enumerate(self.bands, start=1)]

    @property
    def alpha_index(self) -> int | None:
        """The index (from 1) of the first raster's alpha band, None without one that marks valid pixels."""
        return self._alphas[0].mask

    def has_alpha(self) -> bool:
        """True if the first raster has an alpha band that marks valid pixels."""
        return self.alpha_index is not None

    def has_dataset_mask(self) -> bool:
        """True if the first raster has a mask band (not nodata or alpha)."""
        return not {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha} & set(self._sources[0].mask_flag_enums[0])

    def tags(self) -> dict[str, dict[str, str]]:
        """The first raster's metadata items by namespace ('' is the default one)."""
        return read_tags(self._sources[0])

    def colormap(self, number: int) -> dict | None:
        """The colour table of band ``number`` (from 0), None without one."""
        band = self.bands[number]
        try:
            return self._sources[band.source].colormap(band.index)
        except ValueError:
            return None

    def class_names(self, number: int) -> list[str]:
        """The class names of band ``number`` (from 0), from category names or an attribute table; often none."""
        band = self.bands[number]
        if band.source not in self._class_names:
            self._class_names[band.source] = read_class_names(self._sources[band.source])
        return self._class_names[band.source].get(band.index, [])

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray:
        """Stored pixels ``(band, row, column)`` of a window, converted to ``dtype``; by default of all bands."""

        def read_pixels(number: int, indexes: list[int]) -> NDArray:
            return self._sources[number].read(indexes, window=window)

        return self._gather(read_pixels, window, bands, self.dtype)

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """True for valid pixels, ``(band, row, column)``."""
        valid = self.declared_valid(window, bands)
        for place, number in enumerate(range(self.count) if bands is None else bands):
            if self.missing_codes.get(number):
                valid[place] &= ~equals_any(self.read(window, [number])[0], self.missing_codes[number])
        if self.fill_pixels is not None:
            valid &= ~self.fill_pixels.window(window, bands)
        return valid

    def declared_valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """True for pixels that the file's metadata and NaN do not exclude, ``(band, row, column)``."""

        def read_finite(number: int, indexes: list[int]) -> NDArray[np.bool_]:
            source = self._sources[number]
            valid = read_valid(source, indexes, window, self._alphas[number])
            if np.dtype(source.dtypes[indexes[0] - 1]).kind == "f":
                valid &= np.isfinite(source.read(indexes, window=window))
            return valid

        valid = self._gather(read_finite, window, bands, np.dtype(bool))
        for place, number in enumerate(range(self.count) if bands is None else bands):
            if number in self._inherited_nodata:
                valid[place] &= self.read(window, [number])[0] != self.bands[number].nodata
        return valid

    def has_declared_marker(self) -> bool:
        """True if any band has a nodata value, a mask or an alpha band."""
        return any(band.has_mask for band in self.bands)

    @property
    def missing_values(self) -> tuple[Nodata, ...]:
        """The values of missing pixels of any band, which a restored pixel must not take."""
        declared = () if self.nodata is None else (self.nodata,)
        fill = () if self.fill_value is None else (self.fill_value,)
        return without_repeats([*declared, *fill, *(code for codes in self.missing_codes.values() for code in codes)])

    def blocks(self, rows: int | None = None, bands: int | None = None) -> Iterator[Window]:
        """Full-width windows from top to bottom, of at most ``rows`` rows.

        By default, as many rows as fit into `MAX_BLOCK_VALUES` values of ``bands`` bands (None: all).
        """
        rows = rows or block_rows(self.count if bands is None else bands, self.grid.width)
        for top in range(0, self.grid.height, rows):
            yield Window(0, top, self.grid.width, min(rows, self.grid.height - top))

    def read_subsampled(self, read: Callable[[Window], NDArray], window: Window | None, step: int) -> NDArray:
        """Every ``step``-th row and column of a window, or of the scene, ``(band, row, column)``.

        The scene is read in blocks to save memory. ``read`` returns the pixels ``(band, row, column)`` of a window, of
        this scene or of a raster on its grid.
        """
        if window is not None:
            return read(window)[:, ::step, ::step]
        rows = [read(part)[:, int(-part.row_off % step) :: step, ::step] for part in self.blocks()]
        return np.concatenate(rows, axis=1)

    def read_alpha(self, window: Window) -> NDArray | None:
        """The pixels ``(row, column)`` of the first raster's alpha band, None without one that marks valid pixels."""
        index = self.alpha_index
        return None if index is None else self._guard(0, lambda: self._sources[0].read(index, window=window))

    def _inherit_nodata(self) -> None:
        """Give bands of files without nodata, mask or alpha the nodata value of the first file that has one."""
        nodata_values = [band.nodata for band in self.bands if band.nodata is not None]
        if len(self.paths) == 1 or not nodata_values:
            return
        shown = nodata_values[0] if isinstance(nodata_values[0], int) else f"{nodata_values[0]:g}"
        for number, band in enumerate(self.bands):
            if not band.has_mask:
                self.bands[number] = replace(band, nodata=nodata_values[0], has_mask=True)
                self._inherited_nodata.add(number)
                self.notes.append(
                    f"{band.name(number + 1)} has no nodata value; that of another band is used ({shown})."
                )

    def _gather(self, read: _Reader, window: Window | None, bands: Sequence[int] | None, dtype: np.dtype) -> NDArray:
        """What ``read(number of a file, band indexes)`` returns for the window, for all ``bands`` in one array."""
        chosen = range(self.count) if bands is None else bands
        shape = self.grid.shape if window is None else (int(window.height), int(window.width))
        out = np.empty((len(chosen), *shape), dtype)
        by_file: dict[tuple[int, str], list[int]] = {}
        for place, number in enumerate(chosen):
            by_file.setdefault((self.bands[number].source, self.bands[number].dtype), []).append(place)
        # Pixel-interleaved files are read faster many bands at a time; the limit bounds the temporary copy.
        for (source, _), places in by_file.items():
            for first in range(0, len(places), _BANDS_PER_READ):
                batch = places[first : first + _BANDS_PER_READ]
                indexes = [self.bands[chosen[place]].index for place in batch]
                out[batch] = self._guard(source, partial(read, source, indexes))
        return out

    def _guard(self, number: int, read: Callable[[], _Result]) -> _Result:
        """What ``read`` returns; errors of rasterio become UnreadableRaster of file ``number``."""
        try:
            return read()
        except RASTER_ERRORS as error:
            raise UnreadableRaster(path=self.paths[number], reason=short_message(error)) from error


def join_names(names: Sequence[str]) -> str:
    """The names of at most six bands, and how many more there are."""
    more = len(names) - _MAX_LISTED_BANDS
    return ", ".join(names[:_MAX_LISTED_BANDS]) + (f" and {more} more" if more > 0 else "")
