"""Finds the bands of a scene that hold classes (codes): their values must not be averaged, predicted or compared.

A band of integers holds classes if it has a colour table, category names, an attribute table with class names, or
CF flag meanings, or if its name is that of a classification or a quality band. A colour table that is a ramp only
shades measurements, so it makes no classes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask
from ..runtime.context import Context
from .scene import Scene, join_names

_NAMES = re.compile(
    r"\b(b?qa(\d+)?|summary ?qa|detailed ?qa|scl|radsat|fmask\d*|class(es)?|classification|classified|lulc"
    r"|land ?(cover|use)|lc type ?\d*)\b"
)
# Measurements about classes or quality: the uncertainty of Landsat's surface temperature, probabilities.
_MEASUREMENTS = re.compile(
    r"\bst qa\b|\b(prob(a|ability|abilities)?|confidence|score|uncertainty|error|fraction|percent(age)?|density"
    r"|distance|opacity|count|std)\b"
)
_MAX_CODES = 1024  # distinct values of a band of classes that is known by its name alone
_FEW_CODES = 64  # a band with more of them is made of areas of one class
_MIN_EQUAL_NEIGHBOURS = 0.5
_MAX_SIMILAR_NEIGHBOURS = 0.5  # share with small differences among different neighbours; measurements have more
_SMALL_DIFFERENCE = 2
_MIN_RAMP_VALUES = 24  # distinct values that are shaded by a ramp
_MIN_RAMP_ENTRIES = 128  # colours besides black, of a table; a table of classes has one for each class
_MAX_RAMP_STEP = 24  # median difference of the colours of neighbouring values, of 255
_MAX_TABLE = 1 << 16


def mark_categories(scene: Scene, context: Context) -> None:
    """Set ``scene.categorical`` and report to ``context`` which bands hold classes, and why."""
    found = find_categories(scene, context)
    scene.categorical = frozenset(found)
    if not found:
        return
    names = [f"{_label(scene, number)} ({reason})" for number, reason in sorted(found.items())]
    listed = join_names(names)
    context.warn(
        f"{'This band holds' if len(names) == 1 else 'These bands hold'} classes, not measurements: {listed}. Classes "
        "are filled with the nearest class or copied, never averaged, and other bands are not predicted from them. To "
        "treat values as measurements, remove the mark of classes that is given in brackets, for example by renaming "
        "the band."
    )


def find_categories(scene: Scene, context: Context | None = None) -> dict[int, str]:
    """The numbers (from 0) of the bands that hold classes, with the reason in words.

    ``context`` receives the bands that have the marks of classes and are treated as measurements.
    """
    found: dict[int, str] = {}
    for number, band in enumerate(scene.bands):
        if np.dtype(band.dtype).kind not in "iu":
            continue
        reason = _stated_reason(scene, number)
        if reason:
            found[number] = reason
            continue
        table = scene.colormap(number)
        if table:
            values = _Values(scene, number)
            if _is_ramp(table, values.distinct):
                if context:
                    context.info(
                        f"The colour table of {_label(scene, number)} is a colour ramp: its values are treated as "
                        "measurements, not as classes."
                    )
            else:
                found[number] = "colour table"
                continue
        name = _matching_name(_names(scene, number))
        if name:
            values = _Values(scene, number)
            if values.look_like_codes:
                found[number] = f"named '{name}'"
            elif context:
                context.info(
                    f"{_label(scene, number)} is named '{name}' but has too many different values for classes: they "
                    "are treated as measurements."
                )
    return found


class _Values:
    """The distinct valid values of a band, and how many neighbours in a row have equal or similar values."""

    def __init__(self, scene: Scene, number: int) -> None:
        distinct: NDArray = np.zeros(0, scene.bands[number].dtype)
        equal = similar = pairs = 0
        for window in scene.blocks(bands=1):
            values, valid = scene.read(window, [number])[0], scene.valid(window, [number])[0]
            distinct = np.union1d(distinct, values[valid])
            both: Mask = valid[:, 1:] & valid[:, :-1]
            difference = np.abs(values[:, 1:].astype(np.float64) - values[:, :-1])[both]
            equal += int(np.count_nonzero(difference == 0))
            similar += int(np.count_nonzero((difference > 0) & (difference <= _SMALL_DIFFERENCE)))
            pairs += difference.size
            if len(distinct) > _MAX_TABLE:
                break
        self.distinct = distinct
        self.equal_neighbours = equal / max(pairs, 1)
        self.similar_neighbours = similar / max(pairs - equal, 1)

    @property
    def look_like_codes(self) -> bool:
        """Whether the values can be classes: few of them, or areas of equal values."""
        count = len(self.distinct)
        in_areas = self.equal_neighbours >= _MIN_EQUAL_NEIGHBOURS
        return count <= _FEW_CODES or (
            count <= _MAX_CODES and in_areas and self.similar_neighbours <= _MAX_SIMILAR_NEIGHBOURS
        )


def _stated_reason(scene: Scene, number: int) -> str | None:
    """What in the file states that the band holds classes."""
    if scene.class_names(number):
        return "class names"
    if any("flag_meanings" in items for items in scene.bands[number].tags.values()):
        return "flag meanings"
    return None


def _is_ramp(table: dict[int, tuple[int, ...]], values: NDArray) -> bool:
    """Whether a colour table shades measurements: it is grey by value, or its colours change gradually."""
    colours = np.array([table.get(int(value), (0, 0, 0))[:3] for value in values], np.int64).reshape(-1, 3)
    if not len(colours):
        return False
    if (colours == np.asarray(values, np.int64)[:, None]).all():
        return True
    entries = sum(any(colour[:3]) for colour in table.values())
    if len(values) < _MIN_RAMP_VALUES or entries < _MIN_RAMP_ENTRIES:
        return False
    steps = np.abs(np.diff(colours, axis=0)).max(axis=1)
    return bool(np.median(steps) <= _MAX_RAMP_STEP)


def _names(scene: Scene, number: int) -> list[str]:
    """The texts that name a band: its description, its netCDF variable, and the file if it is the only band."""
    band = scene.bands[number]
    names = [band.description, *(items.get("NETCDF_VARNAME") for items in band.tags.values())]
    if sum(other.source == band.source for other in scene.bands) == 1:
        names.append(os.path.basename(scene.paths[band.source]).split(".")[0])
    return [name for name in names if name]


def _matching_name(names: Iterable[str]) -> str | None:
    """The first name that is one of classes."""
    for name in names:
        words = " ".join(re.findall(r"[A-Za-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))).lower()
        if _NAMES.search(words) and not _MEASUREMENTS.search(words):
            return name
    return None


def _label(scene: Scene, number: int) -> str:
    return scene.bands[number].name(number + 1)
