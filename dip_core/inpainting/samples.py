"""Validation samples: hidden pixels with their true values and the estimates of all experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from .features import GapFeatures


@dataclass(frozen=True)
class ValidationSamples(GapFeatures):
    """Hidden pixels with their features; arrays are ``(sample,)``, values standardised.

    ``names``: of the experts. ``estimates``: ``(sample, expert)``. ``baseline``: the estimate of GDAL's Fill nodata.
    ``distance``: to the nearest observed pixel, in pixels. ``fold``: the part of the scene, for cross-validation.
    """

    names: tuple[str, ...]
    estimates: NDArray[np.float32]
    truth: NDArray[np.float32]
    baseline: NDArray[np.float32]
    band: NDArray[np.int64]
    distance: NDArray[np.float32]
    fold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)

    @classmethod
    def empty(cls, names: Sequence[str]) -> ValidationSamples:
        """No samples, if no pixel can be hidden."""
        values, numbers = np.zeros(0, np.float32), np.zeros(0, np.int64)
        return cls(
            distance_class=np.zeros(0, np.int8),
            roughness=values,
            wide_roughness=values,
            edge_variance=values,
            kriging_variance=values,
            names=tuple(names),
            estimates=np.zeros((0, len(names)), np.float32),
            truth=values,
            baseline=values,
            band=numbers,
            distance=values,
            fold=numbers,
        )

    def errors(self) -> NDArray[np.float64]:
        """Errors of all experts, ``(sample, expert)``."""
        return self.estimates.astype(np.float64) - self.truth[:, None]

    def subset(self, kept: NDArray[np.int64]) -> ValidationSamples:
        """The samples with these numbers."""
        return replace(
            self, **{item.name: getattr(self, item.name)[kept] for item in fields(self) if item.name != "names"}
        )
