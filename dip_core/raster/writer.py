"""Rasters out: GeoTIFFs that keep what is known of the scene, and that appear only when whole.

Each file is written to its partial (see `partial`), block by block, closed, read back once, and renamed
by `partial.commit` when the whole run has succeeded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ..errors import DiskFull, UnwritableOutput
from ..job import Outputs
from . import atomic, metadata
from .scene import Scene

# A file deflates to less than this share of its raw size only when it is all but empty.
_BEST_COMPRESSION = 0.02
_PREDICTOR = {"f": 3, "u": 2, "i": 2}


class RasterWriter:
    """A GeoTIFF on the scene's grid, written by windows; a context manager.

    ``like`` gives grid, metadata and (unless told otherwise) bands, type and nodata. ``kind``: ``values``
    (the scene's own), ``deviation`` (of its values: same scale, no offset) or ``mask``. ``keep_mask`` False
    leaves out the scene's alpha and mask. Raises UnwritableOutput and DiskFull.
    """

    def __init__(
        self,
        path: str,
        like: Scene,
        *,
        dtype: np.dtype | str | None = None,
        nodata: float | str | None = "scene",
        count: int | None = None,
        descriptions: Sequence[str] | None = None,
        tags: dict[str, str] | None = None,
        kind: str = "values",
        keep_mask: bool = True,
    ) -> None:
        self.path = path
        self.dtype = np.dtype(dtype or like.dtype)
        self.count = count or like.count
        self.nodata = like.nodata if isinstance(nodata, str) else nodata
        self._like = like
        self._alpha = kind == "values" and keep_mask and like.has_alpha()
        self._mask = kind == "values" and keep_mask and like.has_dataset_mask()
        self._unify = kind == "values" and isinstance(nodata, str) and _several_nodata(like)
        self._partial = atomic.create_temporary(path)
        grid = like.grid
        size = self.dtype.itemsize * (self.count + self._alpha) * grid.width * grid.height
        atomic.check_disk_space(path, int(size * _BEST_COMPRESSION) + 65536)
        tiled = grid.width >= 256 and grid.height >= 256
        profile: dict = {
            "driver": "GTiff",
            "width": grid.width,
            "height": grid.height,
            "count": self.count + self._alpha,
            "dtype": self.dtype.name,
            "nodata": self.nodata if _holds(self.dtype, self.nodata) else None,
            "compress": "deflate",
            "predictor": _PREDICTOR[self.dtype.kind],
            "bigtiff": "if_safer",
            "interleave": "band" if self.count > 8 else "pixel",
        }
        if kind != "values":
            profile.update(photometric="minisblack")  # else 4 bands of bytes become RGB and alpha
        if tiled:
            profile.update(tiled=True, blockxsize=256, blockysize=256)
        if grid.gcps:
            profile.update(gcps=list(grid.gcps), crs=grid.gcp_crs or grid.crs)
        else:
            profile.update(crs=grid.crs, transform=grid.transform)
        with self._guard():
            self._file = rasterio.open(self._partial, "w", **profile)
            if grid.rpcs:
                self._file.rpcs = grid.rpcs
            metadata.copy_metadata(self._file, like, descriptions, tags or {}, kind)
            if self._alpha:
                interps = list(self._file.colorinterp)
                interps[-1] = ColorInterp.alpha
                self._file.colorinterp = interps

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            with contextlib.suppress(RasterioError, OSError):
                self._file.close()
            return
        with self._guard():
            self._file.close()
            with rasterio.open(self._partial) as written:
                for top in range(0, written.height, 512):
                    written.read(window=Window(0, top, written.width, min(512, written.height - top)))

    def write(self, pixels: NDArray, window: Window, changed: NDArray[np.bool_] | None = None) -> None:
        """Write ``(band, row, column)`` pixels; transparent or masked ``changed`` pixels open."""
        with self._guard():
            if self._unify:
                kept = self._like.valid(window) | (False if changed is None else changed)
                pixels = np.where(kept, pixels, np.asarray(self.nodata).astype(self.dtype))
            for number in range(self.count):
                self._file.write(pixels[number].astype(self.dtype, copy=False), number + 1, window=window)
            opened = None if changed is None else changed.all(axis=0)
            if self._alpha:
                alpha = self._like.read_alpha(window)
                if alpha is not None:
                    opaque = _opaque(alpha, self.dtype)
                    if alpha.dtype != self.dtype:  # the stack's common type is wider than that of the alpha band
                        alpha = np.rint(alpha / _opaque(alpha, alpha.dtype) * opaque).astype(self.dtype)
                    if opened is not None:
                        alpha = np.where(opened & (alpha == 0), opaque, alpha).astype(self.dtype)
                    self._file.write(alpha, self.count + 1, window=window)
            if self._mask:
                mask = self._like.valid(window).any(axis=0)
                if opened is not None:
                    mask |= opened
                self._file.write_mask(mask, window=window)

    @contextlib.contextmanager
    def _guard(self):  # type: ignore[no-untyped-def]
        try:
            # An internal mask: a .msk file beside the partial would miss the rename.
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                yield
        except (RasterioError, OSError) as error:
            text = " ".join(str(error.__cause__ or error).split())
            with contextlib.suppress(OSError):
                atomic.check_disk_space(self.path, 1 << 20)
            if "No space" in text or "ENOSPC" in text:
                raise DiskFull(path=self.path, reason="the disk filled up while writing") from error
            raise UnwritableOutput(path=self.path, reason=text[:160] or type(error).__name__) from error


def _opaque(alpha: NDArray, dtype: np.dtype) -> float:
    """The alpha of an opaque pixel; in rasters of floats, where there is no rule, the highest that is met."""
    if dtype.kind != "f":
        return int(np.iinfo(dtype).max)
    return max(1.0, float(alpha.max())) if alpha.dtype.kind == "f" else 1.0


def _several_nodata(scene: Scene) -> bool:
    """True where bands differ in their nodata value; a GeoTIFF has one for all its bands."""
    return scene.nodata is not None and any(str(band.nodata) != str(scene.nodata) for band in scene.bands)


def _holds(dtype: np.dtype, value: float | None) -> bool:
    """True where a pixel of this type can hold the nodata value."""
    if value is None:
        return True
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max


def open_output_writers(
    files: ExitStack, outputs: Outputs, like: Scene, tags: dict[str, str], done: str
) -> dict[str, RasterWriter]:
    """Writers of the rasters that are wanted, by output name, open until ``files`` close.

    ``like`` gives grid, bands and metadata; ``done``: what FILLED marks, in a word.
    """
    found = {"output": files.enter_context(RasterWriter(outputs.output or "", like, tags=tags))}
    if outputs.uncertainty:
        names = [f"{name}, one standard deviation" for name in like.names]
        nan = float("nan")
        found["uncertainty"] = files.enter_context(
            RasterWriter(
                outputs.uncertainty, like, dtype="float32", nodata=nan, descriptions=names, tags=tags, kind="deviation"
            )
        )
    if outputs.filled:
        names = [f"{name}, 1 = {done}" for name in like.names]
        found["filled"] = files.enter_context(
            RasterWriter(outputs.filled, like, dtype="uint8", nodata=None, descriptions=names, tags=tags, kind="mask")
        )
    return found


def write_output_window(
    writers: Mapping[str, RasterWriter],
    window: Window,
    pixels: NDArray,
    bands: Sequence[int],
    fresh: NDArray,
    good: NDArray[np.bool_],
    deviation: NDArray[np.float32],
) -> None:
    """Write a window of OUTPUT and, where there are writers for them, of UNCERTAINTY and FILLED.

    ``pixels``: those of all bands as they are stored, in which ``fresh`` ones of some ``bands`` are put where ``good``.
    """
    bands = list(bands)
    pixels[bands] = np.where(good, fresh, pixels[bands])
    writers["output"].write(pixels, window)
    if "uncertainty" in writers:
        whole = np.full(pixels.shape, np.nan, np.float32)
        whole[bands] = np.where(good, deviation, np.nan)
        writers["uncertainty"].write(whole, window)
    if "filled" in writers:
        mask = np.zeros(pixels.shape, np.uint8)
        mask[bands] = good
        writers["filled"].write(mask, window)


def to_stored_pixels(values: NDArray, dtype: np.dtype, low: NDArray, high: NDArray, nodata: float | None) -> NDArray:
    """Estimates in the data's units as pixels of ``dtype``: within each band's range, never nodata.

    ``values``: ``(band, row, column)``; ``low``, ``high``: the lowest and highest observed value, ``(band,)``.
    """
    pixels = np.clip(values, low[:, None, None], high[:, None, None])
    if dtype.kind != "f":
        pixels = np.rint(pixels)
    pixels = pixels.astype(dtype)
    if nodata is not None and np.isfinite(nodata):
        forbidden = pixels == np.asarray(nodata).astype(dtype)
        if forbidden.any():
            upwards = ((low + high) / 2 >= float(nodata))[:, None, None]
            if dtype.kind == "f":
                beside = np.nextafter(pixels, np.where(upwards, np.inf, -np.inf).astype(dtype))
            else:
                beside = np.where(upwards, pixels + dtype.type(1), pixels - dtype.type(1))
            pixels = np.where(forbidden, beside, pixels).astype(dtype)
    return pixels
