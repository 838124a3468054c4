"""The experts: one restorer a file, all with one signature.

An *expert* takes an observation and returns an estimate of the same shape ``(band, row, column)``, with
observed pixels as they are and every target pixel filled. The classical ones need no network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from ..observation import Cube, Observation
from .deep_prior import deep_prior
from .guided import guided
from .kriging import kriging
from .laplace import biharmonic, harmonic
from .linear import linear
from .plug_and_play import PATCHES, plug_and_play
from .similar import similar

Expert = Callable[[Observation], Cube]

CLASSICAL: dict[str, Expert] = {
    "linear": linear,
    "harmonic": harmonic,
    "biharmonic": biharmonic,
    "kriging": kriging,
}
PLUG_AND_PLAY = tuple(PATCHES)  # they start from kriging
LEAN = "deep_prior"
FILLERS = (*CLASSICAL, *PLUG_AND_PLAY)  # all that need neither a network nor a guide
# The experts that stand for election where there is a guide, beside the classical ones.
GUIDED: dict[str, Expert] = {"guided": guided, "similar": similar}

NUMPY = CLASSICAL | GUIDED  # they need neither a device nor a seed


def expert(
    name: str,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    network_input: str = "noise",
    iterations: int | None = None,
    kriged: Cube | None = None,
    follow: Callable[[float], bool] = lambda fraction: True,
) -> Expert:
    """The expert called ``name``; the keywords matter to plug and play and to those with a network only.

    ``kriged``: the estimate of kriging, if it has run already.
    """
    if name in NUMPY:
        return NUMPY[name]
    if name in PATCHES:
        return partial(plug_and_play, groups=PATCHES[name], start=kriged, device=device, follow=follow)
    return partial(
        deep_prior,
        name=name,
        seed=seed,
        device=device,
        network_input=network_input,
        iterations=iterations,
        follow=follow,
    )
