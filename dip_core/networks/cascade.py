"""The *cascade*: six residual networks in a row that sharpen an enlarged hyperspectral image.

Each *stage* is 9 x 9 x 96, 3 x 3 x 64 and 5 x 5 x bands convolutions with zero padding and ReLU; its output is
its input plus the residual. The output of the third stage is supervised beside the final one, so that the
first three stages learn too. The network is trained, unlike the hourglass, on images enlarged to the final
size by bicubic interpolation.

Source: the CASCADE paper, section 3.1 and figure 1. It says that a ReLU follows *each* convolution. Behind a
stage's third one it would keep every residual from being negative, and no stage could darken a pixel, which
sharpening must; so it is left out unless ``rectify_residual`` asks for the paper to the letter.

The paper says nothing of scaling and first weights. Here the network sees each band with a mean of 0 and a deviation
of 1, since on stored values the mean alone decides how long a step may be and detail is learned some ten times more
slowly. The weights before a ReLU are drawn as He et al. (2015) do, and those behind the residuals start at 0, so
that training starts from bicubic interpolation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAGES = 6
SUPERVISED_STAGE = 3
# (kernel, channels) of the first two convolutions, and the kernel of the third.
_FIRST = (9, 96)
_SECOND = (3, 64)
_THIRD = 5


class Cascade(nn.Module):
    """``(batch, band, row, column)``, enlarged to its final size, to two sharper images of the same shape.

    The buffers ``mean`` and ``deviation``, ``(band, 1, 1)``, are the bands' own over the training images; they travel
    with the weights.
    """

    mean: Tensor
    deviation: Tensor

    # How far an output pixel sees, in pixels: what tiles must overlap by for a result without seams.
    reach = STAGES * sum((kernel - 1) // 2 for kernel in (_FIRST[0], _SECOND[0], _THIRD))

    def __init__(self, bands: int, *, rectify_residual: bool = False) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_stage(bands, rectify_residual) for _ in range(STAGES))
        self.register_buffer("mean", torch.zeros(bands, 1, 1))
        self.register_buffer("deviation", torch.ones(bands, 1, 1))

    def forward(self, enlarged: Tensor) -> tuple[Tensor, Tensor]:
        """The image after the third stage and the final one; both are supervised in training."""
        image = (enlarged - self.mean) / self.deviation
        supervised = image
        for number, stage in enumerate(self.stages, 1):
            image = image + stage(image)
            if number == SUPERVISED_STAGE:
                supervised = image
        return supervised * self.deviation + self.mean, image * self.deviation + self.mean

    def standardise(self, images: Tensor) -> None:
        """Take mean and deviation of each band from ``(batch, band, row, column)``."""
        deviation, mean = torch.std_mean(images, dim=(0, 2, 3), correction=0)
        self.mean.copy_(mean[:, None, None])
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0)[:, None, None])


def _stage(bands: int, rectify_residual: bool) -> nn.Sequential:
    """The residual of one stage."""
    last = _convolution(_SECOND[1], bands, _THIRD)
    # At 0 a ReLU would pass no gradient on.
    nn.init.normal_(last.weight, std=1e-3 if rectify_residual else 0.0)
    layers: list[nn.Module] = [
        _convolution(bands, _FIRST[1], _FIRST[0]),
        nn.ReLU(inplace=True),
        _convolution(_FIRST[1], _SECOND[1], _SECOND[0]),
        nn.ReLU(inplace=True),
        last,
    ]
    if rectify_residual:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
    return layer
