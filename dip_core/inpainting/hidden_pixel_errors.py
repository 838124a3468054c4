"""Errors of a gap fill on hidden pixels, and those of the baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HiddenPixelErrors:
    """Errors on the hidden pixels of one band, or of all bands, in the data's units."""

    pixels: int
    rmse: float
    bias: float
    r2: float
    pearson_r2: float
    baseline_rmse: float
    within_one: float
    within_two: float


def hidden_pixel_errors(truth: NDArray, estimate: NDArray, baseline: NDArray, deviation: NDArray) -> HiddenPixelErrors:
    """The errors of an estimate with its expected ``deviation``; all ``(pixel,)``, in the data's units.

    NaN without any pixel.
    """
    nan = float("nan")
    if not len(truth):
        return HiddenPixelErrors(0, nan, nan, nan, nan, nan, nan, nan)
    error = estimate - truth
    variation = float(np.square(truth - truth.mean()).sum())
    ratio = np.abs(error) / np.maximum(deviation, 1e-12)
    varied = np.std(truth) > 0 and np.std(estimate) > 0
    return HiddenPixelErrors(
        len(truth),
        float(np.sqrt(np.mean(np.square(error)))),
        float(error.mean()),
        1.0 - float(np.square(error).sum()) / variation if variation > 0 else nan,
        float(np.corrcoef(truth, estimate)[0, 1] ** 2) if varied else nan,
        float(np.sqrt(np.mean(np.square(baseline - truth)))),
        float(np.mean(ratio <= 1.0)),
        float(np.mean(ratio <= 2.0)),
    )
