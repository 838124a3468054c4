"""Validation of super-resolution on the image's own coarser copy.

The input is made coarse once more by the same optics, enlarged again, and compared with the input itself, which
is the truth one scale up. That chooses the shares of the experts, scores them, and teaches the *error model*:
the error to expect at a pixel, by band and by local roughness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube, Mask
from ..imaging.psf import Psf, enlarge_bicubic
from ..imaging.resampling import fill_nearest
from ..imaging.simplex_weights import stacking_weights
from ..raster.band_selection import SelectedScene
from ..raster.guide import Guide
from ..raster.upsampled_scene import upsampled_window
from ..runtime.context import Context
from .experts import Setting, estimates, mixed, roughness
from .guide_fusion import coarse_guide
from .self_supervised import EXPERTS, GUIDED, learn

_BINS = 8
_FEWEST = 50  # compared pixels of a band for an error model of its own
_LEAST_SIDE = 4  # coarse pixels of a validation window
_USUAL = {"vectorial_tv": 0.5, "steered_ridge": 0.5}


@dataclass(frozen=True)
class ErrorModel:
    """RMSE by band in bins of roughness: bin centres and errors, both ``(band, bin)``, in the data's units."""

    centres: NDArray[np.float64]
    errors: NDArray[np.float64]

    def deviation(self, image: Cube, factor: int) -> Cube:
        """One standard deviation of the error at each pixel, ``(band, row, column)``."""
        rough = roughness(image, factor)
        out = np.empty(image.shape, np.float32)
        for band, (centres, errors) in enumerate(zip(self.centres, self.errors)):
            # A flat surface is enlarged without error; below the lowest bin the error falls with the roughness.
            out[band] = np.interp(rough[band], np.append(0.0, centres), np.append(0.0, errors))
        return out


@dataclass(frozen=True)
class BandScore:
    """What the validation found for one band, in the data's units; NaN where it was compared nowhere."""

    pixels: int
    rmse: float
    r2: float
    baseline_rmse: float
    within_one: float
    within_two: float


@dataclass(frozen=True)
class Trial:
    """``shares``: of the experts, summing to 1. ``scores``: RMSE of each in band deviations, the baseline's too.

    ``bands`` is empty where nothing could be compared. ``rmse`` and ``baseline_rmse``: over all bands.
    """

    shares: dict[str, float]
    errors: ErrorModel
    bands: tuple[BandScore, ...] = ()
    scores: dict[str, float] | None = None
    rmse: float = float("nan")
    baseline_rmse: float = float("nan")

    @property
    def r2(self) -> float:
        """The mean over bands."""
        known = [item.r2 for item in self.bands if np.isfinite(item.r2)]
        return float(np.mean(known)) if known else float("nan")


def windows_of(known: SelectedScene, factor: int, side: int, most: int) -> list[Window]:
    """At most ``most`` windows of about ``side`` pixels spread over the scene, whole multiples of the factor."""
    rows, columns = known.scene.grid.shape
    tall, wide = (min(side, size) // factor * factor for size in (rows, columns))
    if min(tall, wide) < _LEAST_SIDE * factor:
        return []
    across = max(1, int(np.sqrt(most)))
    tops = np.unique(np.linspace(0, rows - tall, 2 * across + 1).astype(int)[1::2])
    lefts = np.unique(np.linspace(0, columns - wide, 2 * across + 1).astype(int)[1::2])
    found = [Window(int(left), int(top), wide, tall) for top in tops for left in lefts]
    return [window for window in found if known.read(window)[1].any()][:most]


def validate(
    known: SelectedScene,
    names: Sequence[str],
    windows: Sequence[Window],
    setting: Setting,
    seed: int,
    context: Context,
    share: float = 0.5,
    guide: Guide | None = None,
) -> Trial:
    """Run the experts on the coarser copy of each window, choose their shares, and score the mixture.

    ``share``: of the time that is left, after which networks are stopped. ``guide``: on the fine grid, if the experts
    include `GUIDED`; shares are chosen where it shows something.
    """
    reserve = 0.0 if math.isinf(context.seconds_left) else (1 - share) * context.seconds_left
    optics, factor = setting.optics, setting.optics.factor

    def unfitted() -> None:
        context.warn(
            "The time budget was spent before the network could be validated: the errors shown are those of bicubic "
            "interpolation in accord with the input."
        )

    setting = replace(setting, unfitted=unfitted)
    pairs = [known.read(window) for window in windows]
    truths, copies = [truth for truth, _ in pairs], [_degrade(truth, seen, optics) for truth, seen in pairs]
    seens = [
        seen & np.repeat(np.repeat(coarse_seen, factor, axis=1), factor, axis=2)
        for (_, seen), (_, coarse_seen) in zip(pairs, copies)
    ]
    guides = [coarse_guide(guide.read(upsampled_window(window, factor)), optics) for window in windows] if guide else []
    if copies and any(name in EXPERTS for name in names):
        # What the coarser copy is enlarged with may have been learned from the coarser copy alone.
        setting = replace(setting, lessons=learn(copies, optics, guides=guides))
    found: list[list[Cube]] = []
    baselines = []
    for place, (coarse, coarse_seen) in enumerate(copies):
        step = f"Validating on the coarser image ({place + 1} of {len(copies)})"
        progress = context.reporter(step, keep_seconds=reserve).split(len(copies))[place]
        seen_guide = guides[place] if guides else None
        found.append(estimates(names, coarse, coarse_seen, setting, seed + place, progress, seen_guide))
        baselines.append(enlarge_bicubic(fill_nearest(coarse, coarse_seen), factor))
    bands = len(known.bands)
    if not any(seen.any() for seen in seens):
        flat = np.zeros((bands, 1))
        return Trial(unvalidated_shares(names), ErrorModel(flat, np.full((bands, 1), np.nan)))
    spread = np.array([_spread(truths, seens, band) for band in range(bands)])
    # Networks are dear, and those that learn one scale up have less to learn from there than here. Guides are not dear,
    # but one that gains next to nothing was lucky.
    dear = sorted((place for place, name in enumerate(names) if name not in EXPERTS), key=lambda p: names[p] != GUIDED)
    guided = [seen & np.isfinite(shown).all(axis=0) for seen, shown in zip(seens, guides)]
    judged = guided if any(seen.any() for seen in guided) else seens
    shares = dict(zip(names, stacking_weights(_errors(truths, judged, found, spread), dear)))
    final = [mixed(each, list(shares.values())) for each in found]
    errors = _learn(truths, seens, final, factor)
    scores = {name: _scaled(truths, seens, [each[n] for each in found], spread) for n, name in enumerate(names)}
    scores |= {"mixture": _scaled(truths, seens, final, spread)} if len(names) > 1 else {}
    scores["bicubic"] = _scaled(truths, seens, baselines, spread)
    scored = tuple(_score(truths, seens, final, baselines, errors, factor, band) for band in range(bands))
    return Trial(shares, errors, scored, scores, _rmse(truths, seens, final), _rmse(truths, seens, baselines))


def _degrade(truth: Cube, seen: Mask, optics: Psf) -> tuple[Cube, Mask]:
    """The coarser copy, and its pixels that cover observed ones only."""
    operator = optics.operator((truth.shape[1], truth.shape[2]))
    coarse = operator.apply(fill_nearest(truth, seen)).astype(np.float32)
    f = optics.factor
    whole = seen.reshape(len(seen), seen.shape[1] // f, f, seen.shape[2] // f, f).all(axis=(2, 4))
    return np.where(whole, coarse, np.float32(0)), np.asarray(whole)


def _spread(truths: Sequence[Cube], seens: Sequence[Mask], band: int) -> float:
    values = np.concatenate([truth[band][seen[band]] for truth, seen in zip(truths, seens)])
    return float(values.std()) or 1.0 if values.size else 1.0


def _squares(truths: Sequence[Cube], seens: Sequence[Mask], images: Sequence[NDArray]) -> NDArray[np.float64]:
    """Sum of squared errors and number of compared pixels by band, ``(2, band)``."""
    total = np.zeros((2, len(truths[0])))
    for truth, seen, image in zip(truths, seens, images):
        total[0] += np.where(seen, np.square(image.astype(np.float64) - truth), 0).sum(axis=(1, 2))
        total[1] += seen.sum(axis=(1, 2))
    return total


def _rmse(truths: Sequence[Cube], seens: Sequence[Mask], images: Sequence[NDArray]) -> float:
    squares, pixels = _squares(truths, seens, images).sum(axis=1)
    return float(np.sqrt(squares / pixels))


def _scaled(
    truths: Sequence[Cube], seens: Sequence[Mask], images: Sequence[NDArray], spread: NDArray[np.float64]
) -> float:
    """RMSE over all bands in standard deviations of each."""
    squares, pixels = _squares(truths, seens, images)
    return float(np.sqrt((squares / spread**2).sum() / pixels.sum()))


def unvalidated_shares(names: Sequence[str]) -> dict[str, float]:
    """Shares for want of a validation: those that are good on most images, and equal ones of other experts."""
    usual = {name: share for name, share in _USUAL.items() if name in names} or dict.fromkeys(names, 1.0)
    return {name: usual.get(name, 0.0) / sum(usual.values()) for name in names}


def _errors(
    truths: Sequence[Cube], seens: Sequence[Mask], found: Sequence[Sequence[Cube]], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean products of the experts' errors in band deviations, ``(expert, expert)``."""
    count = len(found[0])
    total, pixels = np.zeros((count, count)), 0
    for truth, seen, each in zip(truths, seens, found):
        for band, where in enumerate(seen):
            parts = [(image[band][where].astype(np.float64) - truth[band][where]) / spread[band] for image in each]
            errors = np.stack(parts)
            total += errors @ errors.T
            pixels += errors.shape[1]
    return total / max(pixels, 1)


def _learn(truths: Sequence[Cube], seens: Sequence[Mask], final: Sequence[Cube], factor: int) -> ErrorModel:
    """RMSE in bins of roughness that hold equally many pixels, never falling with roughness."""
    rough = [roughness(image, factor) for image in final]
    count = len(truths[0])
    centres, errors = np.zeros((count, _BINS)), np.zeros((count, _BINS))
    for band in range(count):
        where = np.concatenate([part[band][seen[band]] for part, seen in zip(rough, seens)])
        squares = np.concatenate(
            [
                np.square(image[band].astype(np.float64) - truth[band])[seen[band]]
                for image, truth, seen in zip(final, truths, seens)
            ]
        )
        if squares.size < _FEWEST:
            errors[band] = np.sqrt(squares.mean()) if squares.size else np.nan
            centres[band] = 0.0
            continue
        order = np.array_split(np.argsort(where, kind="stable"), _BINS)
        centres[band] = [where[part].mean() for part in order]
        errors[band] = np.maximum.accumulate([np.sqrt(squares[part].mean()) for part in order])
    return ErrorModel(centres, errors)


def _score(
    truths: Sequence[Cube],
    seens: Sequence[Mask],
    final: Sequence[Cube],
    baselines: Sequence[NDArray],
    errors: ErrorModel,
    factor: int,
    band: int,
) -> BandScore:
    one = replace(errors, centres=errors.centres[band : band + 1], errors=errors.errors[band : band + 1])

    def gather(images: Sequence[NDArray]) -> NDArray[np.float64]:
        return np.concatenate([image[seen[band]] for image, seen in zip(images, seens)]).astype(np.float64)

    truth = gather([cube[band] for cube in truths])
    if not truth.size:
        nan = float("nan")
        return BandScore(0, nan, nan, nan, nan, nan)
    error = gather([cube[band] for cube in final]) - truth
    base = gather([cube[band] for cube in baselines]) - truth
    deviation = gather([one.deviation(cube[band : band + 1], factor)[0] for cube in final])
    variation = float(np.square(truth - truth.mean()).sum())
    ratio = np.abs(error) / np.maximum(deviation, 1e-12)
    return BandScore(
        truth.size,
        float(np.sqrt(np.mean(error**2))),
        1 - float(np.square(error).sum()) / variation if variation > 0 else float("nan"),
        float(np.sqrt(np.mean(base**2))),
        float(np.mean(ratio <= 1)),
        float(np.mean(ratio <= 2)),
    )
