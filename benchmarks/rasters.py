"""Reads, writes and standardises the rasters of the benchmarks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks import ROOT
from dip_core.arrays import Cube, Mask
from dip_core.imaging.observation import Standardization
from dip_core.raster.writer import to_stored_pixels


def data_file(name: str) -> Path:
    """The path of a test raster, in the folder DEEP_PRIOR_DATA or in ``../shared/data`` beside the checkout.

    Ends the program if the raster is missing.
    """
    folder = Path(os.environ.get("DEEP_PRIOR_DATA") or ROOT.parent / "shared" / "data")
    path = folder / name
    if not path.is_file():
        raise SystemExit(
            f"The test raster {name} is missing; it is not part of the repository. Set the variable DEEP_PRIOR_DATA "
            "to the folder that contains it; benchmarks/README.md names its source."
        )
    return path


def read_raster(path: str | Path, bands: Sequence[int] | None = None) -> NDArray:
    """All bands, or those numbered ``bands`` (from 1), as ``(band, row, column)``."""
    with rasterio.open(path) as source:
        return source.read(None if bands is None else list(bands))


def write_raster(path: Path, pixels: NDArray, like: Path | None, nodata: float | None = None) -> str:
    """Write ``(band, row, column)`` as a GeoTIFF with CRS and transform of ``like``; returns the path.

    ``like`` None: no CRS, pixels of 30 x 30.
    """
    bands, height, width = pixels.shape
    # Otherwise four bands of bytes would be interpreted as colours with transparency.
    profile: dict = {"driver": "GTiff", "count": bands, "height": height, "width": width, "photometric": "MINISBLACK"}
    profile["transform"] = rasterio.Affine(30, 0, 0, 0, -30, 0)
    if like is not None:
        with rasterio.open(like) as source:
            profile.update(crs=source.crs, transform=source.transform)
    with rasterio.open(path, "w", dtype=pixels.dtype, nodata=nodata, **profile) as target:
        target.write(pixels)
    return str(path)


def standardization_of(pixels: NDArray, observed: Mask) -> Standardization:
    """Mean and standard deviation of the observed pixels of each band."""
    bands = [band[seen].astype(np.float64) for band, seen in zip(pixels, observed)]
    return Standardization(np.array([band.mean() for band in bands]), np.array([band.std() or 1.0 for band in bands]))


def to_output_pixels(estimate: Cube, standardization: Standardization, pixels: NDArray, observed: Mask) -> NDArray:
    """A standardised estimate as the product writes it: in the scene's data type, within the observed range."""
    bands = [band[seen] for band, seen in zip(pixels, observed)]
    low, high = (np.array([end(band) for band in bands], np.float64) for end in (np.min, np.max))
    return to_stored_pixels(standardization.undo(estimate), pixels.dtype, low, high)
