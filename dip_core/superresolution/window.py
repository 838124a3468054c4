"""A window to enlarge, with the intermediate images that several experts use."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..imaging.back_projection import ConsistencyProjection, back_project
from ..imaging.degradation import SeparableOperator
from ..imaging.psf import Psf, enlarge_bicubic
from ..imaging.resampling import fill_nearest
from .guide_fusion import GuidePrediction, predict_from_guide
from .options import EnlargeOptions, ScaleStatistics
from .steered_ridge import steered_ridge, steering
from .vectorial_tv import vectorial_tv


class CoarseWindow:
    """A window of the input in the data's units; intermediate images are computed once, when they are needed.

    ``values``, ``observed``: ``(band, row, column)``. ``guide``: ``(guide band, row, column)`` on the fine grid, NaN
    where missing; None without guide.
    """

    def __init__(self, values: NDArray, observed: Mask, options: EnlargeOptions, guide: Cube | None = None) -> None:
        self.values = values
        self.observed = observed
        self.options = options
        self.guide = guide
        factor = options.psf.factor
        self.fine_shape = (values.shape[1] * factor, values.shape[2] * factor)

    @property
    def psf(self) -> Psf:
        """The point spread function."""
        return self.options.psf

    @property
    def statistics(self) -> ScaleStatistics:
        """The scene's statistics. Raises ValueError if they were not fitted."""
        if self.options.statistics is None:
            raise ValueError("This expert needs the statistics of the scene: fit them first.")
        return self.options.statistics

    @cached_property
    def filled(self) -> NDArray[np.float64]:
        """Values with missing pixels filled from the nearest observed one."""
        return fill_nearest(self.values, self.observed).astype(np.float64)

    @cached_property
    def operator(self) -> SeparableOperator:
        """Downsampling of fine images to this window."""
        return self.psf.operator(self.fine_shape)

    @cached_property
    def bicubic(self) -> NDArray[np.float64]:
        """Bicubic interpolation ``(band, row, column)``."""
        return enlarge_bicubic(self.filled, self.psf.factor)

    @cached_property
    def back_projected(self) -> NDArray[np.float64]:
        """Bicubic interpolation, made consistent with the observed pixels."""
        if self.psf.damping:
            return self.make_consistent(self.bicubic)
        # The projection in single precision is nearly consistent, which saves most iterations of back-projection.
        mean = self.filled.mean(axis=(1, 2), keepdims=True)
        return self.make_consistent(mean + interpolate(self.filled - mean, self.psf, self.projection))

    @cached_property
    def projection(self) -> ConsistencyProjection:
        """Projection of fine images onto those consistent with complete coarse images."""
        return ConsistencyProjection(self.psf, self.fine_shape)

    @cached_property
    def components(self) -> Cube:
        """Principal images ``(rank, row, column)`` on the coarse grid."""
        return self.statistics.components.project(self.filled)

    @cached_property
    def smooth(self) -> Cube:
        """Principal images, interpolated consistently."""
        return interpolate(self.components, self.psf, self.projection)

    @cached_property
    def sharp(self) -> Cube:
        """Fine principal images, enlarged by vectorial total variation."""
        return vectorial_tv(self.components, self.smooth, self.projection)

    @cached_property
    def steered(self) -> Cube:
        """Fine principal images, enlarged by the steered ridge."""
        return self._steered_ridge(self.smooth, self.sharp)

    @cached_property
    def guide_prediction(self) -> GuidePrediction | None:
        """The detail of the principal images that the guide predicts; None without guide."""
        regression = self.statistics.guide_regression
        if self.guide is None or regression is None:
            return None
        complete = np.asarray(self.observed.all(axis=0))
        return predict_from_guide(self.components, complete, self.guide, regression, self.psf)

    def steer(self, images: Cube) -> Cube:
        """Other coarse principal images, enlarged by the steered ridge."""
        smooth = interpolate(images, self.psf, self.projection)
        return self._steered_ridge(smooth, vectorial_tv(images, smooth, self.projection))

    def _steered_ridge(self, smooth: Cube, sharp: Cube) -> Cube:
        steer = steering(sharp, self.psf.factor, self.statistics.typical_strength)
        return steered_ridge(smooth, sharp, steer, self.statistics.coefficients)

    def add_detail(self, detail: Cube) -> NDArray[np.float64]:
        """Back-projected interpolation plus ``detail`` of the principal images ``(rank, row, column)``, consistent.

        What the principal images do not represent stays interpolated.
        """
        return self.make_consistent(self.back_projected + self.statistics.components.reconstruct(detail))

    def make_consistent(self, image: NDArray) -> NDArray[np.float64]:
        """The fine image ``(band, row, column)`` changed as little as possible to be consistent with the window."""
        return back_project(image, self.values, self.observed, self.operator, self.psf.damping)


def interpolate(images: NDArray, psf: Psf, projection: ConsistencyProjection) -> Cube:
    """Bicubic interpolation of coarse images ``(..., row, column)``, consistent with them."""
    start = enlarge_bicubic(images, psf.factor).astype(np.float32)
    return projection.project(start, projection.transform(images))
