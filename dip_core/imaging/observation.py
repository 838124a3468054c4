"""The observation model of gap filling, ``y = M x``: each pixel of a band is observed or missing.

Values are *standardised*: each band has mean 0 and standard deviation 1 over the scene's observed pixels. Bands then
have equal weight, and the same tolerances suit reflectances and digital numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask


@dataclass(frozen=True)
class Standardization:
    """The scene's mean and standard deviation per band, ``(band,)``, in the data's units."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def apply(self, pixels: NDArray, observed: Mask) -> Cube:
        """Standardised pixels, 0 where not observed; ``(band, row, column)``."""
        safe = np.where(observed, pixels, self.mean[:, None, None])
        return ((safe - self.mean[:, None, None]) / self.deviation[:, None, None]).astype(np.float32)

    def undo(self, values: NDArray) -> NDArray[np.float64]:
        """Standardised ``values`` ``(band, row, column)`` in the data's units."""
        return values * self.deviation[:, None, None] + self.mean[:, None, None]


@dataclass(frozen=True)
class Observation:
    """A window of the scene: standardised values (0 where missing), observed pixels and ``target`` pixels to fill.

    All are ``(band, row, column)``. Pixels that are neither observed nor target (outside the scene) stay 0.
    ``guide``: standardised bands of another date or sensor ``(guide band, row, column)``, NaN where missing.
    ``assumed``: target pixels so deep inside a gap that they get the value of the scene's coarse surface beforehand;
    they count as observed.
    """

    values: Cube
    observed: Mask
    target: Mask
    guide: Cube | None = None
    assumed: Mask | None = None

    @property
    def measured(self) -> Mask:
        """Pixels that were really observed (not ``assumed``), ``(band, row, column)``."""
        return self.observed if self.assumed is None else self.observed & ~self.assumed

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, rows, columns."""
        return self.values.shape

    def hide(self, hidden: Mask) -> Observation:
        """The window with further pixels missing: their values are removed, and they become target pixels."""
        observed = self.observed & ~hidden
        return replace(
            self,
            values=np.where(observed, self.values, np.float32(0)),
            observed=observed,
            target=self.target | (hidden & self.measured),
        )

    def keep_observed(self, estimate: NDArray) -> Cube:
        """The estimate with observed values restored, and 0 for pixels that are neither observed nor target."""
        known = np.where(self.observed, self.values, estimate)
        return np.where(self.observed | self.target, known, 0).astype(np.float32)

    def distance(self) -> Cube:
        """Distance in pixels of each pixel to the nearest really observed pixel of its band."""
        return per_mask(self.measured, distance_to)

    def bands_by_mask(self) -> list[tuple[list[int], Mask, Mask]]:
        """Groups of bands with equal masks: band numbers, observed and target pixels ``(row, column)``."""
        found: list[tuple[list[int], Mask, Mask]] = []
        for band in range(len(self.values)):
            for numbers, observed, target in found:
                if np.array_equal(observed, self.observed[band]) and np.array_equal(target, self.target[band]):
                    numbers.append(band)
                    break
            else:
                found.append(([band], self.observed[band], self.target[band]))
        return found


def distance_to(mask: Mask) -> NDArray:
    """Distance of each pixel ``(row, column)`` to the nearest True pixel; the image's diagonal without any."""
    return ndimage.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.hypot(*mask.shape))


def per_mask(masks: Mask, compute: Callable[[Mask], NDArray]) -> Cube:
    """``compute(mask)`` for the mask of each band; computed once for consecutive bands with equal masks."""
    out = np.empty(masks.shape, np.float32)
    for band in range(len(masks)):
        if band and np.array_equal(masks[band], masks[band - 1]):
            out[band] = out[band - 1]
        else:
            out[band] = compute(masks[band])
    return out
