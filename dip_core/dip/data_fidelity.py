"""Data fidelity terms: how far an image is from the observation (equations 4 to 6 of the DHP paper).

All follow one observation model, ``y = M d(x) + n``. The loss is the mean squared difference between the predicted and
the actual observation over the observed values. Denoising has neither mask ``M`` nor degradation ``d``, inpainting has
the mask, super-resolution the degradation. The papers write the sum instead of the mean, which has the same minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..imaging.degradation import SeparableOperator


class DataFidelity(Protocol):
    """The term that a fit minimises. Images and observations are ``(1, [1,] band, row, column)``."""

    def predict(self, image: Tensor) -> Tensor:
        """The observation that the image would give."""

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """The value of the term for the image, a scalar with gradient."""


@dataclass(frozen=True)
class FullFidelity:
    """Equation 4, ``|| x - y ||^2``: every value was observed, with noise."""

    def predict(self, image: Tensor) -> Tensor:
        """The image itself."""
        return image

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """Mean square over all values."""
        return (image - observation).square().mean()


class MaskedFidelity:
    """Equation 5, ``|| M (x - y) ||^2``: some values were observed.

    The paper prints ``|| x - y M ||``, but its code masks both. ``weights`` has the observation's shape: 1 observed,
    0 missing.
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


class DownsamplingFidelity:
    """Equation 6, ``|| M (d(x) - y) ||^2``: a downsampled image was observed.

    ``like`` gives device and precision. ``weights``, of the observation's shape: 1 observed, 0 missing; None if every
    value was observed.
    """

    def __init__(self, degradation: SeparableOperator, like: Tensor, weights: Tensor | None = None) -> None:
        self.predict = degradation.as_torch(like)
        self.downsampled: DataFidelity = FullFidelity() if weights is None else MaskedFidelity(weights)

    def loss(self, image: Tensor, observation: Tensor) -> Tensor:
        """Mean square over the observed values of the downsampled image."""
        return self.downsampled.loss(self.predict(image), observation)
