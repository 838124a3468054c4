"""The interface of a denoiser: its signature and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..arrays import Cube, Mask
from ..runtime.progress import ProgressReporter

if TYPE_CHECKING:
    import torch


class Denoised(NamedTuple):
    """Denoised images ``(channel, row, column)`` and the leverage of each pixel (0 to about 1), of the same shape.

    The leverage is the weight that a pixel's own value has in its estimate; None if the denoiser does not compute it.
    """

    images: Cube
    leverage: Cube | None = None


class DenoiserFunction(Protocol):
    """A function that denoises the observed pixels of images ``(channel, row, column)``.

    A denoiser of eigen-images gets images whose noise has variance 1, independent between pixels, and a mask ``(row,
    column)``; a denoiser of bands gets values in the data's units and a mask ``(band, row, column)``. ``iterations``
    applies to networks; None: those of the preset. ``progress`` can stop the work early.
    """

    def __call__(
        self,
        images: Cube,
        observed: Mask,
        *,
        seed: int,
        device: torch.device | None,
        iterations: int | None,
        progress: ProgressReporter,
    ) -> Denoised:
        """Return the estimate of the noise-free images."""
