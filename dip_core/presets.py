"""The papers' settings, by name, and our own lean ones.

``paper_composite`` and ``paper_per_band`` are the GAP paper's appendix A.1: input of 4 channels of uniform
noise in 0 to 1/10 or a mesh grid, 128 channels and skips of 128 at five levels, 3 x 3 convolutions (1 x 1
in the skips), nearest upsampling, input perturbation 1/10, Adam with learning rate 0.01, 1500 iterations,
the last output.
"""

from __future__ import annotations

from dataclasses import dataclass

from .fitting import Schedule
from .networks.hourglass import Architecture


@dataclass(frozen=True)
class Preset:
    """A network, how it is fitted, and how bands and input are arranged.

    ``inputs``: channels of uniform noise in 0..0.1. ``per_band``: one network a band. ``unit_scale``: the
    data are scaled to 0..1 by band, as the papers do; else they stay standardised.
    """

    architecture: Architecture
    schedule: Schedule
    inputs: int
    per_band: bool = False
    unit_scale: bool = True


_GAP = Architecture()

PRESETS: dict[str, Preset] = {
    "paper_composite": Preset(_GAP, Schedule(iterations=1500), inputs=4),
    "paper_per_band": Preset(_GAP, Schedule(iterations=1500), inputs=4, per_band=True),
    "deep_prior": Preset(
        Architecture(down=(32,) * 4, up=(32,) * 4, skip=(32,) * 4, upsample="bilinear", sigmoid=False),
        Schedule(iterations=600, perturbation=0.03, average=0.98, patience=150, reduced_precision=True),
        inputs=16,
        unit_scale=False,
    ),
}
