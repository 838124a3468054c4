"""A small inpainting problem and a small preset for the tests of the papers' benchmark."""

from __future__ import annotations

import numpy as np

from benchmarks.papers.protocols import Problem
from dip_core.dip.architecture import Architecture
from dip_core.dip.presets import Preset, Schedule

SHAPE = (3, 16, 20)


def striped_problem() -> Problem:
    """Three bands with a hidden stripe."""
    clean = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    observed = np.ones(SHAPE, bool)
    observed[:, :, 5:8] = False
    return Problem("inpaint", clean, np.where(observed, clean, np.float32(0)), observed)


def small_preset(iterations: int, **schedule) -> Preset:
    """A network with one level."""
    return Preset(Architecture(down=(4,), up=(4,), skip=(2,)), Schedule(iterations, **schedule), scaling="global")
