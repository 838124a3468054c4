"""The experts: one restorer a file, all with one signature.

An *expert* takes an observation and returns an estimate of the same shape ``(band, row, column)``, with
observed pixels as they are and every target pixel filled. The classical ones need no network.

Those that compute with torch are imported when they are wanted: it takes longer to load than a small scene to fill.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ...arrays import Cube
from ...imaging.observation import Observation
from ...runtime.progress import SILENT, ProgressReporter
from .guided import guided
from .kriging import kriging
from .laplace import biharmonic, harmonic
from .linear import linear
from .similar_pixels import similar

if TYPE_CHECKING:
    import torch

Expert = Callable[[Observation], Cube]

CLASSICAL: dict[str, Expert] = {
    "linear": linear,
    "harmonic": harmonic,
    "biharmonic": biharmonic,
    "kriging": kriging,
}
PLUG_AND_PLAY = ("plug_and_play", "plug_and_play_fine")  # they start from kriging
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
    progress: ProgressReporter = SILENT,
) -> Expert:
    """The expert called ``name``; the keywords matter to plug and play and to those with a network only.

    ``kriged``: the estimate of kriging, if it has run already.
    """
    if name in NUMPY:
        return NUMPY[name]
    if name in PLUG_AND_PLAY:
        from .plug_and_play import PATCHES, plug_and_play

        return partial(plug_and_play, groups=PATCHES[name], start=kriged, device=device, progress=progress)
    from .deep_prior import deep_prior

    return partial(
        deep_prior,
        name=name,
        seed=seed,
        device=device,
        network_input=network_input,
        iterations=iterations,
        progress=progress,
    )
