"""Comparison of a restored raster with its reference, in memory or window by window.

A pixel counts where both rasters are finite and the mask, if given, is True. The *peak* of a band is the largest value
of the reference, minus its lowest value where that is negative: 1 for a band normalised to [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from .metrics import METRICS, SceneSums, Sums

SSIM_HALO = 5  # the Gaussian window of sigma 1.5 is cut to 11 x 11 pixels
_STRIP_ROWS = 512


@dataclass(frozen=True)
class Scores:
    """The metrics of a comparison by name (``scores["rmse"]``), and those of each band in ``bands``."""

    pixels: int
    peak: float
    values: Mapping[str, float]
    bands: tuple[Scores, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def as_dict(self) -> dict[str, object]:
        """Everything as plain data; bands are counted from 1."""
        own: dict[str, object] = {"pixels": self.pixels, **self.values, "peak": self.peak}
        if self.bands:
            own["bands"] = [{"band": number, **band.as_dict()} for number, band in enumerate(self.bands, start=1)]
        return own


class Comparison:
    """The running sums of one region of a raster; `add` windows that do not overlap, then take the `scores`."""

    def __init__(self, peaks: Sequence[float], ratio: float = 1.0) -> None:
        self._ratio = ratio
        self._bands = [Sums(peak) for peak in peaks]
        self._angles, self._spectra = 0.0, 0

    def add(
        self,
        restored: NDArray,
        reference: NDArray,
        mask: NDArray[np.bool_] | None = None,
        similarity: NDArray[np.float64] | None = None,
        spectra: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add one window, ``(band, row, column)``.

        ``similarity`` is the window's part of a `similarity_map` that was computed with `SSIM_HALO` more pixels around
        the window, where the raster has them. ``spectra`` (row, column): the pixels whose spectral angle counts;
        by default all pixels with any counted band.
        """
        rows_columns = reference.shape[1:]
        product, square_x, square_y = (np.zeros(rows_columns) for _ in range(3))
        complete, counted_any = np.ones(rows_columns, bool), np.zeros(rows_columns, bool)
        for band, sums in enumerate(self._bands):
            x, y = reference[band].astype(np.float64), restored[band].astype(np.float64)
            finite = np.isfinite(x) & np.isfinite(y)
            counted = finite if mask is None else finite & (mask if mask.ndim == 2 else mask[band])
            sums.add(x[counted], y[counted])
            if similarity is not None:
                sums.add_similarity(similarity[band][counted])
            complete &= finite
            counted_any |= counted
            product += np.where(finite, x * y, 0.0)
            square_x += np.where(finite, x * x, 0.0)
            square_y += np.where(finite, y * y, 0.0)
        usable = complete & (counted_any if spectra is None else spectra) & (square_x > 0) & (square_y > 0)
        cosine = product[usable] / np.sqrt(square_x[usable] * square_y[usable])
        self._angles += float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).sum())
        self._spectra += int(usable.sum())

    def scores(self) -> Scores:
        """The scores of everything added so far."""
        bands = self._bands
        scene = SceneSums(
            peak=max((band.peak for band in bands if band.peak > 0), default=math.nan),
            pixels=sum(band.pixels for band in bands),
            variation_x=sum(band.variation_x for band in bands),
            variation_y=sum(band.variation_y for band in bands),
            covariation=sum(band.covariation for band in bands),
            errors=sum(band.errors for band in bands),
            squared_errors=sum(band.squared_errors for band in bands),
            bands=bands,
            angles=self._angles,
            spectra=self._spectra,
            ratio=self._ratio,
        )
        by_band = tuple(
            Scores(band.pixels, band.peak, {m.name: m.of_band(band) for m in METRICS if m.of_band}) for band in bands
        )
        values = {m.name: m.of_scene(scene) for m in METRICS if m.of_scene}
        return Scores(scene.pixels, scene.peak, values, by_band)


def compare(
    restored: NDArray,
    reference: NDArray,
    mask: NDArray[np.bool_] | None = None,
    peak: float | None = None,
    ratio: float = 1.0,
) -> Scores:
    """The scores of ``restored`` against ``reference``, both ``(band, row, column)``.

    ``mask``: the pixels to count, (row, column) for all bands or (band, row, column). ``peak``: one peak for all bands;
    by default each band has its own. ``ratio``: the ratio of pixel sizes in ERGAS. Raises ValueError if shapes differ.
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
    """The lowest and the highest finite value; (NaN, NaN) if there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)


def peak_of(low: float, high: float) -> float:
    """The peak of a band whose values range from ``low`` to ``high``."""
    return high - min(0.0, low)


def similarity_map(restored: NDArray, reference: NDArray, peaks: Sequence[float]) -> NDArray[np.float64]:
    """Structural similarity at each pixel, ``(band, row, column)``; NaN where the window is incomplete.

    SSIM = (2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2)) with local moments in a Gaussian
    window (11 x 11, sigma 1.5), C1 = (0.01 L)^2, C2 = (0.03 L)^2, L = the band's peak; Wang, Bovik, Sheikh and
    Simoncelli 2004. A window is incomplete if it leaves the raster or holds a pixel that is not finite.
    """
    from skimage.metrics import structural_similarity  # slow to load

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
