"""How near a *restored* raster comes to its *reference*: the metrics of the restoration literature.

x is the reference, y the restored raster, e = y - x. A pixel is *counted* where both are finite and the
mask, if there is one, is True. All sums run in float64 and can be fed window by window (`Comparison`);
`compare` does the same for arrays in memory. What is undefined, because nothing is counted or because a
division by zero would be needed, is NaN and never an error; the PSNR of a perfect band is infinite.

The *peak* of a band is the reference's largest value, plus the depth of its lowest one below zero where
it has negative values: 1 for a band normalised to [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.special import ndtri

SSIM_HALO = 5  # the Gaussian of sigma 1.5 is cut to 11 x 11 pixels
_STRIP_ROWS = 512


@dataclass(frozen=True)
class BandScores:
    """The scores of one band; ``band`` counts from 1."""

    band: int
    pixels: int
    rmse: float
    bias: float
    pearson_r2: float
    r2: float
    psnr: float
    ssim: float
    peak: float


@dataclass(frozen=True)
class Scores:
    """The scores of all bands together, and of each one in ``bands``.

    ``rmse``: sqrt(mean e^2) over all counted pixels of all bands.
    ``bias``: mean e.
    ``pearson_r2``: squared Pearson correlation; the means are taken band by band, for otherwise the
    difference between a dark and a bright band would pass for skill. Blind to bias and gain; what the
    Landsat gap-filling papers print.
    ``r2``: coefficient of determination, 1 - sum e^2 / sum (x - mean of its band)^2; punishes bias,
    is negative where the reference's mean would have been the better guess.
    ``psnr``: cube PSNR, 10 log10(peak^2 / mean e^2) in dB with one peak, the largest of the bands'.
    ``mpsnr``: mean of the bands' PSNR, each with its own peak (FastHyDe). With one peak for all bands,
    cube PSNR <= MPSNR.
    ``mssim``: mean of the bands' structural similarity (Wang et al. 2004).
    ``sam``: spectral angle mapper, mean over pixels of arccos(x.y / |x||y|) in degrees (Kruse et al.
    1993); NaN for a single band.
    ``ergas``: 100 ratio sqrt(mean_b (RMSE_b / mean x_b)^2) (Wald 2000), ratio = fine pixel size / coarse
    pixel size: 1/2 after a doubling of the resolution, 1 where it did not change.
    """

    pixels: int
    rmse: float
    bias: float
    pearson_r2: float
    r2: float
    psnr: float
    mpsnr: float
    mssim: float
    sam: float
    ergas: float
    peak: float
    bands: tuple[BandScores, ...]


def compare(
    restored: NDArray,
    reference: NDArray,
    mask: NDArray[np.bool_] | None = None,
    peak: float | None = None,
    ratio: float = 1.0,
) -> Scores:
    """The scores of ``restored`` against ``reference``, both (band, row, column).

    ``mask``: the pixels to count, (row, column) for all bands or (band, row, column).
    ``peak``: one peak for all bands; without it each band's own.
    ``ratio``: the ratio of pixel sizes in ERGAS.
    Raises ValueError where the shapes do not fit.
    """
    if restored.shape != reference.shape or reference.ndim != 3:
        raise ValueError(f"Cannot compare arrays of shapes {restored.shape} and {reference.shape}.")
    rows, columns = reference.shape[1:]
    if mask is not None and mask.shape not in ((rows, columns), reference.shape):
        raise ValueError(f"A mask of shape {mask.shape} does not fit data of shape {reference.shape}.")
    peaks = [peak_of(*value_range(band)) if peak is None else peak for band in reference]
    comparison = Comparison(peaks, ratio)
    for top in range(0, rows, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, rows)
        first, last = max(0, top - SSIM_HALO), min(rows, bottom + SSIM_HALO)
        similarity = similarity_map(restored[:, first:last], reference[:, first:last], peaks)
        comparison.add(
            restored[:, top:bottom],
            reference[:, top:bottom],
            None if mask is None else mask[..., top:bottom, :],
            similarity[:, top - first : bottom - first],
        )
    return comparison.scores()


def value_range(values: NDArray) -> tuple[float, float]:
    """The lowest and the highest finite value; (NaN, NaN) without any."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)


def peak_of(low: float, high: float) -> float:
    """The peak of a band whose values run from ``low`` to ``high``."""
    return high - min(0.0, low)


def similarity_map(restored: NDArray, reference: NDArray, peaks: Sequence[float]) -> NDArray[np.float64]:
    """Structural similarity around each pixel, (band, row, column); NaN where a window is incomplete.

    SSIM = (2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2)), local moments in a
    Gaussian window (11 x 11, sigma 1.5), C1 = (0.01 L)^2, C2 = (0.03 L)^2, L = the band's peak; Wang,
    Bovik, Sheikh, Simoncelli 2004. A window that leaves the raster or holds a pixel that is not finite
    is incomplete, so a raster under 11 pixels has no similarity.
    """
    from skimage.metrics import structural_similarity  # slow to load, and not every task compares

    out = np.full(reference.shape, np.nan)
    window = np.ones((2 * SSIM_HALO + 1, 2 * SSIM_HALO + 1), bool)
    for band, peak in enumerate(peaks):
        if min(reference.shape[1:]) < len(window) or not peak > 0:
            continue
        finite = np.isfinite(restored[band]) & np.isfinite(reference[band])
        complete = binary_erosion(finite, window, border_value=0)
        if complete.any():
            x, y = (np.where(finite, values[band], 0).astype(np.float64) for values in (reference, restored))
            _, similarity = structural_similarity(
                x, y, data_range=peak, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
            )
            out[band] = np.where(complete, similarity, np.nan)
    return out


def rmse_by_distance(errors: NDArray, distances: NDArray, fewest: int = 20) -> tuple[list[float], list[float]]:
    """RMSE against the distance from the gap edge, for the report's plot: (distances in pixels, RMSE).

    One error and one distance a hidden pixel; distances are rounded to whole pixels, and those of fewer
    than ``fewest`` pixels are left out, being mere noise. Errors that are not finite do not count.
    """
    usable = np.isfinite(errors)
    rounded = np.rint(distances[usable]).astype(np.int64)
    pixels = np.bincount(rounded)
    squares = np.bincount(rounded, np.square(errors[usable].astype(np.float64)))
    kept = np.flatnonzero(pixels >= max(1, fewest))
    return kept.astype(float).tolist(), np.sqrt(squares[kept] / pixels[kept]).tolist()


def coverage(errors: NDArray, deviation: NDArray, nominal: Sequence[float] | NDArray) -> list[float]:
    """The share of errors inside the central interval of each ``nominal`` share, for the calibration plot.

    ``deviation``: one predicted standard deviation an error. The interval of share p is +- z deviation,
    z the normal quantile of (1 + p) / 2; a calibrated prediction has coverage p. NaN without errors.
    """
    usable = np.isfinite(errors) & np.isfinite(deviation)
    size, sigma = np.abs(errors[usable].astype(np.float64)), deviation[usable].astype(np.float64)
    inside = [int((size <= ndtri((1.0 + share) / 2.0) * sigma).sum()) for share in nominal]
    return [_ratio(number, size.size) for number in inside]


class Comparison:
    """The running sums of one region of a raster; feed it windows that do not overlap."""

    def __init__(self, peaks: Sequence[float], ratio: float = 1.0) -> None:
        self._peaks = list(peaks)
        self._ratio = ratio
        self._bands = [_BandSums() for _ in self._peaks]
        self._angles, self._spectra = 0.0, 0

    def add(
        self,
        restored: NDArray,
        reference: NDArray,
        mask: NDArray[np.bool_] | None = None,
        similarity: NDArray[np.float64] | None = None,
        spectra: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count one window.

        ``similarity`` is the window's part of a `similarity_map`; the map must have been made with
        `SSIM_HALO` more pixels around the window where the raster has them. ``spectra`` (row, column):
        the pixels whose spectral angle counts; without it those with any counted band.
        """
        rows_columns = reference.shape[1:]
        product, square_x, square_y = (np.zeros(rows_columns) for _ in range(3))
        whole, wanted = np.ones(rows_columns, bool), np.zeros(rows_columns, bool)
        for band, sums in enumerate(self._bands):
            x, y = reference[band].astype(np.float64), restored[band].astype(np.float64)
            finite = np.isfinite(x) & np.isfinite(y)
            counted = finite if mask is None else finite & (mask if mask.ndim == 2 else mask[band])
            sums.add(x[counted], y[counted])
            if similarity is not None:
                sums.add_similarity(similarity[band][counted])
            whole &= finite
            wanted |= counted
            product += np.where(finite, x * y, 0.0)
            square_x += np.where(finite, x * x, 0.0)
            square_y += np.where(finite, y * y, 0.0)
        usable = whole & (wanted if spectra is None else spectra) & (square_x > 0) & (square_y > 0)
        cosine = product[usable] / np.sqrt(square_x[usable] * square_y[usable])
        self._angles += float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).sum())
        self._spectra += int(usable.sum())

    def scores(self) -> Scores:
        """The scores of everything added so far."""
        sums, peaks = self._bands, self._peaks
        bands = tuple(one.scores(number, peak) for number, (one, peak) in enumerate(zip(sums, peaks), start=1))
        pixels = sum(one.pixels for one in sums)
        squared_errors = sum(one.squared_errors for one in sums)
        variation = sum(one.variation_x for one in sums)
        mse = _ratio(squared_errors, pixels)
        peak = max((value for value in peaks if value > 0), default=math.nan)
        relative = [
            _ratio(one.squared_errors, one.pixels) / one.mean_x**2 if one.mean_x else math.nan
            for one in sums
            if one.pixels
        ]
        return Scores(
            pixels=pixels,
            rmse=math.sqrt(mse),
            bias=_ratio(sum(one.errors for one in sums), pixels),
            pearson_r2=_ratio(
                sum(one.covariation for one in sums) ** 2, variation * sum(one.variation_y for one in sums)
            ),
            r2=1.0 - _ratio(squared_errors, variation),
            psnr=_psnr(mse, peak),
            mpsnr=_mean(band.psnr for band in bands),
            mssim=_mean(band.ssim for band in bands),
            sam=_ratio(self._angles, self._spectra) if len(bands) > 1 else math.nan,
            ergas=100.0 * self._ratio * math.sqrt(_ratio(sum(relative), len(relative))),
            peak=peak,
            bands=bands,
        )


class _BandSums:
    """One band's running moments, merged pairwise (Chan, Golub, LeVeque 1983): no cancellation."""

    def __init__(self) -> None:
        self.pixels = 0
        self.mean_x = self.mean_y = 0.0
        self.variation_x = self.variation_y = self.covariation = 0.0
        self.errors = self.squared_errors = 0.0
        self._similarity, self._windows = 0.0, 0

    def add(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
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
        defined = similarity[np.isfinite(similarity)]
        self._similarity += float(defined.sum())
        self._windows += defined.size

    def scores(self, number: int, peak: float) -> BandScores:
        mse = _ratio(self.squared_errors, self.pixels)
        return BandScores(
            band=number,
            pixels=self.pixels,
            rmse=math.sqrt(mse),
            bias=_ratio(self.errors, self.pixels),
            pearson_r2=_ratio(self.covariation**2, self.variation_x * self.variation_y),
            r2=1.0 - _ratio(self.squared_errors, self.variation_x),
            psnr=_psnr(mse, peak),
            ssim=_ratio(self._similarity, self._windows),
            peak=peak,
        )


def _variation(dx: NDArray[np.float64], dy: NDArray[np.float64], mean_x: float, mean_y: float) -> float:
    """Sum of products of deviations; 0 where it is but the rounding of a constant band's mean."""
    total = float(dx @ dy)
    return 0.0 if abs(total) <= dx.size * 1e-26 * abs(mean_x * mean_y) else total


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan


def _psnr(mse: float, peak: float) -> float:
    if not peak > 0 or math.isnan(mse):
        return math.nan
    return 10.0 * math.log10(peak**2 / mse) if mse > 0 else math.inf


def _mean(values: Iterable[float]) -> float:
    """Mean of the defined values."""
    defined = [value for value in values if not math.isnan(value)]
    return _ratio(sum(defined), len(defined))
