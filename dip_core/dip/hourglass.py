"""Hourglass network (encoder-decoder) with skip connections, in 2-D and 3-D: the network of the deep image prior.

Each level halves the image with a strided convolution, convolves, processes the level below, and upsamples the result;
a skip branch of 1 x 1 convolutions bypasses the level below. Where branches of different size meet, the larger one is
cropped, as in the original.

Sources: Ulyanov, Vedaldi, Lempitsky, Deep Image Prior (CVPR 2018), supplementary figure 21; GAP paper, appendix A.1,
and DHP paper, both with 128 channels and depth 5.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .architecture import Architecture


class Hourglass(nn.Module):
    """``(batch, inputs, row, column)`` to ``(batch, outputs, row, column)`` of the same size."""

    axes: ClassVar[int] = 2

    def __init__(self, inputs: int, outputs: int, architecture: Architecture) -> None:
        super().__init__()
        if architecture.upsample not in ("nearest", {2: "bilinear", 3: "trilinear"}[self.axes]):
            raise ValueError(f"A {self.axes}-D network has no {architecture.upsample} upsampling.")
        self.body = _Level(inputs, architecture, 0, self.axes)
        self.head = _CONVOLUTION[self.axes](architecture.up[0], outputs, 1)
        self.sigmoid = architecture.sigmoid
        # With fewer rows or columns the deepest level has a single pixel and no batch statistics.
        self.min_size = 2**architecture.depth + 1

    def forward(self, noise: Tensor) -> Tensor:
        """The image for an input."""
        rows, columns = noise.shape[-2:]
        missing_rows, missing_columns = max(0, self.min_size - rows), max(0, self.min_size - columns)
        if missing_rows or missing_columns:
            margins = (*_halves(missing_columns), *_halves(missing_rows), *(0, 0) * (self.axes - 2))
            noise = functional.pad(noise, margins, mode="replicate")
        image = self.head(self.body(noise))
        image = _crop(image, (*image.shape[2:-2], rows, columns))
        return torch.sigmoid(image) if self.sigmoid else image


class _Level(nn.Module):
    """One level: downsampling, the levels below, upsampling, joined with the skip branch."""

    def __init__(self, inputs: int, architecture: Architecture, level: int, axes: int) -> None:
        super().__init__()
        a, down, up, skip = architecture, architecture.down[level], architecture.up[level], architecture.skip[level]
        kernel_down, kernel_up = a.kernels_down[level], a.kernels_up[level]
        self.upsample = a.upsample
        self.skip = _block(inputs, skip, a.kernel_skip, a, axes) if skip else None
        self.down = nn.Sequential(
            *_block(inputs, down, kernel_down, a, axes, halve=True), *_block(down, down, kernel_down, a, axes)
        )
        self.below = None if level == a.depth - 1 else _Level(down, a, level + 1, axes)
        self.add = a.join == "add"
        joined = a.upsampled[level] + (0 if self.add else skip)
        layers: list[nn.Module] = [] if self.add else [_NORMALISATION[axes](joined)]
        layers.extend(_block(joined, up, kernel_up, a, axes))
        if a.pointwise_after_up:
            layers.extend(_block(up, up, 1, a, axes))
        self.join = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        low = self.down(image)
        if self.below is not None:
            low = self.below(low)
        smooth = None if self.upsample == "nearest" else False
        high = functional.interpolate(low, scale_factor=2, mode=self.upsample, align_corners=smooth)
        if self.skip is None:
            return self.join(_crop(high, image.shape[2:]))
        side = self.skip(image)
        size = [min(one, other) for one, other in zip(high.shape[2:], side.shape[2:])]
        side, high = _crop(side, size), _crop(high, size)
        return self.join(side + high if self.add else torch.cat([side, high], dim=1))


def _block(
    inputs: int, outputs: int, kernel: int, architecture: Architecture, axes: int, halve: bool = False
) -> nn.Sequential:
    """Convolution, normalisation and activation; ``halve``: downsample by 2."""
    reach = (kernel - 1) // 2
    zero = architecture.padding == "zero"
    stride = 2 if halve and architecture.downsample == "stride" else 1
    layers: list[nn.Module] = []
    if reach and not zero:
        layers.append(_Pad(reach, axes, architecture.padding))
    layers.append(_CONVOLUTION[axes](inputs, outputs, kernel, stride=stride, padding=reach if zero else 0))
    if halve and architecture.downsample == "average":
        layers.append(_Average(axes))
    layers += [_NORMALISATION[axes](outputs), nn.LeakyReLU(architecture.slope, inplace=True)]
    return nn.Sequential(*layers)


class _Pad(nn.Module):
    """Padding by reflection, or by replication if requested or if the image is too small to reflect."""

    def __init__(self, reach: int, axes: int, padding: str) -> None:
        super().__init__()
        self.reach = reach
        self.margins = (reach,) * (2 * axes)
        self.reflect = padding == "reflection"

    def forward(self, image: Tensor) -> Tensor:
        reflects = self.reflect and min(image.shape[2:]) > self.reach
        return functional.pad(image, self.margins, mode="reflect" if reflects else "replicate")


class _Average(nn.Module):
    """Average over 2 pixels along each axis; an odd last pixel is kept, so that upsampling is never too short."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.pool = _AVERAGE[axes](2)

    def forward(self, image: Tensor) -> Tensor:
        odd = [margin for size in reversed(image.shape[2:]) for margin in (0, size % 2)]
        return self.pool(functional.pad(image, odd, mode="replicate") if any(odd) else image)


def _crop(image: Tensor, size: torch.Size | tuple[int, ...] | list[int]) -> Tensor:
    """The centre of an image ``(batch, channel, ...)``, of the given size."""
    margins = []
    for there, wanted in zip(reversed(image.shape[2:]), reversed(size)):
        first = (there - wanted) // 2
        margins += [-first, first + wanted - there]
    # Negative padding instead of slices keeps the memory format of the gradient.
    return functional.pad(image, margins) if any(margins) else image


def _halves(number: int) -> tuple[int, int]:
    return number // 2, number - number // 2


_CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_NORMALISATION: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_AVERAGE: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class Hourglass3d(Hourglass):
    """``(batch, inputs, band, row, column)`` to ``(batch, outputs, band, row, column)`` of the same size.

    It halves and upsamples the spectral axis too, so the number of weights does not depend on the number of bands.
    Source: DHP paper, section 3.1 and figure 1. The paper's code calls the padding of the 3-D networks reflection but
    replicates the border; use ``padding="replication"``.
    """

    axes = 3
