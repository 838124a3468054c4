"""Which pixels are *observed*, which are to be filled (*target*), and which are neither.

The *footprint* is the area that the sensor saw. Missing pixels outside it are the scene's *exterior* and
are no gap, unless the user asks for them. A gap mask names the gaps itself; then missing pixels that it
does not name (clouds that somebody masked, say) stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from ..errors import BandCountMismatch, GridMismatch, NothingObserved
from ..raster.grid import grid_of
from ..raster.scene import Scene
from ..raster.source import open_raster
from ..runtime.context import Context

Mask = NDArray[np.bool_]

FILL_VALUE = "fill value 0"  # the origin of gaps in a raster that marks none

# Half of the widest gap that counts as one although it opens to the exterior, in pixels. SLC-off wedges
# reach 14 pixels; mosaics at a finer grid have wider ones.
FOOTPRINT_REACH = 24
_LANDSAT_BAND = re.compile(r"_B(\d+)(?:_VCID_(\d))?(?=[._]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Gaps:
    """Observed and target pixels of a whole scene, ``(band, row, column)``; one band where all agree."""

    observed: Mask
    target: Mask
    bands: int
    origin: str
    exterior_pixels: int = 0
    dead_bands: tuple[int, ...] = field(default=())

    def window(self, window: Window | None = None) -> tuple[Mask, Mask]:
        """Observed and target pixels of a window, with all bands (read-only views)."""
        rows, columns = (slice(None), slice(None)) if window is None else window.toslices()
        shape = (self.bands, *self.observed[0, rows, columns].shape)
        cut = (slice(None), rows, columns)
        return np.broadcast_to(self.observed[cut], shape), np.broadcast_to(self.target[cut], shape)

    @property
    def target_any(self) -> Mask:
        """``(row, column)``: True where any band is to be filled."""
        return np.any(self.target, axis=0)

    @property
    def target_pixels(self) -> int:
        """Number of pixels with at least one band to fill."""
        return int(np.count_nonzero(self.target_any))


def find_gaps(
    scene: Scene,
    masks: Sequence[str] = (),
    polarity: str = "auto",
    fill_exterior: bool = False,
    context: Context | None = None,
) -> Gaps:
    """Sort the scene's pixels into observed, target and neither.

    Without ``masks`` the scene's nodata, masks, alpha and NaN mark what is missing; where it has none,
    the fill value 0 does. Raises NothingObserved, GridMismatch, BandCountMismatch, UnreadableRaster.
    """
    context = context or Context()
    if _alpha_holds_data(scene):
        context.warn(
            f"The alpha band of '{scene.paths[0]}' seems to hold data, but it is taken for transparency and not "
            "filled. If it is a data band, set its colour interpretation to 'undefined' first."
        )
    valid = valid_pixels(scene)
    for text in scene.notes:
        context.warn(text)
    if masks:
        named, origin = _masked_gaps(scene, masks, polarity, valid)
        observed = valid & ~named
        candidates = named
    elif not scene.zero_is_fill():
        observed, origin = valid, "nodata and masks"
        candidates = ~valid
    else:
        zeros = _fill_value_gaps(scene)
        observed = valid & ~zeros
        candidates, origin = ~observed, FILL_VALUE
        if zeros.any():
            context.warn("No nodata value and no gap mask: connected pixels of value 0 are taken as gaps.")
    del valid
    dead = tuple(int(number) for number in np.flatnonzero(~observed.any(axis=(1, 2))))
    if len(dead) == scene.count:
        raise NothingObserved(path=scene.paths[0], reason=f"by its {origin} every pixel is missing")
    for number in dead:
        context.warn(f"{scene.names[number]} has no observed pixel and passes through unchanged.")
    exterior = 0
    if fill_exterior:
        target = candidates.copy()
    else:
        inside = footprint(np.any(observed, axis=0))
        target = candidates & inside
        exterior = int(np.count_nonzero(~inside))
    target[list(dead)] = False
    if _all_bands_agree(observed) and _all_bands_agree(target):
        observed, target = observed[:1], target[:1]
    return Gaps(observed, target, scene.count, origin, exterior, dead)


def valid_pixels(scene: Scene) -> Mask:
    """The valid pixels of the whole scene, ``(band, row, column)``."""
    valid = np.empty(scene.shape, bool)
    for window in scene.blocks():
        valid[:, window.toslices()[0]] = scene.valid(window)
    return valid


def footprint(observed: Mask, reach: int = FOOTPRINT_REACH) -> Mask:
    """The area seen by the sensor, ``(row, column)``, from the pixels that any band observed.

    A morphological closing with a square of ``2 reach + 1`` pixels closes gaps that open to the exterior
    and leaves convex outlines, rotated ones too, as they are; holes belong to the footprint whatever
    their size. A strip along the raster's border that is no deeper than the gaps inside is a gap too,
    cut by the border.
    """
    closed = _erode(_dilate(np.pad(observed, reach), reach), reach)[reach:-reach, reach:-reach] | observed
    labels, count = ndimage.label(~closed)
    if count == 0:
        return closed
    borders = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.isin(labels, borders[borders > 0])
    inside = ~outside
    depth = _depth(inside & ~observed, reach)
    if depth:
        thick = labels[_erode(outside, min(2 * depth, reach), beyond=True)]
        strips = np.setdiff1d(borders[borders > 0], np.unique(thick))
        inside |= np.isin(labels, strips)
    return inside


def _alpha_holds_data(scene: Scene) -> bool:
    """True where most alpha values are neither transparent nor opaque: a fourth band is easily mistagged."""
    if not scene.has_alpha():
        return False
    between = 0
    for window in scene.blocks():
        alpha = scene.read_alpha(window)
        if alpha is not None and alpha.dtype.kind != "f":
            between += int(np.count_nonzero((alpha > 0) & (alpha < np.iinfo(alpha.dtype).max)))
    return between > scene.grid.width * scene.grid.height / 2


def _masked_gaps(scene: Scene, masks: Sequence[str], polarity: str, valid: Mask) -> tuple[Mask, str]:
    zero, names = _zero_pixels(scene, masks)
    order = _pairing(scene, names)
    if zero.shape[0] > 1 and order != sorted(order):
        zero = zero[order]
    if polarity == "auto":
        polarity = _detect_polarity(scene, zero, valid)
    named = zero if polarity == "zero_is_gap" else ~zero
    words = "0 = missing" if polarity == "zero_is_gap" else "not 0 = missing"
    return np.broadcast_to(named, scene.shape), f"gap mask ({words})"


def _zero_pixels(scene: Scene, masks: Sequence[str]) -> tuple[Mask, list[str]]:
    """Zero pixels of all mask bands, ``(mask band, row, column)``, and the file name of each."""
    layers, names = [], []
    for path in masks:
        with open_raster(path) as source:
            difference = scene.grid.difference(grid_of(source))
            if difference:
                raise GridMismatch(path=path, reference=scene.paths[0], reason=difference)
            layers.append(source.read() == 0)
            names.extend([path] * source.count)
    zero = np.concatenate(layers)
    if zero.shape[0] not in (1, scene.count):
        raise BandCountMismatch(found=zero.shape[0], wanted=scene.count)
    return zero, names


def _pairing(scene: Scene, names: Sequence[str]) -> list[int]:
    """Mask order by the Landsat band numbers in the file names where both sides have them, else as given."""
    mask_keys = [_LANDSAT_BAND.findall(name) for name in names]
    band_keys = [_LANDSAT_BAND.findall(f"{band.description or ''}") for band in scene.bands]
    if all(mask_keys) and all(band_keys):
        place = {keys[-1]: number for number, keys in enumerate(mask_keys)}
        wanted = [keys[-1] for keys in band_keys]
        if len(place) == len(wanted) and all(key in place for key in wanted):
            return [place[key] for key in wanted]
    return list(range(len(names)))


def _detect_polarity(scene: Scene, zero: Mask, valid: Mask) -> str:
    """Zero or not zero marks the gaps: the side on which the scene itself holds fill.

    Where the scene holds no fill at all, gaps are taken to be the smaller side (SLC-off: at most 42 %).
    """
    on_zero = on_other = zeros = others = 0
    for window in scene.blocks():
        rows = window.toslices()[0]
        fill = ~valid[:, rows] | (scene.read(window) == 0)
        here = np.broadcast_to(zero[:, rows], fill.shape)
        on_zero += np.count_nonzero(fill & here)
        on_other += np.count_nonzero(fill & ~here)
        zeros += np.count_nonzero(here)
        others += np.count_nonzero(~here)
    share_zero, share_other = on_zero / max(zeros, 1), on_other / max(others, 1)
    if abs(share_zero - share_other) > 0.05:
        return "zero_is_gap" if share_zero > share_other else "nonzero_is_gap"
    return "zero_is_gap" if zero.mean() <= 0.5 else "nonzero_is_gap"


def _fill_value_gaps(scene: Scene) -> Mask:
    """Zero pixels that hang together with a pixel that is zero in every band: fill, not a dark pixel."""
    zeros = np.concatenate([scene.read(window) == 0 for window in scene.blocks()], axis=1)
    seeds = zeros.all(axis=0)
    if not seeds.any():
        return np.zeros_like(zeros)
    for number in range(scene.count):
        labels, _ = ndimage.label(zeros[number], structure=np.ones((3, 3)))
        kept = np.zeros(labels.max() + 1, bool)
        kept[np.unique(labels[seeds])] = True
        kept[0] = False
        zeros[number] = kept[labels]
    return zeros


def _all_bands_agree(masks: Mask) -> bool:
    return all(np.array_equal(masks[0], masks[number]) for number in range(1, len(masks)))


def _dilate(mask: Mask, reach: int) -> Mask:
    out = mask.astype(np.uint8)
    for axis in (0, 1):
        out = ndimage.maximum_filter1d(out, 2 * reach + 1, axis=axis, mode="constant", cval=0)
    return out > 0


def _erode(mask: Mask, reach: int, beyond: bool = False) -> Mask:
    out = mask.astype(np.uint8)
    for axis in (0, 1):
        out = ndimage.minimum_filter1d(out, 2 * reach + 1, axis=axis, mode="constant", cval=int(beyond))
    return out > 0


def _depth(mask: Mask, most: int) -> int:
    """The smallest erosion that empties the mask, in pixels, at most ``most``; 0 for an empty mask."""
    if not mask.any():
        return 0
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _erode(mask, middle).any() else (low, middle)
    return high
