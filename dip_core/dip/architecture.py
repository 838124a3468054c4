"""The *architecture* of an hourglass: its sizes and choices, without the network."""

from __future__ import annotations

from dataclasses import dataclass

UPSAMPLINGS = ("nearest", "bilinear", "trilinear")
DOWNSAMPLINGS = ("stride", "average")
PADDINGS = ("reflection", "replication", "zero")
JOINS = ("concatenate", "add")


@dataclass(frozen=True)
class Architecture:
    """Channels of each level (first is the finest) and the choices that the papers vary.

    ``skip``: channels of the skip branch, 0 for none. Kernels of the down and up convolutions are one size
    for all levels or one a level. ``upsample``: nearest, or bilinear in 2-D and trilinear in 3-D;
    ``downsample``: by the convolution's stride, or by the average of 2 x 2 pixels behind it; ``padding``: what
    the convolutions find beyond the rim. ``join``: the skip branch and the enlarged one are concatenated and
    normalised, or added, which halves what the next convolution sees. ``pointwise_after_up``: a further 1 x 1
    convolution at the end of each level. ``sigmoid``: the image lies in 0..1. ``slope``: of the leaky ReLU below 0.
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
            raise ValueError("down, up, skip and kernels by level need one entry a level.")
        if any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError("Kernels need an odd size.")
        chosen = (self.upsample, self.downsample, self.padding, self.join)
        for value, known in zip(chosen, (UPSAMPLINGS, DOWNSAMPLINGS, PADDINGS, JOINS)):
            if value not in known:
                raise ValueError(f"'{value}' is unknown: use one of {', '.join(known)}.")
        if self.join == "add" and any(skip not in (0, low) for skip, low in zip(self.skip, self.enlarged)):
            raise ValueError("Branches that are added need as many channels in the skip branch as in the enlarged one.")

    @property
    def depth(self) -> int:
        """The number of levels."""
        return len(self.down)

    @property
    def enlarged(self) -> tuple[int, ...]:
        """The channels of each level's enlarged branch."""
        return (*self.up[1:], self.down[-1])

    @property
    def kernels_down(self) -> tuple[int, ...]:
        """The kernel size of each level's way down."""
        return self.kernel_down if isinstance(self.kernel_down, tuple) else (self.kernel_down,) * self.depth

    @property
    def kernels_up(self) -> tuple[int, ...]:
        """The kernel size of each level's way up."""
        return self.kernel_up if isinstance(self.kernel_up, tuple) else (self.kernel_up,) * self.depth
