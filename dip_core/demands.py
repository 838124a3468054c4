"""What one fit of an untrained network demands, from the sizes in its preset: no network is made for it."""

from __future__ import annotations

from .presets import preset


def cost(name: str, pixels: int, bands: int, task: str = "inpaint") -> float:
    """Multiply-adds of one full fit, for planning; an estimate within a factor of two."""
    chosen = preset(task, name)
    a, axes = chosen.architecture, chosen.dimensions
    taps, halved = 3**axes, 0.5**axes
    work = sum(
        taps * up * ((0 if a.join == "add" else skip) + 3 * down) / 2 * halved**level
        for level, (down, up, skip) in enumerate(zip(a.down, a.up, a.skip))
    )
    runs = bands if chosen.per_band or axes == 3 else 1
    return 3.0 * work * pixels * chosen.schedule.iterations * runs


def memory(name: str, pixels: int, bands: int, task: str = "inpaint") -> float:
    """Bytes that one fit keeps for its backward pass, for planning; an estimate within a factor of two."""
    chosen = preset(task, name)
    a, axes = chosen.architecture, chosen.dimensions
    halved = 0.5**axes

    def joined(skip: int, down: int) -> int:
        return down if a.join == "add" else skip + down

    # Of each convolution its padded input, its output and the normalised one are kept; gradients come on top.
    maps = sum(
        4 * (skip + 2 * down * halved + joined(skip, down) + up * (1 + a.pointwise_after_up)) * halved**level
        for level, (down, up, skip) in enumerate(zip(a.down, a.up, a.skip))
    )
    volume = pixels * (bands if axes == 3 else 1)
    return 4.0 * (maps * volume + 4.0 * pixels * (1 if chosen.per_band else bands))
