"""The *hourglass* (encoder-decoder) with skip connections: the network of the deep image prior.

Each level halves the image (strided convolution), convolves, descends, and enlarges again; a *skip*
branch of 1 x 1 convolutions carries detail across. Sizes that are not multiples of ``2 ** depth`` are
cropped to the smaller partner where branches meet, as in the original.

Source: Ulyanov, Vedaldi, Lempitsky, Deep Image Prior (CVPR 2018), supplementary figure 21; the GAP paper's
appendix A.1 and the DHP paper use it with 128 channels and depth 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Architecture:
    """Channels of each level (first is the finest) and the choices that the papers vary."""

    down: tuple[int, ...] = (128,) * 5
    up: tuple[int, ...] = (128,) * 5
    skip: tuple[int, ...] = (128,) * 5
    kernel_down: int = 3
    kernel_up: int = 3
    kernel_skip: int = 1
    upsample: str = "nearest"
    pointwise_after_up: bool = True
    sigmoid: bool = True
    slope: float = 0.2


class Hourglass(nn.Module):
    """``(batch, inputs, row, column)`` to ``(batch, outputs, row, column)`` of the same size."""

    def __init__(self, inputs: int, outputs: int, architecture: Architecture) -> None:
        super().__init__()
        self.body = _Level(inputs, architecture, 0)
        self.head = nn.Conv2d(architecture.up[0], outputs, 1)
        self.sigmoid = architecture.sigmoid

    def forward(self, noise: Tensor) -> Tensor:
        """The image that the network holds for an input."""
        image = self.head(self.body(noise))
        return torch.sigmoid(image) if self.sigmoid else image


class _Level(nn.Module):
    """One level: down, the levels below, up, joined with the skip branch."""

    def __init__(self, inputs: int, architecture: Architecture, level: int) -> None:
        super().__init__()
        a, down, up, skip = architecture, architecture.down[level], architecture.up[level], architecture.skip[level]
        self.upsample = a.upsample
        self.skip = _block(inputs, skip, a.kernel_skip, a.slope) if skip else None
        self.down = nn.Sequential(
            *_block(inputs, down, a.kernel_down, a.slope, stride=2), *_block(down, down, a.kernel_down, a.slope)
        )
        deepest = level == len(a.down) - 1
        self.below = None if deepest else _Level(down, a, level + 1)
        joined = skip + (down if deepest else a.up[level + 1])
        layers = [nn.BatchNorm2d(joined), *_block(joined, up, a.kernel_up, a.slope)]
        if a.pointwise_after_up:
            layers.extend(_block(up, up, 1, a.slope))
        self.join = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        low = self.down(image)
        if self.below is not None:
            low = self.below(low)
        smooth = None if self.upsample == "nearest" else False
        high = functional.interpolate(low, scale_factor=2, mode=self.upsample, align_corners=smooth)
        if self.skip is None:
            return self.join(_crop(high, image.shape[-2], image.shape[-1]))
        side = self.skip(image)
        rows, columns = min(high.shape[-2], side.shape[-2]), min(high.shape[-1], side.shape[-1])
        return self.join(torch.cat([_crop(side, rows, columns), _crop(high, rows, columns)], dim=1))


def _block(inputs: int, outputs: int, kernel: int, slope: float, stride: int = 1) -> nn.Sequential:
    reach = (kernel - 1) // 2
    layers: list[nn.Module] = [_ReflectionPad(reach)] if reach else []
    layers += [
        nn.Conv2d(inputs, outputs, kernel, stride=stride),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(slope, inplace=True),
    ]
    return nn.Sequential(*layers)


class _ReflectionPad(nn.Module):
    """Reflection, or repetition of the rim where the image is too small to reflect."""

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.reach = reach

    def forward(self, image: Tensor) -> Tensor:
        reflects = min(image.shape[-2:]) > self.reach
        return functional.pad(image, (self.reach,) * 4, mode="reflect" if reflects else "replicate")


def _crop(image: Tensor, rows: int, columns: int) -> Tensor:
    top, left = (image.shape[-2] - rows) // 2, (image.shape[-1] - columns) // 2
    return image[..., top : top + rows, left : left + columns]
