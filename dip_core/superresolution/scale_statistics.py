"""Statistics of a scene that the experts without a network use, fitted on its downsampled copy.

They are fitted once to windows of the scene, so that all tiles are enlarged alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube
from ..imaging.back_projection import ConsistencyProjection
from ..imaging.pca import MaskedPixels, fit_principal_components
from ..imaging.psf import Psf
from ..imaging.resampling import fill_nearest
from ..runtime.progress import SILENT, ProgressReporter
from .guide_fusion import fit_guide_regression
from .options import ScaleStatistics
from .steered_ridge import RidgeAccumulator, steering, structure_tensor
from .vectorial_tv import vectorial_tv
from .window import interpolate

_MIN_SIDE = 4  # pixels of a downsampled copy
_FILTER_RADIUS = 3  # fine pixels: of the steered ridge


def fit_scale_statistics(
    windows: Sequence[MaskedPixels],
    psf: Psf,
    progress: ProgressReporter = SILENT,
    guides: Sequence[Cube] = (),
) -> ScaleStatistics:
    """Fit the statistics to windows of a scene: values and observed pixels ``(band, row, column)``.

    ``progress`` can end the fit early. ``guides``: the guide in each window ``(guide band, row, column)`` on the fine
    grid; empty without guide.
    """
    components = fit_principal_components(windows)
    images = [
        (components.project(fill_nearest(values, observed)), np.asarray(observed.all(axis=0)))
        for values, observed in windows
    ]
    factor = psf.factor
    shifts = sorted({(a, b) for a in (0, factor // 2) for b in (0, factor // 2)})
    # The downsampled copy depends on the first pixel. Few windows are used with all shifts; of many, each with one.
    groups = [list(_shifted(*pair, factor, shifts[index :: len(images)])) for index, pair in enumerate(images)]
    copies = [copy for group in groups for copy in group]
    accumulator = RidgeAccumulator(components.basis.shape[1])
    typical_strength = _mean_strength(
        [_interpolate(_downsample(group[0][0], psf), psf)[1] for group in groups if group], factor
    )
    for number, (truth, observed) in enumerate(copies, start=1):
        coarse = _downsample(truth, psf)
        projection, smooth = _interpolate(coarse, psf)
        sharp = vectorial_tv(coarse, smooth, projection)
        # The filled values of missing pixels affect all pixels within the radius of PSF and filters.
        width = 1 + 2 * (psf.radius * factor + _FILTER_RADIUS)
        usable = ~ndimage.maximum_filter(~observed, width, mode="constant", cval=0)
        accumulator.add(truth, smooth, sharp, steering(sharp, factor, typical_strength), usable)
        if not progress.update(number / len(copies)):
            break
    strength_here = _mean_strength([_interpolate(image, psf)[1] for image, _ in images], factor)
    regression = fit_guide_regression([(*pair, guide) for pair, guide in zip(images, guides)], psf)
    pixels_per_sample = max(1.0, len(copies) / len(windows)) * factor**2 / 4
    return ScaleStatistics(components, strength_here, accumulator.coefficients(pixels_per_sample), regression)


def _shifted(
    images: Cube, observed: NDArray[np.bool_], factor: int, shifts: Sequence[tuple[int, int]]
) -> Iterator[tuple[Cube, NDArray[np.bool_]]]:
    """Images and masks cut to whole coarser pixels, from different first pixels."""
    for top, left in shifts:
        rows, columns = ((size - first) // factor * factor for size, first in zip(observed.shape, (top, left)))
        if min(rows, columns) >= _MIN_SIDE * factor:
            cut = slice(top, top + rows), slice(left, left + columns)
            yield images[:, cut[0], cut[1]], observed[cut]


def _downsample(images: Cube, psf: Psf) -> Cube:
    return psf.operator((images.shape[1], images.shape[2])).apply(images).astype(np.float32)


def _interpolate(images: Cube, psf: Psf) -> tuple[ConsistencyProjection, Cube]:
    """The projection onto consistent images, and bicubic interpolation, projected."""
    projection = ConsistencyProjection(psf, (images.shape[1] * psf.factor, images.shape[2] * psf.factor))
    return projection, interpolate(images, psf, projection)


def _mean_strength(images: Sequence[Cube], factor: int) -> float:
    """The mean strength of gradients; 1 without images."""
    strengths = [structure_tensor(cube, factor)[0].ravel() for cube in images]
    return float(np.concatenate(strengths).mean()) if strengths else 1.0
