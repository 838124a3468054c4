"""The denoisers and the METHODs that combine them, one record each.

To add a denoiser, write a function with the signature of `denoiser.DenoiserFunction` and add its record here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from ..runtime.devices import resolve_device
from ..runtime.lazy_import import import_object
from .denoiser import DenoiserFunction


@dataclass(frozen=True)
class Denoiser:
    """What the package knows about a denoiser.

    ``label``: its name in reports. ``load``: ``module:function`` in this package; imported when the denoiser runs,
    because torch.nn is slow to load. ``on_eigen_images``: it works on eigen-images, otherwise on the bands.
    ``has_leverage``: it computes the leverage. ``fits_network``: it fits a network. ``published``: a paper's method,
    which gets the values as they are. ``max_pixels``: rows times columns of the largest scene for which a METHOD with
    several denoisers runs it, by device type; None: any size.
    """

    name: str
    label: str
    load: str
    on_eigen_images: bool = True
    has_leverage: bool = False
    fits_network: bool = False
    published: bool = False
    max_pixels: Mapping[str, int] | None = None

    def function(self) -> DenoiserFunction:
        """Import the denoiser."""
        return cast(DenoiserFunction, import_object(self.load, __package__))

    def is_affordable(self, pixels: int, device: str) -> bool:
        """Whether a METHOD with several denoisers runs this one on a scene of ``pixels`` rows times columns."""
        return self.max_pixels is None or pixels <= self.max_pixels[resolve_device(device).type]


DENOISERS = {
    record.name: record
    for record in (
        Denoiser("nl_ridge", "Non-local ridge", "nl_ridge:nl_ridge", has_leverage=True),
        Denoiser("nl_ridge_pair", "Non-local ridge, two patch sizes", "nl_ridge:nl_ridge_pair", has_leverage=True),
        Denoiser(
            "deep_prior",
            "Deep prior",
            "deep_prior:deep_prior",
            fits_network=True,
            # About ten seconds on two cores, and on a GPU.
            max_pixels={"cpu": 64 * 64, "mps": 512 * 512, "cuda": 2048 * 2048},
        ),
        Denoiser(
            "paper_2d",
            "Deep hyperspectral prior, 2-D (DHP paper)",
            "deep_prior:paper_2d",
            on_eigen_images=False,
            fits_network=True,
            published=True,
        ),
        Denoiser(
            "paper_3d",
            "Deep hyperspectral prior, 3-D (DHP paper)",
            "deep_prior:paper_3d",
            on_eigen_images=False,
            fits_network=True,
            published=True,
        ),
    )
}


@dataclass(frozen=True)
class DenoiseMethod:
    """A METHOD: one denoiser, or two that are weighted by validation.

    ``max_tile``: the largest automatic tile in pixels a side; None: as large as the memory of the networks allows.
    """

    name: str
    denoisers: tuple[str, ...]
    max_tile: int | None = None

    def __post_init__(self) -> None:
        if len(self.denoisers) not in (1, 2):
            raise ValueError(f"METHOD {self.name} has {len(self.denoisers)} denoisers: list one or two.")

    @property
    def on_eigen_images(self) -> bool:
        """Whether all denoisers work on eigen-images."""
        return all(DENOISERS[name].on_eigen_images for name in self.denoisers)

    @property
    def published(self) -> bool:
        """Whether the METHOD is a paper's."""
        return any(DENOISERS[name].published for name in self.denoisers)

    def select_denoisers(self, pixels: int, device: str) -> tuple[str, ...]:
        """The denoisers for a scene of ``pixels`` rows times columns; several: without those that are too slow."""
        if len(self.denoisers) == 1:
            return self.denoisers
        return tuple(name for name in self.denoisers if DENOISERS[name].is_affordable(pixels, device))


DENOISING_METHODS = {
    method.name: method
    for method in (
        DenoiseMethod("best", ("nl_ridge_pair", "deep_prior"), max_tile=1024),
        DenoiseMethod("fast", ("nl_ridge",), max_tile=1024),
        DenoiseMethod("deep_prior", ("deep_prior",), max_tile=512),
        DenoiseMethod("paper_2d", ("paper_2d",)),
        DenoiseMethod("paper_3d", ("paper_3d",)),
    )
}
