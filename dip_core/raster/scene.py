"""Rasters in: a *scene* is the stack of bands of one or more rasters on one *grid*.

The first raster gives the grid and all its bands; further ones add theirs, as Landsat's band files do.
An *alpha* band tells which pixels are valid and is no band of the scene. *Valid* pixels are those that
nodata, masks, alpha and NaN do not rule out.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.windows import Window

from ..errors import GridMismatch, UnreadableRaster

BLOCK_ROWS = 512
_TOGETHER = 64  # bands that are read at a time
# Namespaces that describe the file itself, or (xml:) hold one text that cannot be written as items.
_NOT_COPIED = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "COLOR_PROFILE", "xml:")


@dataclass(frozen=True)
class Grid:
    """Where the pixels lie: size, CRS and transform, or ground control points, or RPCs."""

    width: int
    height: int
    crs: object
    transform: rasterio.Affine
    gcps: tuple = ()
    gcp_crs: object = None
    rpcs: object = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def upsampled(self, factor: int) -> Grid:
        """The grid with pixels ``factor`` times as small and the same extent."""
        gcps = tuple(GroundControlPoint(p.row * factor, p.col * factor, p.x, p.y, p.z, p.id, p.info) for p in self.gcps)
        t, rpcs = self.transform, copy.copy(self.rpcs)
        if rpcs is not None:
            # RPCs count from the centre of the first pixel, transforms and GCPs from its corner.
            for axis in ("line", "samp"):
                setattr(rpcs, f"{axis}_off", (getattr(rpcs, f"{axis}_off") + 0.5) * factor - 0.5)
                setattr(rpcs, f"{axis}_scale", getattr(rpcs, f"{axis}_scale") * factor)
        return replace(
            self,
            width=self.width * factor,
            height=self.height * factor,
            transform=rasterio.Affine(t.a / factor, t.b / factor, t.c, t.d / factor, t.e / factor, t.f),
            gcps=gcps,
            rpcs=rpcs,
        )

    def difference(self, other: Grid) -> str | None:
        """What sets the grids apart, in words; None when a pixel of one is the same pixel of the other."""
        if self.shape != other.shape:
            return f"{other.width} x {other.height} pixels instead of {self.width} x {self.height}"
        if self.crs and other.crs and self.crs != other.crs:
            return "another CRS"
        pixel = math.hypot(self.transform.a, self.transform.d) or 1.0
        georeferenced = not (self.transform.is_identity or other.transform.is_identity)
        if georeferenced and not self.transform.almost_equals(other.transform, precision=pixel * 1e-3):
            return "another position or pixel size"
        return None


@dataclass(frozen=True)
class Band:
    """One band: where it is read, and what is known of it."""

    source: int
    index: int
    dtype: str
    nodata: float | None
    scale: float
    offset: float
    units: str | None
    description: str | None
    colorinterp: ColorInterp
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    has_mask: bool = False

    def name(self, number: int) -> str:
        """The band's description, else ``Band n`` (counted from 1)."""
        return self.description or f"Band {number}"


class Scene:
    """An open stack of bands; a context manager that closes its rasters.

    Raises UnreadableRaster for what is no readable raster, GridMismatch for rasters on other grids.
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
            self.bands = [band for number, src in enumerate(self._sources) for band in _bands(number, src, stacked)]
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
        self.notes: list[str] = []
        self._nodata: float | None = None
        self._zero_is_fill: bool | None = None
        self._inheriting: set[int] = set()
        self._inherit_nodata()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
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
    def nodata(self) -> float | None:
        """The nodata value of all bands; of a stack whose files differ, one that no valid pixel has.

        Raises UnreadableRaster where the type has no such value.
        """
        values = list({str(band.nodata): band.nodata for band in self.bands if band.nodata is not None}.values())
        if len(values) <= 1:
            return values[0] if values else None
        if self._nodata is None:
            self._nodata = self._free_nodata(values)
        return self._nodata

    @property
    def names(self) -> list[str]:
        """The bands' names, as the report shows them."""
        return [band.name(number) for number, band in enumerate(self.bands, start=1)]

    def has_alpha(self) -> bool:
        """True if the first raster has an alpha band."""
        return _alpha_index(self._sources[0]) is not None

    def has_dataset_mask(self) -> bool:
        """True where the first raster carries a mask band of its own."""
        return not {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha} & set(self._sources[0].mask_flag_enums[0])

    def tags(self) -> dict[str, dict[str, str]]:
        """The first raster's metadata, by namespace ('' is the default one)."""
        return _all_tags(self._sources[0], 0)

    def colormap(self, number: int) -> dict | None:
        """The colour table of band ``number`` (from 0), if it has one."""
        band = self.bands[number]
        try:
            return self._sources[band.source].colormap(band.index)
        except ValueError:
            return None

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray:
        """Pixels as stored, ``(band, row, column)``, in the stack's common type."""
        return self._gather(lambda source, indexes: source.read(indexes, window=window), window, bands, self.dtype)

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """True where a pixel is valid, ``(band, row, column)``."""

        def some(source: rasterio.DatasetReader, indexes: list[int]) -> NDArray[np.bool_]:
            valid = source.read_masks(indexes, window=window) > 0
            alpha = _alpha_index(source)
            if alpha is not None:  # GDAL's own masks heed it in rasters of 2 and 4 bands only
                valid &= source.read(alpha, window=window) > 0
            if np.dtype(source.dtypes[indexes[0] - 1]).kind == "f":
                valid &= np.isfinite(source.read(indexes, window=window))
            return valid

        valid = self._gather(some, window, bands, np.dtype(bool))
        for place, number in enumerate(range(self.count) if bands is None else bands):
            if number in self._inheriting:
                valid[place] &= self.read(window, [number])[0] != self.bands[number].nodata
        return valid

    def has_missing_marker(self) -> bool:
        """True where any band has a nodata value, a mask or an alpha band."""
        return any(band.has_mask for band in self.bands)

    def zero_is_fill(self) -> bool:
        """True where nothing marks missing pixels, neither `has_missing_marker` nor NaN: 0 in all bands stands for them."""
        if self._zero_is_fill is None:
            floats = [number for number, band in enumerate(self.bands) if np.dtype(band.dtype).kind == "f"]
            self._zero_is_fill = not self.has_missing_marker() and all(
                self.valid(window, floats).all() for window in self.blocks()
            )
        return self._zero_is_fill

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Window]:
        """Full-width windows from top to bottom."""
        for top in range(0, self.grid.height, rows):
            yield Window(0, top, self.grid.width, min(rows, self.grid.height - top))

    def read_subsampled(self, read: Callable[[Window], NDArray], window: Window | None, step: int) -> NDArray:
        """Every ``step``-th row and column of a window, or of the scene: for pictures, without reading it all at once.

        ``read`` gives the pixels of a window, ``(band, row, column)``, of this scene or of a raster on its grid.
        """
        if window is not None:
            return read(window)[:, ::step, ::step]
        rows = [read(part)[:, int(-part.row_off % step) :: step, ::step] for part in self.blocks()]
        return np.concatenate(rows, axis=1)

    def read_alpha(self, window: Window) -> NDArray | None:
        """The alpha band's pixels, if there is one."""
        index = _alpha_index(self._sources[0])
        return None if index is None else self._read(0, lambda source: source.read(index, window=window))

    def _inherit_nodata(self) -> None:
        """Bands of a stack whose file marks nothing as missing take the nodata value of those that do."""
        marked = [band.nodata for band in self.bands if band.nodata is not None]
        if len(self.paths) == 1 or not marked:
            return
        for number, band in enumerate(self.bands):
            if not band.has_mask:
                self.bands[number] = replace(band, nodata=marked[0], has_mask=True)
                self._inheriting.add(number)
                self.notes.append(
                    f"{band.name(number + 1)} has no nodata value: {marked[0]:g}, that of another, is taken."
                )

    def _free_nodata(self, candidates: list[float]) -> float:
        limits: list[float] = []
        if self.dtype.kind != "f":
            limits = [float(np.iinfo(self.dtype).min), float(np.iinfo(self.dtype).max)]
        for value in dict.fromkeys([*candidates, *limits]):
            if np.isnan(value) or not any(
                ((self.read(window) == value) & self.valid(window)).any() for window in self.blocks()
            ):
                return value
        if self.dtype.kind == "f":
            return math.nan
        reason = "its bands have different nodata values, each of which is a valid value of another band"
        raise UnreadableRaster(path=self.paths[0], reason=reason)

    def _gather(self, read, window: Window | None, bands: Sequence[int] | None, dtype: np.dtype) -> NDArray:  # type: ignore[no-untyped-def]
        chosen = range(self.count) if bands is None else bands
        shape = self.grid.shape if window is None else (int(window.height), int(window.width))
        out = np.empty((len(chosen), *shape), dtype)
        alike: dict[tuple[int, str], list[int]] = {}
        for place, number in enumerate(chosen):
            alike.setdefault((self.bands[number].source, self.bands[number].dtype), []).append(place)
        # Many bands at a time, since files often hold them pixel by pixel; not all, for they are copied.
        for (source, _), places in alike.items():
            for first in range(0, len(places), _TOGETHER):
                some = places[first : first + _TOGETHER]
                indexes = [self.bands[chosen[place]].index for place in some]
                out[some] = self._read(source, lambda opened, indexes=indexes: read(opened, indexes))
        return out

    def _read(self, source: int, read) -> NDArray:  # type: ignore[no-untyped-def]
        try:
            return read(self._sources[source])
        except (RasterioError, OSError) as error:
            raise UnreadableRaster(path=self.paths[source], reason=_brief(error)) from error


def open_raster(path: str) -> rasterio.DatasetReader:
    """Open a raster for reading; ``.gz`` files are read in place. Raises UnreadableRaster."""
    name = str(path)
    if name.lower().endswith(".gz") and "/vsi" not in name:
        name = f"/vsigzip/{os.path.abspath(name)}"
    if not name.startswith("/vsi") and ":" not in name and not os.path.exists(name):
        raise UnreadableRaster(path=path, reason="there is no such file")
    try:
        # GDAL would leave a file with the unpacked size beside a .gz file.
        with rasterio.Env(CPL_VSIL_GZIP_WRITE_PROPERTIES="NO"):
            source = rasterio.open(name)
    except (RasterioIOError, RasterioError, OSError) as error:
        raise UnreadableRaster(path=path, reason=_brief(error)) from error
    except IndexError as error:  # rasterio's answer to a container without a raster band of its own
        raise UnreadableRaster(path=path, reason="it holds no raster, or several: choose one subdataset") from error
    if source.count == 0:
        reason = "it holds several rasters: choose one subdataset" if source.subdatasets else "it has no band"
        source.close()
        raise UnreadableRaster(path=path, reason=reason)
    return source


def grid_of(source: rasterio.DatasetReader) -> Grid:
    """The grid of an open raster."""
    gcps, gcp_crs = source.gcps
    return Grid(
        source.width,
        source.height,
        source.crs,
        source.transform,
        tuple(gcps),
        gcp_crs,
        source.rpcs if source.rpcs else None,
    )


def _bands(number: int, source: rasterio.DatasetReader, stacked: bool) -> Iterator[Band]:
    # Each of these is a list of all bands that is made anew whenever it is asked for.
    interps, masks = source.colorinterp, source.mask_flag_enums
    dtypes, nodata, units = source.dtypes, source.nodatavals, source.units
    scales, offsets, descriptions = source.scales, source.offsets, source.descriptions
    has_alpha = ColorInterp.alpha in interps
    for place, index in enumerate(source.indexes):
        if interps[place] == ColorInterp.alpha:
            continue
        yield Band(
            source=number,
            index=index,
            dtype=dtypes[place],
            nodata=nodata[place],
            scale=scales[place],
            offset=offsets[place],
            units=units[place],
            description=descriptions[place] or (_stem(source.name) if stacked and source.count == 1 else None),
            colorinterp=interps[place],
            tags=_all_tags(source, index),
            has_mask=has_alpha or MaskFlags.all_valid not in masks[place],
        )


def _alpha_index(source: rasterio.DatasetReader) -> int | None:
    interps = source.colorinterp
    return interps.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in interps else None


def _all_tags(source: rasterio.DatasetReader, index: int) -> dict[str, dict[str, str]]:
    names = ["", *(name for name in source.tag_namespaces(index) if name and not name.startswith(_NOT_COPIED))]
    found = {name: source.tags(index, ns=name) if name else source.tags(index) for name in names}
    return {name: tags for name, tags in found.items() if tags}


def _stem(name: str) -> str:
    return os.path.basename(name).split(".")[0]


def _brief(error: BaseException) -> str:
    """The library's message on one line, short, without the path that the sentence names already."""
    text = " ".join(str(error.__cause__ or error).split())
    return (text[:157] + "...") if len(text) > 160 else (text.rstrip(".") or type(error).__name__)
