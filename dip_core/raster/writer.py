"""Writing outputs: GeoTIFFs with the metadata of the scene, which appear only when the run succeeds (see `atomic`).

A file is written to its temporary path by windows, closed, and read once to check it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from ..errors import DiskFull, UnwritableOutput, output_error
from ..job_fields import Outputs
from ..runtime.blocks import block_rows
from ..runtime.context import Context
from . import atomic, metadata, sidecar
from .file_view import Nodata, declared_nodata
from .geotiff import create_geotiff, output_nodata
from .metadata_check import colour_profile, describe, lost_metadata
from .missing_values import can_hold
from .nodata import same_in
from .scene import Scene
from .source import RASTER_ERRORS, short_message

_BEST_COMPRESSION = 0.02  # only almost empty files deflate to less than this share of their size
_PREDICTOR = {"f": 3, "u": 2, "i": 2}


class RasterWriter:
    """A GeoTIFF on the scene's grid, written by windows; a context manager.

    ``like``: the scene that gives grid and metadata, and the default of bands, type and nodata. ``content``: ``values``
    (as those of the scene), ``deviation`` (standard deviations of values: same scale, no offset) or ``mask``.
    ``keep_mask``: copy the scene's alpha band and mask. ``context`` receives a warning about metadata that the file
    cannot hold. Raises UnwritableOutput and DiskFull.
    """

    def __init__(
        self,
        path: str,
        like: Scene,
        *,
        dtype: np.dtype | str | None = None,
        nodata: Nodata | str | None = "scene",
        count: int | None = None,
        descriptions: Sequence[str] | None = None,
        tags: dict[str, str] | None = None,
        content: metadata.Content = "values",
        keep_mask: bool = True,
        context: Context | None = None,
    ) -> None:
        self.path = path
        self.dtype = np.dtype(dtype or like.dtype)
        self.count = count or like.count
        self.nodata = output_nodata(like) if isinstance(nodata, str) else nodata
        self._like = like
        self._content = content
        self._context = context or Context()
        self._unify = content == "values" and isinstance(nodata, str) and like.has_mixed_markers()
        self._alpha = content == "values" and keep_mask and like.has_alpha()
        self._mask = content == "values" and keep_mask and like.has_dataset_mask() and not self._unify
        if self._unify:
            self._context.warn(
                "The bands mark missing pixels in different ways. The output has one nodata value for all bands, "
                f"{self.nodata}, which no valid pixel has."
            )
        self._temporary = atomic.create_temporary(path)
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
            "compress": "deflate",
            "predictor": _PREDICTOR[self.dtype.kind],
            "bigtiff": "if_safer",
            "interleave": "band" if self.count > 8 else "pixel",
        }
        if content == "values":
            profile.update(colour_profile(like)["COLOR_PROFILE"])
        else:
            profile.update(photometric="minisblack")  # otherwise GDAL takes 4 bands of bytes for RGB and alpha
        if tiled:
            profile.update(tiled=True, blockxsize=256, blockysize=256)
        if grid.gcps:
            profile.update(gcps=list(grid.gcps), crs=grid.gcp_crs or grid.crs)
        else:
            profile.update(crs=grid.crs, transform=grid.transform)
        with self._guard():
            self._file = create_geotiff(self._temporary, profile, self.nodata)
            if grid.rpcs:
                self._file.rpcs = grid.rpcs
            metadata.copy_metadata(self._file, like, descriptions, tags or {}, content)
            if self._alpha:
                interps = list(self._file.colorinterp)
                interps[-1] = ColorInterp.alpha
                self._file.colorinterp = interps
                metadata.copy_alpha_metadata(self._file, like)

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(self, error_type: object, *_: object) -> None:
        if error_type is not None:
            with contextlib.suppress(*RASTER_ERRORS):
                self._file.close()
            return
        with self._guard():
            self._file.close()
            self._complete_metadata()
            self._verify()

    def write(self, pixels: NDArray, window: Window, changed: NDArray[np.bool_] | None = None) -> None:
        """Write pixels ``(band, row, column)`` of a window.

        Where all bands are ``changed``, alpha becomes opaque and the mask valid.
        """
        with self._guard():
            if self._unify:
                kept = self._like.declared_valid(window) | (False if changed is None else changed)
                pixels = np.where(kept, pixels, np.asarray(self.nodata).astype(self.dtype))
            for number in range(self.count):
                self._file.write(pixels[number].astype(self.dtype, copy=False), number + 1, window=window)
            restored = None if changed is None else changed.all(axis=0)
            if self._alpha:
                alpha = self._like.read_alpha(window)
                if alpha is not None:
                    opaque = _opaque(alpha, self.dtype)
                    if alpha.dtype != self.dtype:  # the type of the bands is wider than that of the alpha band
                        alpha = np.rint(alpha / _opaque(alpha, alpha.dtype) * opaque).astype(self.dtype)
                    if restored is not None:
                        alpha = np.where(restored & (alpha == 0), opaque, alpha).astype(self.dtype)
                    self._file.write(alpha, self.count + 1, window=window)
            if self._mask:
                mask = self._like.declared_valid(window).any(axis=0)
                if restored is not None:
                    mask |= restored
                self._file.write_mask(mask, window=window)

    def _complete_metadata(self) -> None:
        """Write what the file itself does not hold to a sidecar, and report what that does not hold either."""
        has_room = atomic.can_have(self.path, sidecar.ENDING)
        if not has_room:  # a name of 255 bytes: the sidecar could not be renamed
            atomic.remove_sidecars(self._temporary)
        only_position = self._content != "values"
        lost = lost_metadata(self._like, self._temporary, only_position)
        if lost and has_room:
            sidecar.write_sidecar(self._temporary, lost)
            lost = lost_metadata(self._like, self._temporary, only_position)
        if lost:
            self._context.warn(
                f"The output does not keep {describe(lost)} of '{self._like.paths[0]}', which a GeoTIFF cannot hold. "
                "Take them from there if they are needed."
            )

    def _verify(self) -> None:
        """Read the file once, and compare its structure with what was written. Raises UnwritableOutput."""
        with rasterio.open(self._temporary) as written:
            shape = (self.count + self._alpha, self._like.grid.height, self._like.grid.width)
            types = set(written.dtypes)
            if (written.count, *written.shape) != shape or types != {self.dtype.name}:
                raise UnwritableOutput(path=self.path, reason="the written file has another size or type")
            if not all(same_in(self.dtype, value, self.nodata) for value in declared_nodata(written)):
                raise UnwritableOutput(path=self.path, reason=f"the file cannot keep the nodata value {self.nodata}")
            rows = block_rows(written.count, written.width)
            for top in range(0, written.height, rows):
                written.read(window=Window(0, top, written.width, min(rows, written.height - top)))

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn errors of rasterio into UnwritableOutput or DiskFull."""
        try:
            # Write the mask into the file: a separate .msk file would not be renamed with it.
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                yield
        except RASTER_ERRORS as error:
            with contextlib.suppress(OSError):
                atomic.check_disk_space(self.path, 1 << 20)
            known = output_error(self.path, error)
            if isinstance(known, DiskFull):
                raise known from error
            raise UnwritableOutput(path=self.path, reason=short_message(error)) from error


def _opaque(alpha: NDArray, dtype: np.dtype) -> float:
    """The alpha value of opaque pixels; for floats, which have no convention, the highest value in ``alpha``."""
    if dtype.kind != "f":
        return int(np.iinfo(dtype).max)
    return max(1.0, float(alpha.max())) if alpha.dtype.kind == "f" else 1.0


def open_output_writers(
    files: ExitStack, outputs: Outputs, like: Scene, tags: dict[str, str], verb: str, context: Context | None = None
) -> dict[str, RasterWriter]:
    """Writers of the requested rasters among OUTPUT, UNCERTAINTY and FILLED, by lower-case name; ``files`` closes them.

    ``like``: the scene that gives grid, bands and metadata. ``verb``: a participle for the pixels that FILLED marks,
    such as "filled". ``context``: see `RasterWriter`.
    """
    found = {"output": files.enter_context(RasterWriter(outputs.output or "", like, tags=tags, context=context))}
    if outputs.uncertainty:
        names = [f"{name}, one standard deviation" for name in like.names]
        nan = float("nan")
        found["uncertainty"] = files.enter_context(
            RasterWriter(
                outputs.uncertainty,
                like,
                dtype="float32",
                nodata=nan,
                descriptions=names,
                tags=tags,
                content="deviation",
            )
        )
    if outputs.filled:
        names = [f"{name}, 1 = {verb}" for name in like.names]
        found["filled"] = files.enter_context(
            RasterWriter(
                outputs.filled, like, dtype="uint8", nodata=None, descriptions=names, tags=tags, content="mask"
            )
        )
    return found


def write_output_window(
    writers: Mapping[str, RasterWriter],
    window: Window,
    pixels: NDArray,
    bands: Sequence[int],
    restored: NDArray,
    changed: NDArray[np.bool_],
    deviation: NDArray[np.float32],
) -> None:
    """Write a window of OUTPUT, and of UNCERTAINTY and FILLED if ``writers`` has them.

    ``pixels``: stored pixels of all bands ``(band, row, column)``; changed in place. ``restored``: new pixels of
    ``bands``, used where ``changed``, with their standard ``deviation``.
    """
    bands = list(bands)
    pixels[bands] = np.where(changed, restored, pixels[bands])
    writers["output"].write(pixels, window)
    if "uncertainty" in writers:
        all_deviations = np.full(pixels.shape, np.nan, np.float32)
        all_deviations[bands] = np.where(changed, deviation, np.nan)
        writers["uncertainty"].write(all_deviations, window)
    if "filled" in writers:
        mask = np.zeros(pixels.shape, np.uint8)
        mask[bands] = changed
        writers["filled"].write(mask, window)


def to_stored_pixels(
    values: NDArray, dtype: np.dtype, low: NDArray, high: NDArray, missing: Sequence[Nodata] = ()
) -> NDArray:
    """Convert estimates ``(band, row, column)`` in the data's units to ``dtype``.

    Values are clipped to the observed range of their band, ``low`` to ``high`` ``(band,)``. A value that would equal
    one of ``missing``, the values of missing pixels, moves by the smallest steps towards the middle of the range.
    """
    pixels = np.clip(values, low[:, None, None], high[:, None, None])
    if dtype.kind != "f":
        pixels = np.rint(pixels)
    pixels = pixels.astype(dtype)
    possible = [value for value in missing if can_hold(dtype, value) and ((low <= value) & (value <= high)).any()]
    for _ in possible:  # a step may lead to another one
        for value in possible:
            pixels = _move_from(pixels, value, low, high)
    return pixels


def _move_from(pixels: NDArray, value: Nodata, low: NDArray, high: NDArray) -> NDArray:
    """Move the pixels that equal a value by the smallest step towards the middle of the range."""
    dtype = pixels.dtype
    forbidden = pixels == np.asarray(value).astype(dtype)
    if not forbidden.any():
        return pixels
    upwards = ((low + high) / 2 >= float(value))[:, None, None]
    if dtype.kind == "f":
        shifted = np.nextafter(pixels, np.where(upwards, np.inf, -np.inf).astype(dtype))
    else:
        shifted = np.where(upwards, pixels + dtype.type(1), pixels - dtype.type(1))
    return np.where(forbidden, shifted, pixels).astype(dtype)
