"""Windows of a scene with their downsampled copies, and errors of estimates against the windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.pca import MaskedPixels
from ..imaging.psf import Psf
from ..imaging.resampling import fill_nearest
from .error_model import RoughnessErrorModel
from .scores import BandScore


@dataclass(frozen=True)
class ScaleComparison:
    """Windows of a scene; all sequences hold one array ``(band, row, column)`` per window.

    ``truths``: the windows' values. ``compared``: pixels that are observed together with all pixels of their coarse
    pixel. ``copies``: downsampled values and observed pixels.
    """

    truths: list[Cube]
    compared: list[Mask]
    copies: list[MaskedPixels]

    @property
    def any_compared(self) -> bool:
        """Whether any pixel is compared."""
        return any(mask.any() for mask in self.compared)

    def restricted_to(self, masks: Sequence[NDArray[np.bool_]]) -> ScaleComparison:
        """The comparison within further ``masks`` ``(row, column)``; unchanged if that leaves no pixel."""
        restricted = [mask & further for mask, further in zip(self.compared, masks)]
        if not any(mask.any() for mask in restricted):
            return self
        return ScaleComparison(self.truths, restricted, self.copies)

    def band_deviations(self) -> NDArray[np.float64]:
        """Standard deviation of the truth ``(band,)``; 1 for constant bands."""
        return np.array([self._band_deviation(band) for band in range(len(self.truths[0]))])

    def rmse(self, images: Sequence[NDArray]) -> float:
        """RMSE over all bands, in the data's units."""
        squares, pixels = self._squared_errors(images).sum(axis=1)
        return float(np.sqrt(squares / pixels))

    def scaled_rmse(self, images: Sequence[NDArray], deviations: NDArray[np.float64]) -> float:
        """RMSE over all bands, in standard deviations of each."""
        squares, pixels = self._squared_errors(images)
        return float(np.sqrt((squares / deviations**2).sum() / pixels.sum()))

    def error_products(
        self, estimates: Sequence[Sequence[Cube]], deviations: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Mean products of the experts' errors in standard deviations, ``(expert, expert)``.

        ``estimates``: for each window, those of all experts.
        """
        count = len(estimates[0])
        total, pixels = np.zeros((count, count)), 0
        for truth, mask, images in zip(self.truths, self.compared, estimates):
            for band, where in enumerate(mask):
                errors = np.stack(
                    [
                        (image[band][where].astype(np.float64) - truth[band][where]) / deviations[band]
                        for image in images
                    ]
                )
                total += errors @ errors.T
                pixels += errors.shape[1]
        return total / max(pixels, 1)

    def band_score(
        self,
        band: int,
        images: Sequence[Cube],
        baselines: Sequence[NDArray],
        error_model: RoughnessErrorModel,
        factor: int,
    ) -> BandScore:
        """The scores of one band."""
        truth = self._gather(band, [cube[band] for cube in self.truths])
        if not truth.size:
            return BandScore()
        error = self._gather(band, [cube[band] for cube in images]) - truth
        baseline_error = self._gather(band, [cube[band] for cube in baselines]) - truth
        own_model = error_model.of_band(band)
        deviation = self._gather(band, [own_model.deviation(cube[band : band + 1], factor)[0] for cube in images])
        variation = float(np.square(truth - truth.mean()).sum())
        ratio = np.abs(error) / np.maximum(deviation, 1e-12)
        return BandScore(
            truth.size,
            float(np.sqrt(np.mean(error**2))),
            1 - float(np.square(error).sum()) / variation if variation > 0 else float("nan"),
            float(np.sqrt(np.mean(baseline_error**2))),
            float(np.mean(ratio <= 1)),
            float(np.mean(ratio <= 2)),
        )

    def _band_deviation(self, band: int) -> float:
        values = np.concatenate([truth[band][mask[band]] for truth, mask in zip(self.truths, self.compared)])
        return float(values.std()) or 1.0 if values.size else 1.0

    def _squared_errors(self, images: Sequence[NDArray]) -> NDArray[np.float64]:
        """Sum of squared errors and number of compared pixels by band, ``(2, band)``."""
        total = np.zeros((2, len(self.truths[0])))
        for truth, mask, image in zip(self.truths, self.compared, images):
            total[0] += np.where(mask, np.square(image.astype(np.float64) - truth), 0).sum(axis=(1, 2))
            total[1] += mask.sum(axis=(1, 2))
        return total

    def _gather(self, band: int, images: Sequence[NDArray]) -> NDArray[np.float64]:
        """The compared pixels of a band's images ``(row, column)``."""
        return np.concatenate([image[mask[band]] for image, mask in zip(images, self.compared)]).astype(np.float64)


def compare_scales(windows: Sequence[MaskedPixels], psf: Psf) -> ScaleComparison:
    """Downsample windows whose sides are multiples of the factor. Pixels with missing ones are missing in the copy."""
    truths, compared, copies = [], [], []
    f = psf.factor
    for truth, observed in windows:
        operator = psf.operator((truth.shape[1], truth.shape[2]))
        coarse = operator.apply(fill_nearest(truth, observed)).astype(np.float32)
        blocks = observed.reshape(len(observed), observed.shape[1] // f, f, observed.shape[2] // f, f)
        complete = np.asarray(blocks.all(axis=(2, 4)))
        truths.append(truth)
        compared.append(observed & np.repeat(np.repeat(complete, f, axis=1), f, axis=2))
        copies.append((np.where(complete, coarse, np.float32(0)), complete))
    return ScaleComparison(truths, compared, copies)
