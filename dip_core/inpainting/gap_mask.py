"""The gap mask of a scene: which pixels are observed, which are target pixels to fill, and which are neither."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from rasterio.windows import Window

from ..arrays import Mask

FILL_VALUE = "fill value 0"  # the origin of the gaps if the raster does not mark missing pixels


@dataclass(frozen=True)
class GapMask:
    """Observed and target pixels of a whole scene, ``(band, row, column)``; one band if all bands are equal.

    ``bands``: of the scene. ``origin``: what marks the gaps, in words. ``exterior_pixels``: pixels outside the
    footprint. ``empty_bands``: numbers of bands without observed pixels, which are not filled.
    """

    observed: Mask
    target: Mask
    bands: int
    origin: str
    exterior_pixels: int = 0
    empty_bands: tuple[int, ...] = field(default=())

    def window(self, window: Window | None = None) -> tuple[Mask, Mask]:
        """Observed and target pixels of a window, with all bands (read-only views)."""
        rows, columns = (slice(None), slice(None)) if window is None else window.toslices()
        shape = (self.bands, *self.observed[0, rows, columns].shape)
        part = (slice(None), rows, columns)
        return np.broadcast_to(self.observed[part], shape), np.broadcast_to(self.target[part], shape)

    @property
    def observed_any(self) -> Mask:
        """``(row, column)``: True where any band is observed."""
        return np.any(self.observed, axis=0)

    @property
    def target_any(self) -> Mask:
        """``(row, column)``: True where any band is to be filled."""
        return np.any(self.target, axis=0)

    @property
    def target_pixels(self) -> int:
        """Number of pixels with at least one band to fill."""
        return int(np.count_nonzero(self.target_any))
