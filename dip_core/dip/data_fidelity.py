"""The *energies*: how far an image is from what was observed, equations 4 to 6 of the DHP paper.

All are one observation model, ``y = M d(x) + n``: an energy *predicts* what the sensor would have seen of an
image and takes the mean square of prediction less observation over the observed values. Denoising has neither
mask nor degradation, inpainting has the mask ``M``, super-resolution the degradation ``d``. The papers write
the sum; the mean has the same minimum and the same scale for every size of image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..imaging.degradation import SeparableOperator


class Energy(Protocol):
    """What a network is fitted to. Images and observations are ``(1, [1,] band, row, column)``."""

    def predict(self, image: Tensor) -> Tensor:
        """What would have been observed of the image."""

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """The energy of the image, a scalar that knows its gradient."""


@dataclass(frozen=True)
class ReconstructionEnergy:
    """Equation 4, ``|| x - y ||^2``: everything was observed, with noise."""

    def predict(self, image: Tensor) -> Tensor:
        """The image itself."""
        return image

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """Mean square over all values."""
        return (image - observation).square().mean()


class MaskEnergy:
    """Equation 5, ``|| M (x - y) ||^2``: a part was observed.

    The paper prints ``|| x - y M ||``, but its code masks both. ``weights`` has the observation's shape: 1
    observed, 0 missing.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.count = weights.sum().clamp(min=1)

    def predict(self, image: Tensor) -> Tensor:
        """The image itself."""
        return image

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """Mean square over the observed values."""
        return (self.weights * (image - observation)).square().sum() / self.count


class DownsamplingEnergy:
    """Equation 6, ``|| M (d(x) - y) ||^2``: a coarse image was observed.

    ``like`` gives device and precision. ``weights``, of the coarse observation's shape, leaves missing values
    out: 1 observed, 0 missing; None where all were observed.
    """

    def __init__(self, degradation: SeparableOperator, like: Tensor, weights: Tensor | None = None) -> None:
        self.predict = degradation.as_torch(like)
        self.coarse: Energy = ReconstructionEnergy() if weights is None else MaskEnergy(weights)

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """Mean square over the observed values of the coarse image."""
        return self.coarse.loss(self.predict(image), observation)
