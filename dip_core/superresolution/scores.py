"""Results of the validation of super-resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .error_model import RoughnessErrorModel

_NAN = float("nan")


@dataclass(frozen=True)
class BandScore:
    """Scores of one band, in the data's units; NaN if no pixel was compared.

    ``within_one``, ``within_two``: shares of errors within one and two expected standard deviations.
    """

    pixels: int = 0
    rmse: float = _NAN
    r2: float = _NAN
    baseline_rmse: float = _NAN
    within_one: float = _NAN
    within_two: float = _NAN


@dataclass(frozen=True)
class ScaleValidation:
    """Validation at the coarser scale.

    ``weights``: of the experts, sum 1. ``bands``: empty if nothing could be compared. ``scores``: RMSE of each expert,
    of the weighted mean and of the baseline, in standard deviations of the bands. ``rmse``, ``baseline_rmse``: over all
    bands, in the data's units.
    """

    weights: dict[str, float]
    error_model: RoughnessErrorModel
    bands: tuple[BandScore, ...] = ()
    scores: dict[str, float] | None = None
    rmse: float = _NAN
    baseline_rmse: float = _NAN

    @property
    def r2(self) -> float:
        """Mean coefficient of determination over bands."""
        known = [item.r2 for item in self.bands if np.isfinite(item.r2)]
        return float(np.mean(known)) if known else _NAN
