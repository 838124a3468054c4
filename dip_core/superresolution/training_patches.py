"""Training patches: pairs of small images, cut from whole rasters.

A pair is a *fine* patch as it is stored and the *enlarged* patch at the same position: the raster downsampled by a
known degradation and enlarged to its size by bicubic interpolation. *Good* bands are those that are not flagged bad
(``bbl``) and contain data, as in denoising.

Source: CASCADE paper, section 4.1: 30,000 patches of 32 x 32 pixels at random positions; a Gaussian blur with a
standard deviation of 3 pixels, decimation by 2, 3 or 4, and bicubic interpolation.
"""

from __future__ import annotations

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
from ..runtime.memory import format_bands, require_memory
from ..runtime.progress import SILENT, ProgressReporter
from .model_file import band_difference
from .training_data import PatchPairs, TrainingData

PATCH_SIDE = 32
BLUR_SIGMA = 3.0  # fine pixels
MAX_PATCHES = 30_000
_BYTES_PER_PIXEL = 40.0  # memory of one band while its patches are cut
_MAX_BYTES = 2e9  # of all patches, fine and enlarged
_VALIDATION_SHARE = 0.1
_MAX_VALIDATION_PATCHES = 512  # enough for a stable score, and few enough for a short time budget


@dataclass(frozen=True)
class _Corners:
    """The upper left corners of one raster's patches, ``(patch, 2)``."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]


def cut_patches(
    scenes: Sequence[Scene],
    factor: int,
    rng: np.random.Generator,
    max_patches: int = MAX_PATCHES,
    progress: ProgressReporter = SILENT,
) -> TrainingData:
    """Cut at most ``max_patches`` pairs of the good bands of all scenes.

    The patches of about a tenth of each scene, at one of its ends, are for validation. Raises BandsDiffer if a scene
    has other bands than the first, TooSmall if no patch is left for training or validation.
    """
    good_bands = [list(select_bands(scene, Context()).bands) for scene in scenes]
    wavelengths = [_wavelengths(scene, bands) for scene, bands in zip(scenes, good_bands)]
    _check_equal_bands(scenes, good_bands, wavelengths)
    allowed = [_allowed_corners(_complete_pixels(scene, bands)) for scene, bands in zip(scenes, good_bands)]
    max_in_memory = int(_MAX_BYTES / (2 * 4 * max(1, len(good_bands[0])) * PATCH_SIDE**2))
    corners = _draw_corners(allowed, min(max_patches, max_in_memory), rng)
    if not any(len(drawn.training) for drawn in corners) or not any(len(drawn.validation) for drawn in corners):
        raise TooSmall(path=scenes[0].paths[0], size=f"{2 * PATCH_SIDE} x {PATCH_SIDE}")
    _require_memory(scenes, len(good_bands[0]), sum(len(own.training) + len(own.validation) for own in corners))
    parts = [
        _cut_scene(scene, bands, drawn, factor, part)
        for scene, bands, drawn, part in zip(scenes, good_bands, corners, progress.split(len(scenes)))
    ]
    arrays = [np.concatenate(same_kind) for same_kind in zip(*parts)]
    fine, enlarged, validation_fine, validation_enlarged = arrays
    scale = float(max(np.abs(fine).max(), np.abs(validation_fine).max())) or 1.0
    for array in arrays:
        array /= np.float32(scale)
    return TrainingData(
        PatchPairs(fine, enlarged), PatchPairs(validation_fine, validation_enlarged), wavelengths[0], scale
    )


def _require_memory(scenes: Sequence[Scene], bands: int, patches: int) -> None:
    """Raise OutOfMemory if the patches and one band of the largest raster exceed the available memory."""
    largest = max(scene.grid.width * scene.grid.height for scene in scenes)
    # Fine and enlarged patches, twice while those of all rasters are joined.
    needed = 2 * 2 * 4.0 * bands * PATCH_SIDE**2 * patches + _BYTES_PER_PIXEL * largest
    require_memory(
        needed,
        f"training on {patches} patches of {format_bands(bands)}",
        "Give rasters of fewer bands, or clip large ones.",
    )


def degrade_and_enlarge(image: NDArray, factor: int) -> NDArray[np.float64]:
    """An image ``(..., row, column)`` as the network gets it: downsampled as in the paper, and enlarged again."""
    rows, columns = image.shape[-2:]
    coarse = gaussian_decimation((rows, columns), factor, BLUR_SIGMA).apply(image)
    return bicubic_enlargement((coarse.shape[-2], coarse.shape[-1]), factor).apply(coarse)[..., :rows, :columns]


def _wavelengths(scene: Scene, bands: Sequence[int]) -> tuple[float | None, ...]:
    spectral_info = metadata.read_spectral_info(scene)
    return tuple(spectral_info[band].wavelength for band in bands)


def _check_equal_bands(
    scenes: Sequence[Scene], good_bands: Sequence[list[int]], wavelengths: Sequence[tuple[float | None, ...]]
) -> None:
    for scene, bands, own in zip(scenes, good_bands, wavelengths):
        difference = band_difference(len(good_bands[0]), wavelengths[0], len(bands), own)
        if difference:
            raise BandsDiffer(path=scene.paths[0], reason=difference)


def _complete_pixels(scene: Scene, bands: Sequence[int]) -> Mask:
    """Pixels with data in all bands, ``(row, column)``."""
    complete = np.ones(scene.grid.shape, bool)
    for window in scene.blocks():
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        complete[rows] = scene.valid(window, bands).all(axis=0)
    return complete


def _allowed_corners(complete: Mask) -> Mask:
    """True for the upper left corners of patches of complete pixels."""
    side = PATCH_SIDE
    if min(complete.shape) < side:
        return np.zeros((0, 0), bool)
    missing = np.pad(np.cumsum(np.cumsum(~complete, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    inside = missing[side:, side:] - missing[:-side, side:] - missing[side:, :-side] + missing[:-side, :-side]
    return inside == 0


def _draw_corners(allowed: Sequence[Mask], max_patches: int, rng: np.random.Generator) -> list[_Corners]:
    """Random corners in all scenes, in proportion to their allowed ones."""
    total = sum(int(np.count_nonzero(mask)) for mask in allowed)
    drawn = []
    for mask in allowed:
        corners = np.argwhere(mask)
        axis = 0 if mask.shape[0] >= mask.shape[1] else 1
        count = min(len(corners), max(1, max_patches * len(corners) // max(total, 1)))
        if not len(corners):
            drawn.append(_Corners(corners, corners))
            continue
        # The last tenth along the longer side is for validation; patches before it that overlap it are not used.
        positions = np.sort(corners[:, axis])
        tenth = int(positions[int((1 - _VALIDATION_SHARE) * (len(positions) - 1))])
        bound = max(tenth, int(positions[0]) + PATCH_SIDE)
        validation = corners[corners[:, axis] >= bound]
        training = corners[corners[:, axis] <= bound - PATCH_SIDE] if len(validation) else corners
        validation_count = max(1, min(int(count * _VALIDATION_SHARE), _MAX_VALIDATION_PATCHES // len(allowed)))
        drawn.append(_Corners(_choose(training, count, rng), _choose(validation, validation_count, rng)))
    return drawn


def _choose(corners: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return corners[rng.permutation(len(corners))[:count]]


def _cut_scene(
    scene: Scene, bands: Sequence[int], corners: _Corners, factor: int, progress: ProgressReporter
) -> tuple[Cube, Cube, Cube, Cube]:
    """Fine and enlarged patches of one scene, for training and for validation; one band is in memory at a time."""
    chosen = (corners.training, corners.training, corners.validation, corners.validation)
    arrays = [np.empty((len(corner), len(bands), PATCH_SIDE, PATCH_SIDE), np.float32) for corner in chosen]
    for index, band in enumerate(bands):
        plane = fill_nearest(scene.read(bands=[band]).astype(np.float32), scene.valid(bands=[band]))[0]
        if min(plane.shape) >= PATCH_SIDE:
            planes = (plane, degrade_and_enlarge(plane, factor)) * 2
            for source, corner, array in zip(planes, chosen, arrays):
                patches = sliding_window_view(source, (PATCH_SIDE, PATCH_SIDE))
                array[:, index] = patches[corner[:, 0], corner[:, 1]]
        progress.update((index + 1) / len(bands))
    return arrays[0], arrays[1], arrays[2], arrays[3]
