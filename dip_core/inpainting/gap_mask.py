"""The gap mask of a scene: which pixels are observed, which are target pixels to fill, and which are neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from rasterio.windows import Window

from ..arrays import Mask


@dataclass(frozen=True)
class GapMask:
    """Observed and target pixels of a whole scene, ``(band, row, column)``; one band if all bands are equal.

    ``bands``: of the scene. ``origin``: what marks the gaps, in words. ``exterior_pixels``: pixels outside the
    scene, which are not filled. ``distant_pixels``: gap pixels that are too far from observed pixels to be filled.
    ``empty_bands``: numbers of bands without observed pixels, which are not filled.
    """

    observed: Mask
    target: Mask
    bands: int
    origin: str
    exterior_pixels: int = 0
    empty_bands: tuple[int, ...] = field(default=())
    distant_pixels: int = 0

    def window(self, window: Window | None = None) -> tuple[Mask, Mask]:
        """Observed and target pixels of a window, with all bands (read-only views)."""
        rows, columns = (slice(None), slice(None)) if window is None else window.toslices()
        shape = (self.bands, *self.observed[0, rows, columns].shape)
        part = (slice(None), rows, columns)
        return np.broadcast_to(self.observed[part], shape), np.broadcast_to(self.target[part], shape)

    def of_bands(self, numbers: Sequence[int]) -> GapMask:
        """The gap mask of some bands; without any band, one without target pixels."""
        observed, target = self.observed, self.target
        if not numbers:
            observed, target = observed[:1], np.zeros_like(target[:1])
        elif len(observed) > 1:
            observed, target = merge_equal_bands(observed[list(numbers)], target[list(numbers)])
        empty = tuple(place for place, number in enumerate(numbers) if number in self.empty_bands)
        return replace(self, observed=observed, target=target, bands=len(numbers), empty_bands=empty)

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


def merge_equal_bands(observed: Mask, target: Mask) -> tuple[Mask, Mask]:
    """Both masks with one band if the masks of all bands are equal."""
    if all(_all_equal(masks) for masks in (observed, target)):
        return observed[:1], target[:1]
    return observed, target


def _all_equal(masks: Mask) -> bool:
    return all(np.array_equal(masks[0], other) for other in masks[1:])
