"""Quality metrics: how close a restored raster is to its reference. `METRICS` lists them all.

x is the reference, y the restored raster, e = y - x. Metrics are computed from float64 sums over the counted pixels. An
undefined metric (no counted pixel, or a division by zero) is NaN and never an error; the PSNR of a perfect band is
infinite. `comparison` collects the sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Sums:
    """Sums over the counted pixels of one band, from which its metrics are computed.

    ``variation_x``, ``variation_y``: sums of (x - mean x)^2 and (y - mean y)^2. ``covariation``: sum of
    (x - mean x)(y - mean y). ``similarity``: sum of the SSIM values of ``windows`` pixels.
    """

    peak: float
    pixels: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    variation_x: float = 0.0
    variation_y: float = 0.0
    covariation: float = 0.0
    errors: float = 0.0
    squared_errors: float = 0.0
    similarity: float = 0.0
    windows: int = 0

    def add(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Add the values of some pixels; moments are merged pairwise (Chan, Golub, LeVeque 1983): no cancellation."""
        if not x.size:
            return
        mean_x, mean_y = float(x.mean()), float(y.mean())
        dx, dy, error = x - mean_x, y - mean_y, y - x
        total = self.pixels + x.size
        weight = self.pixels * x.size / total
        step_x, step_y = mean_x - self.mean_x, mean_y - self.mean_y
        self.variation_x += _variation(dx, dx, mean_x, mean_x) + weight * step_x**2
        self.variation_y += _variation(dy, dy, mean_y, mean_y) + weight * step_y**2
        self.covariation += _variation(dx, dy, mean_x, mean_y) + weight * step_x * step_y
        self.mean_x += step_x * x.size / total
        self.mean_y += step_y * x.size / total
        self.errors += float(error.sum())
        self.squared_errors += float(error @ error)
        self.pixels = total

    def add_similarity(self, similarity: NDArray[np.float64]) -> None:
        """Add SSIM values; NaN is skipped."""
        defined = similarity[np.isfinite(similarity)]
        self.similarity += float(defined.sum())
        self.windows += defined.size


@dataclass
class SceneSums(Sums):
    """Sums over all bands.

    Means are taken per band, because otherwise the difference between a dark and a bright band would count as skill;
    so ``mean_x`` and ``mean_y`` are not set. ``peak`` is the largest of the bands. ``angles``: sum of the spectral
    angles in degrees of ``spectra`` pixels. ``ratio``: fine pixel size / coarse pixel size.
    """

    bands: Sequence[Sums] = ()
    angles: float = 0.0
    spectra: int = 0
    ratio: float = 1.0


def rmse(sums: Sums) -> float:
    """Root mean square error, sqrt(mean e^2)."""
    return math.sqrt(_ratio(sums.squared_errors, sums.pixels))


def bias(sums: Sums) -> float:
    """Mean error, mean e."""
    return _ratio(sums.errors, sums.pixels)


def r2(sums: Sums) -> float:
    """Coefficient of determination, 1 - sum e^2 / sum (x - mean of its band)^2; negative if the mean is better."""
    return 1.0 - _ratio(sums.squared_errors, sums.variation_x)


def pearson_r2(sums: Sums) -> float:
    """Squared Pearson correlation, which the Landsat gap-filling papers print; insensitive to bias and gain."""
    return _ratio(sums.covariation**2, sums.variation_x * sums.variation_y)


def psnr(sums: Sums) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean e^2) in dB."""
    mse = _ratio(sums.squared_errors, sums.pixels)
    if not sums.peak > 0 or math.isnan(mse):
        return math.nan
    return 10.0 * math.log10(sums.peak**2 / mse) if mse > 0 else math.inf


def ssim(sums: Sums) -> float:
    """Mean structural similarity (Wang et al. 2004), see `similarity_map`."""
    return _ratio(sums.similarity, sums.windows)


def mpsnr(sums: SceneSums) -> float:
    """Mean PSNR of the bands, each with its own peak (FastHyDe); with one peak for all bands, PSNR <= MPSNR."""
    return _mean(psnr(band) for band in sums.bands)


def mssim(sums: SceneSums) -> float:
    """Mean SSIM of the bands."""
    return _mean(ssim(band) for band in sums.bands)


def sam(sums: SceneSums) -> float:
    """Spectral angle mapper, mean of arccos(x.y / |x||y|) in degrees (Kruse et al. 1993); NaN for a single band."""
    return _ratio(sums.angles, sums.spectra) if len(sums.bands) > 1 else math.nan


def ergas(sums: SceneSums) -> float:
    """Relative global error, 100 ratio sqrt(mean over bands of (RMSE / mean x)^2) (Wald 2000).

    The ratio of pixel sizes is 1/2 if the resolution was doubled, and 1 if it did not change.
    """
    relative = [
        _ratio(band.squared_errors, band.pixels) / band.mean_x**2 if band.mean_x else math.nan
        for band in sums.bands
        if band.pixels
    ]
    return 100.0 * sums.ratio * math.sqrt(_ratio(sum(relative), len(relative)))


@dataclass(frozen=True)
class Metric:
    """A metric: its key and CSV column, its label in reports, and what a good value is.

    ``better``: "higher", "lower", or "zero" (closer to zero). ``note``: unit or scale, for reports. ``of_band`` and
    ``of_scene`` compute it for one band and for all bands together; None where it is not defined.
    """

    name: str
    label: str
    better: str
    note: str
    of_band: Callable[[Sums], float] | None = None
    of_scene: Callable[[SceneSums], float] | None = None


METRICS = (
    Metric("rmse", "RMSE", "lower", "0 is perfect", rmse, rmse),
    Metric("bias", "Bias", "zero", "0 is perfect", bias, bias),
    Metric("r2", "R\u00b2", "higher", "1 is perfect; below 0, the mean is better", r2, r2),
    Metric("pearson_r2", "Pearson r\u00b2", "higher", "1 is perfect", pearson_r2, pearson_r2),
    Metric("psnr", "PSNR", "higher", "dB", psnr, psnr),
    Metric("ssim", "SSIM", "higher", "1 is perfect", of_band=ssim),
    Metric("mpsnr", "MPSNR", "higher", "dB, mean over bands", of_scene=mpsnr),
    Metric("mssim", "MSSIM", "higher", "1 is perfect", of_scene=mssim),
    Metric("sam", "SAM", "lower", "degrees, 0 is perfect", of_scene=sam),
    Metric("ergas", "ERGAS", "lower", "0 is perfect", of_scene=ergas),
)


def _variation(dx: NDArray[np.float64], dy: NDArray[np.float64], mean_x: float, mean_y: float) -> float:
    """Sum of products of deviations; 0 if it is only the rounding error of a constant band's mean."""
    total = float(dx @ dy)
    return 0.0 if abs(total) <= dx.size * 1e-26 * abs(mean_x * mean_y) else total


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan


def _mean(values: Iterable[float]) -> float:
    """Mean of the defined values."""
    defined = [value for value in values if not math.isnan(value)]
    return _ratio(sum(defined), len(defined))
