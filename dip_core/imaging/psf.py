"""The point spread function (PSF) of super-resolution: how the observed coarse image follows from the fine one.

``y = M d(x)`` with the mask M; ``d`` blurs and decimates (see `degradation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import degradation

_MAX_UNDAMPED_SIGMA = 0.6  # coarse pixels; up to here the blur keeps a tenth of the contrast of all coarse detail
_DAMPING = 1e-3  # limits the amplification of noise to 1 / (2 sqrt(damping)) = 16


@dataclass(frozen=True)
class Psf:
    """Decimation by ``factor`` with a ``kernel``: ``bicubic``, ``gaussian`` or ``lanczos``.

    ``sigma``: standard deviation of the Gaussian in fine pixels; None: half a coarse pixel.
    """

    factor: int
    kernel: str = "bicubic"
    sigma: float | None = None

    def operator(self, shape: tuple[int, int]) -> degradation.SeparableOperator:
        """The operator ``d`` for fine images of ``shape`` (rows, columns)."""
        if self.kernel == "gaussian":
            return degradation.gaussian_decimation(shape, self.factor, self.gaussian_sigma)
        decimations = {"bicubic": degradation.bicubic_decimation, "lanczos": degradation.lanczos_decimation}
        return decimations[self.kernel](shape, self.factor)

    @property
    def gaussian_sigma(self) -> float:
        """The standard deviation of the Gaussian in fine pixels.

        The default, half a coarse pixel, leaves a contrast of 0.3 at the Nyquist frequency of the coarse image.
        """
        return self.sigma if self.sigma is not None else self.factor / 2

    @property
    def damping(self) -> float:
        """The damping of back-projection: 0, or positive if the blur is wider than that of a sensor."""
        wide = self.kernel == "gaussian" and self.gaussian_sigma > _MAX_UNDAMPED_SIGMA * self.factor
        return _DAMPING if wide else 0.0

    @property
    def radius(self) -> int:
        """The radius of the kernel in coarse pixels, rounded up."""
        return int(np.ceil(4 * self.gaussian_sigma / self.factor)) + 1 if self.kernel == "gaussian" else 3


def enlarge_bicubic(values: NDArray, factor: int) -> NDArray[np.float64]:
    """Bicubic enlargement of ``(band, row, column)`` by ``factor``: the baseline of super-resolution."""
    return degradation.bicubic_enlargement((values.shape[-2], values.shape[-1]), factor).apply(values)
