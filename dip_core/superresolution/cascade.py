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
that training starts from bicubic interpolation. The first weights of each stage are *whitened*: blurred images hold
little of the fine detail that is to be restored, and random filters that are decorrelated by the images' own
covariance see it as strongly as the rest (the idea of Kraehenbuehl et al., Data-dependent initializations of
convolutional neural networks, 2016).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

STAGES = 6
SUPERVISED_STAGE = 3
# (kernel, channels) of the first two convolutions, and the kernel of the third.
_FIRST = (9, 96)
_SECOND = (3, 64)
_THIRD = 5
_SAMPLE = 64  # images that the first weights are adapted to
_PLANES = 512  # bands of images that their covariance is taken of
_FLOOR = 1e-3  # of the largest variance: directions with less are not raised further


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

    @torch.no_grad()
    def adapt(self, images: Tensor) -> None:
        """Take scaling and first weights from ``(batch, band, row, column)``: enlarged images, of some batches.

        Weights are drawn with torch's own generator. To be called before training.
        """
        deviation, mean = torch.std_mean(images, dim=(0, 2, 3), correction=0)
        self.mean.copy_(mean[:, None, None])
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0)[:, None, None])
        some = (images[:: len(images) // _SAMPLE + 1] - self.mean) / self.deviation
        whitening = _whitening(some)
        for stage in self.stages:
            first = stage[0]  # type: ignore[index]  # a sequence
            drawn = torch.randn(first.weight.shape).flatten(2) @ whitening
            drawn = drawn.reshape(first.weight.shape)
            response = functional.conv2d(some, drawn, padding=first.padding).std()
            first.weight.copy_(drawn * (math.sqrt(2.0) / response if response > 0 else 1.0))


def _whitening(images: Tensor) -> Tensor:
    """The symmetric inverse root of the covariance of 9 x 9 pieces of single bands, ``(81, 81)``."""
    bands = images.flatten(0, 1)
    bands = bands[:: len(bands) // _PLANES + 1, None]
    pieces = functional.unfold(bands, _FIRST[0]).double()
    covariance = torch.einsum("nip,njp->ij", pieces, pieces) / (pieces.shape[0] * pieces.shape[2])
    values, vectors = torch.linalg.eigh(covariance)
    scale = 1.0 / torch.sqrt(values.clamp(min=0) + _FLOOR * values[-1].clamp(min=1e-12))
    return ((vectors * scale) @ vectors.T).float()


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
