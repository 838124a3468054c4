"""Options of a denoising run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DenoiseOptions:
    """How to denoise.

    ``noise``: ``auto`` (clipped values are detected and handled), ``gaussian`` (no value is clipped) or ``mixed``
    (outliers are detected too). ``sigma``: noise level of every band in the data's units; None: estimated.
    ``device`` and ``threads``: as in a job. ``iterations``: of the networks; None: those of their presets.
    """

    method: str = "fast"
    noise: str = "auto"
    sigma: float | None = None
    device: str = "cpu"
    seed: int = 0
    threads: int = 0
    iterations: int | None = None
