"""Pictures of rasters and masks for reports, as PNG bytes.

A picture shows one band in grey or three as a colour composite. Values are stretched between two percentiles of the
observed pixels; pictures before and after can share one `Stretch`. Missing pixels have a colour that scenes lack, and
the exterior is transparent.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask

MAX_SIDE = 900  # pixels of the longer side
GAP_COLOUR = (230, 0, 126)
_MASK_BACKGROUND = (222, 227, 232)
_RGB_NM = (650.0, 550.0, 460.0)  # wavelengths shown as red, green and blue


@dataclass(frozen=True)
class Stretch:
    """The values shown as black and as white, for each band of a picture."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def composite_bands(count: int, wavelengths: Sequence[float] | None = None) -> tuple[int, ...]:
    """The bands (from 0) to show as red, green and blue; one band if there are fewer than three.

    With ``wavelengths`` in nanometres, the bands closest to 650, 550 and 460 nm. Without, the third, second and first
    band of a multispectral scene, and three bands spread over the spectrum of a hyperspectral one.
    """
    if count < 3:
        return (0,)
    if wavelengths is not None and len(wavelengths) == count:
        closest = [int(np.argmin(np.abs(np.asarray(wavelengths) - target))) for target in _RGB_NM]
        if len(set(closest)) == 3:
            return tuple(closest)
    return (2, 1, 0) if count <= 16 else (count * 3 // 4, count // 2, count // 5)


def step_for(rows: int, columns: int, size: int = MAX_SIDE) -> int:
    """The reduction factor that limits the longer side to ``size`` pixels."""
    return max(1, -(-max(rows, columns) // size))


def thumbnail(image: NDArray, observed: Mask, step: int) -> tuple[Cube, Mask]:
    """An image and its mask, ``(band, row, column)``, reduced by ``step`` in both directions.

    A pixel of the result is the mean of the observed pixels of its block, and missing if most of them are missing.
    Blocks at the lower and right border may be incomplete.
    """
    if step == 1:
        return image.astype(np.float32), observed
    bands, rows, columns = image.shape
    starts = np.arange(0, rows, step), np.arange(0, columns, step)

    def block_sum(values: NDArray) -> NDArray:
        return np.add.reduceat(np.add.reduceat(values, starts[0], axis=1), starts[1], axis=2)

    small = np.empty((bands, starts[0].size, starts[1].size), np.float32)
    small_observed = np.empty(small.shape, bool)
    size = block_sum(np.ones((1, rows, columns), np.float32))[0]
    for band in range(bands):  # one band at a time: float64 copies of a whole scene are large
        good = observed[band : band + 1] & np.isfinite(image[band : band + 1])
        number = block_sum(good.astype(np.float32))[0]
        total = block_sum(np.where(good, image[band : band + 1], 0).astype(np.float64))[0]
        small[band] = total / np.maximum(number, 1)
        small_observed[band] = number >= size / 2
    return small, small_observed


def stretch_of(image: NDArray, observed: Mask, percentiles: tuple[float, float] = (2.0, 98.0)) -> Stretch:
    """The stretch between two percentiles of the observed pixels of each band."""
    lows, highs = [], []
    for band, band_observed in zip(image, observed):
        values = band[band_observed & np.isfinite(band)]
        low, high = np.percentile(values, percentiles) if values.size else (0.0, 1.0)
        lows.append(float(low))
        highs.append(float(high if high > low else low + 1.0))
    return Stretch(tuple(lows), tuple(highs))


def picture(image: NDArray, stretch: Stretch, observed: Mask | None = None, exterior: Mask | None = None) -> bytes:
    """An image of one or three bands as PNG.

    ``observed``: pixels that are missing in any shown band are painted; by default, pixels that are not finite.
    ``exterior`` (row, column): pixels outside the scene, which are transparent.
    """
    if image.shape[0] not in (1, 3):
        raise ValueError(f"A picture needs one or three bands, not {image.shape[0]}.")
    missing = ~np.isfinite(image).all(axis=0)
    if observed is not None:
        missing |= ~observed.all(axis=0)
    low, high = (np.asarray(side, np.float64)[:, None, None] for side in (stretch.low, stretch.high))
    with np.errstate(invalid="ignore"):
        shown = np.nan_to_num(np.clip((image - low) / (high - low), 0.0, 1.0))
    pixels = np.full((*image.shape[1:], 4), 255, np.uint8)
    pixels[..., :3] = np.rint(255.0 * np.moveaxis(shown, 0, -1))
    pixels[missing, :3] = GAP_COLOUR
    if exterior is not None:
        pixels[exterior] = 0
    return _png(pixels)


def mask_picture(marked: Mask, exterior: Mask | None = None) -> bytes:
    """A mask (row, column) as PNG: marked pixels in the gap colour on grey."""
    pixels = np.full((*marked.shape, 4), 255, np.uint8)
    pixels[..., :3] = _MASK_BACKGROUND
    pixels[marked, :3] = GAP_COLOUR
    if exterior is not None:
        pixels[exterior] = 0
    return _png(pixels)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from matplotlib.image import imsave  # slow to load

    file = io.BytesIO()
    imsave(file, pixels, format="png", metadata={"Software": None})
    return file.getvalue()
