"""Assigns gap masks to the bands of a scene: by the Landsat band in their names, else by their order.

Names of bands: `Landsat Collection 2 Level 1 and 2 data format control books` (USGS): ``B1``, ``SR_B1``, ``ST_B6``,
``B6_VCID_1``, ``GM_B1``; Collection 1: ``sr_band1``. Both gains (VCID) of band 6 of Landsat 7 have the same gaps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import BandCountMismatch, InvalidJob
from ..raster.mask_raster import file_stem
from ..raster.scene import Scene
from ..runtime.context import Context

_BAND = re.compile(r"(?<![a-z0-9])(?:b|band)[ _-]?0*([1-9]\d?a?)(?:[ _-]?vcid[ _-]?([12]))?(?![a-z0-9])", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)((?:19|20)\d{6})(?!\d)")
_GAINS_OF_BAND_6 = {"61": ("6", "1"), "62": ("6", "2")}  # Landsat 7 before the collections


@dataclass(frozen=True)
class BandName:
    """What a name says: the band's number, its gain (1 or 2, None unless named), the first date, and the name."""

    number: str
    gain: str | None
    date: str | None
    text: str

    def likeness(self, other: BandName) -> tuple[bool, bool, bool]:
        """How well another name of the same band fits; the best one is the largest."""
        return self.date is not None and self.date == other.date, self.gain == other.gain, other.gain != "2"


def parse_name(text: str) -> BandName | None:
    """The last band in a name, None without one."""
    found = _BAND.findall(text)
    if not found:
        return None
    number, gain = found[-1]
    number, gain = _GAINS_OF_BAND_6.get(number, (number.lower(), gain or None))
    date = _DATE.search(text)
    return BandName(number, gain, date.group(1) if date else None, text)


def parse_names(texts: Sequence[tuple[str, ...]]) -> list[BandName | None]:
    """What the texts of each band say: the first one that names a band, or the last one if it tells more apart."""
    first = [_first_name(candidates) for candidates in texts]
    if len(set(_identities(first))) == len(first):
        return first
    last = [_first_name(candidates[::-1]) for candidates in texts]
    return last if len(set(_identities(last))) > len(set(_identities(first))) else first


def texts_of_bands(scene: Scene) -> list[tuple[str, ...]]:
    """What names each band of a scene: the file's name, if it has one band, and the band's description."""
    files = [band.source for band in scene.bands]
    return [
        (*((file_stem(scene.paths[band.source]),) if files.count(band.source) == 1 else ()), band.description or "")
        for band in scene.bands
    ]


def assign_masks(scene: Scene, texts: Sequence[tuple[str, ...]], context: Context) -> list[int]:
    """The number (from 0) of the mask band for each band of the scene; one number if there is one mask band.

    ``texts``: what names each mask band. If all bands of the scene are named and all find a mask, names decide;
    otherwise the order. Masks of other bands are ignored. Raises BandCountMismatch, and InvalidJob if names and order
    contradict each other.
    """
    bands, masks = parse_names(texts_of_bands(scene)), parse_names(texts)
    if len(masks) == 1:
        if len(bands) == 1 and _contradict(bands[0], masks[0]):
            context.warn(f"The gap mask's name '{_text(masks[0])}' names another band than '{_text(bands[0])}'.")
        return [0]
    same_count = len(masks) == len(bands)
    if all(bands) and any(masks):
        found = [_best(band, masks) for band in bands if band]
        order = [number for number in found if number is not None]
        if len(order) == len(bands):
            _report(bands, masks, order, context)
            return order
        if order or not same_count:
            if not _in_order(bands, masks):
                missing = ", ".join(scene.names[number] for number, mask in enumerate(found) if mask is None)
                raise InvalidJob(
                    reason=f"The names of the gap masks ({_list(masks)}) do not say which one belongs to {missing}: "
                    "give one mask for all bands, or one per band whose name ends with the band, such as _B1."
                )
        elif not _in_order(bands, masks):
            context.warn(
                f"The gap masks' names ({_list(masks)}) are of other bands than the scene's ({_list(bands)}): "
                "the masks are used in the order given."
            )
    if not same_count:
        raise BandCountMismatch(found=len(masks), wanted=len(bands))
    for band, mask in zip(bands, masks):
        if _contradict(band, mask) and not (all(bands) and all(masks)):
            raise InvalidJob(
                reason=f"The names and the order of the gap masks contradict each other ('{_text(mask)}' is given for "
                f"'{_text(band)}'): name all masks and bands, such as _B1, or give the masks in the order of the bands."
            )
    return list(range(len(bands)))


def _best(band: BandName, masks: Sequence[BandName | None]) -> int | None:
    """The mask that fits a band best; None if no mask fits, or several fit equally well."""
    fitting = [number for number, mask in enumerate(masks) if mask and mask.number == band.number]
    if not fitting:
        return None
    likeness = {number: band.likeness(masks[number] or band) for number in fitting}
    best = [number for number in fitting if likeness[number] == max(likeness.values())]
    return best[0] if len(best) == 1 else None


def _report(
    bands: Sequence[BandName | None], masks: Sequence[BandName | None], order: Sequence[int], context: Context
) -> None:
    unused = [masks[number] for number in range(len(masks)) if number not in order]
    if unused:
        context.info(f"Gap masks that no band of the scene calls for are ignored: {_list(unused)}.")
    elif list(order) != sorted(order):
        pairs = ", ".join(f"{_label(masks[number])} for {_label(band)}" for band, number in zip(bands, order))
        context.warn(f"The gap masks are assigned by the bands in their names, not by their order: {pairs}.")


def _in_order(bands: Sequence[BandName | None], masks: Sequence[BandName | None]) -> bool:
    return len(bands) == len(masks) and not any(map(_contradict, bands, masks))


def _contradict(band: BandName | None, mask: BandName | None) -> bool:
    return band is not None and mask is not None and band.number != mask.number


def _first_name(texts: Sequence[str]) -> BandName | None:
    return next(filter(None, map(parse_name, texts)), None)


def _identities(names: Sequence[BandName | None]) -> list[object]:
    return [(name.number, name.gain, name.date) if name else None for name in names]


def _text(name: BandName | None) -> str:
    return name.text if name else "without a band"


def _label(name: BandName | None) -> str:
    return f"B{name.number}" + (f"_VCID_{name.gain}" if name.gain else "") if name else "no band"


def _list(names: Sequence[BandName | None]) -> str:
    return ", ".join(map(_label, names))
