"""*Patches*: pairs of small images that a super-resolver learns from, cut from whole rasters.

A pair is a *fine* patch as it is stored and its *enlarged* one: the raster made coarse by a known degradation,
brought back to its size by bicubic interpolation, and cut at the same place. *Good* bands are those that are not
flagged bad (``bbl``) and hold data, as in denoising.

Source: the CASCADE paper, section 4.1: patches of 32 x 32 pixels at random places, 30,000 in all; a Gaussian blur
with a standard deviation of 3 pixels, decimation by 2, 3 or 4, and bicubic interpolation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..errors import BandsDiffer, TooSmall
from ..imaging.degradation import bicubic_enlargement, gaussian_decimation
from ..imaging.resampling import fill_nearest
from ..raster import metadata
from ..raster.band_selection import select_bands
from ..raster.scene import Scene
from ..runtime.context import Context
from ..runtime.progress import SILENT, ProgressReporter
from .model_file import same_bands

SIZE = 32
BLUR = 3.0  # standard deviation in fine pixels
MOST = 30_000
_MOST_BYTES = 2e9  # of all patches, fine and enlarged
_VALIDATION_SHARE = 0.1
_MOST_VALIDATION = 512  # enough for a stable score, and few enough for a short time budget


@dataclass(frozen=True)
class Pairs:
    """Fine and enlarged patches, ``(patch, band, row, column)``, divided by the training rasters' scale."""

    fine: Cube
    enlarged: Cube

    def __len__(self) -> int:
        return len(self.fine)


@dataclass(frozen=True)
class Material:
    """What there is to learn from: training and validation pairs that share no pixel, and what they were cut from.

    ``wavelengths``: of the good bands, in micrometres. ``scale``: the highest absolute value of all rasters.
    """

    training: Pairs
    validation: Pairs
    wavelengths: tuple[float | None, ...]
    scale: float

    @property
    def bands(self) -> int:
        """Number of good bands."""
        return self.training.fine.shape[1]

    def fingerprint(self) -> str:
        """A digest of all fine patches: equal for equal data."""
        digest = hashlib.sha256()
        for pairs in (self.training, self.validation):
            for patch in pairs.fine:
                digest.update(patch.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class _Places:
    """The upper left corners of one raster's patches, ``(patch, 2)``."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]


def cut(
    scenes: Sequence[Scene],
    factor: int,
    rng: np.random.Generator,
    most: int = MOST,
    progress: ProgressReporter = SILENT,
) -> Material:
    """Cut at most ``most`` pairs of the good bands of all scenes.

    The patches of a part of each scene, about a tenth at one of its ends, are kept for validation. Raises BandsDiffer
    where the scenes have other bands than the first, TooSmall where nothing is left to learn or to validate from.
    """
    chosen = [list(select_bands(scene, Context()).bands) for scene in scenes]
    waves = [_wavelengths(scene, numbers) for scene, numbers in zip(scenes, chosen)]
    _need_equal_bands(scenes, chosen, waves)
    corners = [_corners(_complete(scene, numbers)) for scene, numbers in zip(scenes, chosen)]
    room = int(_MOST_BYTES / (2 * 4 * max(1, len(chosen[0])) * SIZE**2))
    places = _draw(corners, min(most, room), rng)
    if not any(len(place.training) for place in places) or not any(len(place.validation) for place in places):
        raise TooSmall(path=scenes[0].paths[0], size=f"{2 * SIZE} x {SIZE}")
    parts = [
        _cut_scene(scene, numbers, place, factor, part)
        for scene, numbers, place, part in zip(scenes, chosen, places, progress.split(len(scenes)))
    ]
    fine, enlarged, fine_held, enlarged_held = (np.concatenate(arrays) for arrays in zip(*parts))
    scale = float(max(np.abs(fine).max(), np.abs(fine_held).max())) or 1.0
    for array in (fine, enlarged, fine_held, enlarged_held):
        array /= np.float32(scale)
    return Material(Pairs(fine, enlarged), Pairs(fine_held, enlarged_held), waves[0], scale)


def _wavelengths(scene: Scene, numbers: Sequence[int]) -> tuple[float | None, ...]:
    known = metadata.read_spectral_info(scene)
    return tuple(known[number].wavelength for number in numbers)


def _need_equal_bands(
    scenes: Sequence[Scene], chosen: Sequence[list[int]], waves: Sequence[tuple[float | None, ...]]
) -> None:
    for scene, numbers, wave in zip(scenes, chosen, waves):
        difference = same_bands(len(chosen[0]), waves[0], len(numbers), wave)
        if difference:
            raise BandsDiffer(path=scene.paths[0], reason=difference)


def _complete(scene: Scene, numbers: Sequence[int]) -> Mask:
    """Pixels that are valid in all good bands, ``(row, column)``; those of fill are not (`Scene.zero_is_fill`)."""
    complete = np.ones(scene.grid.shape, bool)
    for window in scene.blocks():
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        complete[rows] = scene.valid(window, numbers).all(axis=0)
        if scene.zero_is_fill():
            complete[rows] &= (scene.read(window, numbers) != 0).any(axis=0)
    return complete


def _corners(complete: Mask) -> Mask:
    """True where the upper left corner of a patch of complete pixels may lie."""
    if min(complete.shape) < SIZE:
        return np.zeros((0, 0), bool)
    missing = np.pad(np.cumsum(np.cumsum(~complete, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    inside = missing[SIZE:, SIZE:] - missing[:-SIZE, SIZE:] - missing[SIZE:, :-SIZE] + missing[:-SIZE, :-SIZE]
    return inside == 0


def _draw(corners: Sequence[Mask], most: int, rng: np.random.Generator) -> list[_Places]:
    """Random places of all scenes, each scene with its share of them."""
    total = sum(int(np.count_nonzero(mask)) for mask in corners)
    found = []
    for mask in corners:
        places = np.argwhere(mask)
        axis = 0 if mask.shape[0] >= mask.shape[1] else 1
        wanted = min(len(places), max(1, most * len(places) // max(total, 1)))
        if not len(places):
            found.append(_Places(places, places))
            continue
        # The last tenth along the longer side is held out, less the patches before it that would overlap it.
        ordered = np.sort(places[:, axis])
        bound = max(int(ordered[int((1 - _VALIDATION_SHARE) * (len(ordered) - 1))]), int(ordered[0]) + SIZE)
        held = places[places[:, axis] >= bound]
        learnt = places[places[:, axis] <= bound - SIZE] if len(held) else places
        few = max(1, min(int(wanted * _VALIDATION_SHARE), _MOST_VALIDATION // len(corners)))
        found.append(_Places(_some(learnt, wanted, rng), _some(held, few, rng)))
    return found


def _some(places: NDArray[np.int64], wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return places[rng.permutation(len(places))[:wanted]]


def _cut_scene(
    scene: Scene, numbers: Sequence[int], places: _Places, factor: int, progress: ProgressReporter
) -> tuple[Cube, Cube, Cube, Cube]:
    """Fine and enlarged patches of one scene, for training and for validation; one band in memory at a time."""
    count = len(numbers)
    arrays = [
        np.empty((len(chosen), count, SIZE, SIZE), np.float32)
        for chosen in (places.training, places.validation)
        for _ in range(2)
    ]
    for band, number in enumerate(numbers):
        plane = fill_nearest(scene.read(bands=[number]).astype(np.float32), scene.valid(bands=[number]))[0]
        if min(plane.shape) >= SIZE:
            soft = enlarged(plane, factor)
            for place, array in enumerate(arrays):
                chosen = (places.training, places.validation)[place // 2]
                cuts = sliding_window_view((plane, soft)[place % 2], (SIZE, SIZE))
                array[:, band] = cuts[chosen[:, 0], chosen[:, 1]]
        progress.update((band + 1) / count)
    return arrays[0], arrays[1], arrays[2], arrays[3]


def enlarged(plane: NDArray, factor: int) -> NDArray[np.float64]:
    """An image ``(..., row, column)`` as the network sees it: made coarse as in the paper, and brought back to size."""
    rows, columns = plane.shape[-2:]
    coarse = gaussian_decimation((rows, columns), factor, BLUR).apply(plane)
    return bicubic_enlargement((coarse.shape[-2], coarse.shape[-1]), factor).apply(coarse)[..., :rows, :columns]
