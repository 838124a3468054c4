"""A view of some bands of an open scene, which has their grid, type and nodata value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .scene import Scene


class BandsView(Scene):
    """The bands ``numbers`` (from 0) of a scene; closing the view does not close the scene."""

    def __init__(self, scene: Scene, numbers: Sequence[int]) -> None:
        self.__dict__.update(scene.__dict__)
        self.bands = [scene.bands[number] for number in numbers]
        self.numbers = tuple(numbers)
        self.categorical = frozenset(place for place, number in enumerate(numbers) if number in scene.categorical)
        self._original = scene

    def close(self) -> None:
        """Leave the original scene open."""

    @property
    def names(self) -> list[str]:
        """As `Scene.names`, with the numbers of the original scene."""
        return [self._original.names[number] for number in self.numbers]

    @property
    def nodata(self) -> float | None:
        """That of the original scene."""
        return self._original.nodata

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray:
        """As `Scene.read`."""
        return self._original.read(window, self._numbers(bands))

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """As `Scene.valid`."""
        return self._original.valid(window, self._numbers(bands))

    def declared_valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """As `Scene.declared_valid`."""
        return self._original.declared_valid(window, self._numbers(bands))

    def _numbers(self, bands: Sequence[int] | None) -> list[int]:
        return list(self.numbers if bands is None else [self.numbers[band] for band in bands])
