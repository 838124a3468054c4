"""The bands of a scene that hold classes, beside its *measured* bands: their fill, its validation, and its windows.

Classes are filled for the whole scene at once (`class_fill`). The validation hides observed pixels in the shape of the
gaps and counts how many get their class back; the same pixels calibrate the probability that a filled class is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Mask
from ..raster.missing_values import equals_any
from ..raster.scene import Scene
from ..runtime.context import Context
from ..runtime.memory import require_scene_memory
from .class_fill import ClassEstimate, fill_classes
from .gap_mask import GapMask
from .holdout import draw_hidden_pixels
from .validation_windows import sample_windows

_WINDOW_SIDE, _WINDOWS = 512, 4  # of the validation, in pixels
_MIN_HIDDEN = 30
_BYTES_PER_VALUE, _BYTES_PER_PIXEL = 8.0, 64.0  # memory of codes and error rates, and of the search
_DOUBT_LIMITS = (1e-6, 0.25, 0.5)
_DISTANCE_LIMITS = (1.5, 3.5, 6.5)  # pixels
_PRIOR_PIXELS = 20.0  # weight of the coarser class in the error rate of a finer one


@dataclass(frozen=True)
class RestoredWindow:
    """A window of all bands, ``(band, row, column)``.

    ``pixels``: as stored; ``values``: the restored ones, used where ``writable``; ``deviation``: their uncertainty.
    """

    pixels: NDArray
    values: NDArray
    writable: Mask
    observed: Mask
    target: Mask
    deviation: NDArray


@dataclass(frozen=True)
class ClassScore:
    """Hidden pixels of one band, and the share of them that got their class back."""

    hidden: int
    right: float


@dataclass(frozen=True)
class ClassBands:
    """The bands ``numbers`` of ``scene``, which hold classes; ``gaps`` has all bands of the scene.

    ``codes``, ``error`` ``(row, column)``: of bands with target pixels, the filled band and the probability that a
    filled class is wrong. ``scores``: of the validated bands.
    """

    scene: Scene
    gaps: GapMask
    numbers: tuple[int, ...]
    codes: Mapping[int, NDArray] = field(default_factory=dict)
    error: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    scores: Mapping[int, ClassScore] = field(default_factory=dict)

    @property
    def measured(self) -> list[int]:
        """The numbers of the other bands."""
        return [number for number in range(self.scene.count) if number not in self.numbers]

    def add_to(self, window: Window, restored: RestoredWindow) -> RestoredWindow:
        """The window with all bands of the scene; ``restored``: that of the measured bands."""
        pixels = self.scene.read(window)
        observed, target = self.gaps.window(window)
        out = RestoredWindow(
            pixels, pixels.copy(), np.zeros_like(target), observed, target, np.zeros(pixels.shape, np.float32)
        )
        measured = self.measured
        out.values[measured] = restored.values
        out.writable[measured] = restored.writable
        out.deviation[measured] = restored.deviation
        for number, codes in self.codes.items():
            out.writable[number] = target[number]
            out.values[number] = codes[window.toslices()]
            out.deviation[number] = self.error[number][window.toslices()]
        return out


def fill_class_bands(scene: Scene, gaps: GapMask, seed: int, context: Context) -> ClassBands | None:
    """The bands of a scene that hold classes, filled and validated; None if there are none."""
    if not scene.categorical:
        return None
    rows, columns = scene.grid.shape
    require_scene_memory((len(scene.categorical), rows, columns), _BYTES_PER_VALUE, _BYTES_PER_PIXEL, "filling classes")
    codes: dict[int, NDArray] = {}
    error: dict[int, NDArray[np.float32]] = {}
    scores: dict[int, ClassScore] = {}
    for number in sorted(scene.categorical):
        observed, target = (mask[0 if len(mask) == 1 else number] for mask in (gaps.observed, gaps.target))
        if not target.any():
            continue
        values = scene.read(bands=[number])[0]
        voters = observed & ~equals_any(values, scene.missing_values)  # a filled pixel must not look missing
        observed = voters if voters.any() else observed
        hidden, wrong = _hold_out(values, observed, target, np.random.default_rng([seed, 4, number]))
        estimate = fill_classes(values, observed, target)
        values[target] = estimate.codes
        codes[number], error[number] = values, np.zeros(values.shape, np.float32)
        error[number][target] = estimate.doubt
        if len(wrong) >= _MIN_HIDDEN:
            scores[number] = ClassScore(len(wrong), float(1.0 - wrong.mean()))
            error[number][target] = _error_rate(hidden, wrong, estimate)
            context.info(
                f"{scene.names[number]}: {100 * scores[number].right:.1f} % of {len(wrong)} hidden pixels got their "
                "class back."
            )
    return ClassBands(scene, gaps, tuple(sorted(scene.categorical)), codes, error, scores)


def _hold_out(
    values: NDArray, observed: Mask, target: Mask, rng: np.random.Generator
) -> tuple[ClassEstimate, NDArray[np.bool_]]:
    """The estimates of hidden pixels, and which of them are wrong."""
    parts: list[ClassEstimate] = []
    wrong: list[NDArray[np.bool_]] = [np.zeros(0, bool)]
    for window in sample_windows(observed, target, _WINDOW_SIDE, _WINDOWS, rng):
        cut = window.toslices()
        hidden = draw_hidden_pixels(observed[cut][None], target[cut][None], rng)[0]
        visible = observed[cut] & ~hidden
        if hidden.any() and visible.any():
            parts.append(fill_classes(values[cut], visible, hidden))
            wrong.append(parts[-1].codes != values[cut][hidden])
    joined = {item.name: _join([getattr(part, item.name) for part in parts]) for item in fields(ClassEstimate)}
    return ClassEstimate(**joined), np.concatenate(wrong)


def _error_rate(hidden: ClassEstimate, wrong: NDArray[np.bool_], estimate: ClassEstimate) -> NDArray[np.float32]:
    """The share of wrong classes among hidden pixels with a similar doubt and distance, for each filled pixel."""
    distances = len(_DISTANCE_LIMITS) + 1

    def place(of: ClassEstimate) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        doubt = np.searchsorted(_DOUBT_LIMITS, of.doubt)
        return doubt, doubt * distances + np.searchsorted(_DISTANCE_LIMITS, of.distance)

    coarse, fine = place(hidden)
    by_doubt = _shrunken_means(coarse, wrong, np.full(len(_DOUBT_LIMITS) + 1, wrong.mean()))
    return _shrunken_means(fine, wrong, np.repeat(by_doubt, distances))[place(estimate)[1]].astype(np.float32)


def _shrunken_means(
    group: NDArray[np.intp], values: NDArray[np.bool_], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The mean of each group, drawn towards its prior where the group is small."""
    count = np.bincount(group, minlength=len(prior))
    total = np.bincount(group, weights=values, minlength=len(prior))
    return (total + _PRIOR_PIXELS * prior) / (count + _PRIOR_PIXELS)


def _join(arrays: Sequence[NDArray]) -> NDArray:
    return np.concatenate(arrays) if arrays else np.zeros(0)
