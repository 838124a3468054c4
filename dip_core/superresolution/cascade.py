"""The cascade: six residual networks in a row that sharpen an enlarged hyperspectral image.

Each *stage* has 9 x 9 x 96, 3 x 3 x 64 and 5 x 5 x bands convolutions with zero padding and ReLU; its output is its
input plus the residual. The output of the third stage is supervised beside the final one, so that the first three
stages learn too. The network is trained on images enlarged to the final size by bicubic interpolation.

Source: CASCADE paper, section 3.1 and figure 1. It says that a ReLU follows *each* convolution. After the third one of
a stage it would forbid negative residuals, so that no stage could darken a pixel; therefore it is omitted unless
``rectify_residual`` requests the literal network.

The paper does not mention scaling and first weights. Here the network works on bands with mean 0 and deviation 1;
without this, the mean limits the step size and detail is learned about ten times more slowly. The weights before a
ReLU are drawn as in He et al. (2015); the last weights of each stage start at 0, so that training starts from bicubic
interpolation. The first weights of each stage are *whitened*: blurred images contain little fine detail, and random
filters decorrelated by the images' covariance respond to it as strongly as to the rest (the idea of Kraehenbuehl et
al., Data-dependent initializations of convolutional neural networks, 2016).
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
_MAX_ADAPTATION_IMAGES = 64  # that the first weights are adapted to
_MAX_COVARIANCE_BANDS = 512  # of images from which their covariance is computed
_MIN_VARIANCE = 1e-3  # relative to the largest one: weaker directions are not amplified further


class Cascade(nn.Module):
    """Maps ``(batch, band, row, column)``, enlarged to the final size, to two sharper images of the same shape.

    The buffers ``mean`` and ``deviation`` ``(band, 1, 1)`` are those of the bands over the training images; they are
    saved with the weights.
    """

    mean: Tensor
    deviation: Tensor

    # Pixels around a pixel that its output depends on: the margin of tiles for a result without seams.
    radius = STAGES * sum((kernel - 1) // 2 for kernel in (_FIRST[0], _SECOND[0], _THIRD))

    def __init__(self, bands: int, *, rectify_residual: bool = False) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_stage(bands, rectify_residual) for _ in range(STAGES))
        self.register_buffer("mean", torch.zeros(bands, 1, 1))
        self.register_buffer("deviation", torch.ones(bands, 1, 1))

    def forward(self, enlarged: Tensor) -> tuple[Tensor, Tensor]:
        """The images after the third and after the last stage; both are supervised in training."""
        image = (enlarged - self.mean) / self.deviation
        supervised = image
        for number, stage in enumerate(self.stages, 1):
            image = image + stage(image)
            if number == SUPERVISED_STAGE:
                supervised = image
        return supervised * self.deviation + self.mean, image * self.deviation + self.mean

    @torch.no_grad()
    def adapt(self, images: Tensor) -> None:
        """Set scaling and first weights from enlarged training images ``(batch, band, row, column)``.

        Weights are drawn with torch's global generator. Call it before training.
        """
        deviation, mean = torch.std_mean(images, dim=(0, 2, 3), correction=0)
        self.mean.copy_(mean[:, None, None])
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0)[:, None, None])
        some = (images[:: len(images) // _MAX_ADAPTATION_IMAGES + 1] - self.mean) / self.deviation
        whitening = _whitening(some)
        for stage in self.stages:
            first = stage[0]  # type: ignore[index]  # a sequence
            drawn = torch.randn(first.weight.shape).flatten(2) @ whitening
            drawn = drawn.reshape(first.weight.shape)
            response = functional.conv2d(some, drawn, padding=first.padding).std()
            first.weight.copy_(drawn * (math.sqrt(2.0) / response if response > 0 else 1.0))


def weight_shapes(bands: int) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a cascade for this number of bands, by name; computes no weights."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in Cascade(bands).state_dict().items()}


def _whitening(images: Tensor) -> Tensor:
    """The symmetric inverse root of the covariance of 9 x 9 patches of single bands, ``(81, 81)``."""
    bands = images.flatten(0, 1)
    bands = bands[:: len(bands) // _MAX_COVARIANCE_BANDS + 1, None]
    patches = functional.unfold(bands, _FIRST[0]).double()
    covariance = torch.einsum("nip,njp->ij", patches, patches) / (patches.shape[0] * patches.shape[2])
    values, vectors = torch.linalg.eigh(covariance)
    scale = 1.0 / torch.sqrt(values.clamp(min=0) + _MIN_VARIANCE * values[-1].clamp(min=1e-12))
    return ((vectors * scale) @ vectors.T).float()


def _stage(bands: int, rectify_residual: bool) -> nn.Sequential:
    """The residual of one stage."""
    last = _convolution(_SECOND[1], bands, _THIRD)
    # A ReLU at 0 has no gradient.
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
