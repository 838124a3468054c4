"""Architecture of an hourglass network: sizes and options, without torch."""

from __future__ import annotations

from dataclasses import dataclass

UPSAMPLINGS = ("nearest", "bilinear", "trilinear")
DOWNSAMPLINGS = ("stride", "average")
PADDINGS = ("reflection", "replication", "zero")
JOINS = ("concatenate", "add")


@dataclass(frozen=True)
class Architecture:
    """Channels of each level, the finest first, and the options that differ between the papers.

    ``skip``: channels of the skip branch, 0 for none. ``kernel_down``, ``kernel_up``: one kernel size for all levels or
    one per level. ``upsample``: nearest, or bilinear in 2-D and trilinear in 3-D. ``downsample``: by the stride of the
    convolution, or by an average of 2 x 2 pixels after it. ``padding``: of the convolutions. ``join``: the skip branch
    and the upsampled branch are concatenated and normalised, or added, which halves the input of the next convolution.
    ``pointwise_after_up``: a further 1 x 1 convolution at the end of each level. ``sigmoid``: the output lies in 0..1.
    ``slope``: slope of the leaky ReLU below 0.
    """

    down: tuple[int, ...] = (128,) * 5
    up: tuple[int, ...] = (128,) * 5
    skip: tuple[int, ...] = (128,) * 5
    kernel_down: int | tuple[int, ...] = 3
    kernel_up: int | tuple[int, ...] = 3
    kernel_skip: int = 1
    upsample: str = "nearest"
    downsample: str = "stride"
    padding: str = "reflection"
    join: str = "concatenate"
    pointwise_after_up: bool = True
    sigmoid: bool = True
    slope: float = 0.2

    def __post_init__(self) -> None:
        kernels = (*self.kernels_down, *self.kernels_up, self.kernel_skip)
        depths = {len(self.up), len(self.skip), len(self.kernels_down), len(self.kernels_up)}
        if depths != {self.depth} or not self.depth:
            raise ValueError("down, up, skip and kernels by level need one entry per level.")
        if any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError("Kernels need an odd size.")
        options = (self.upsample, self.downsample, self.padding, self.join)
        for value, known in zip(options, (UPSAMPLINGS, DOWNSAMPLINGS, PADDINGS, JOINS)):
            if value not in known:
                raise ValueError(f"'{value}' is unknown: use one of {', '.join(known)}.")
        if self.join == "add" and any(skip not in (0, low) for skip, low in zip(self.skip, self.upsampled)):
            raise ValueError("To add the branches, the skip branch needs as many channels as the upsampled branch.")

    @property
    def depth(self) -> int:
        """The number of levels."""
        return len(self.down)

    @property
    def upsampled(self) -> tuple[int, ...]:
        """Channels of the upsampled branch of each level."""
        return (*self.up[1:], self.down[-1])

    @property
    def kernels_down(self) -> tuple[int, ...]:
        """Kernel size of the downward convolutions of each level."""
        return self.kernel_down if isinstance(self.kernel_down, tuple) else (self.kernel_down,) * self.depth

    @property
    def kernels_up(self) -> tuple[int, ...]:
        """Kernel size of the upward convolutions of each level."""
        return self.kernel_up if isinstance(self.kernel_up, tuple) else (self.kernel_up,) * self.depth
