"""Layouts of quality bands: which codes mean fill, cloud, dilated cloud, cirrus, shadow and snow.

Sources: USGS, Landsat Collection 2 and Collection 1 quality assessment bands (QA_PIXEL, BQA, pixel_qa); ESA, Sentinel-2
Level-2A scene classification; Zhu and Woodcock 2012 (Fmask: 0 land, 1 water, 2 shadow, 3 snow, 4 cloud, 255 fill);
python-fmask (0 fill, 1 clear, 2 cloud, 3 shadow, 4 snow, 5 water); NASA, Harmonized Landsat Sentinel-2 version 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask

_ALL_BITS = 32


@dataclass(frozen=True)
class Field:
    """A class is named if the ``width`` bits from bit ``first`` on have one of these ``values``."""

    first: int
    width: int
    values: tuple[int, ...]

    def matches(self, codes: NDArray[np.int64]) -> Mask:
        """True for the codes that match."""
        return np.isin((codes >> self.first) & ((1 << self.width) - 1), self.values)


@dataclass(frozen=True)
class Layout:
    """One kind of quality band: ``fields`` by class name; ``kind`` as in QA_KIND.

    ``clear``: codes of observed pixels that are in no class, for layouts that define them.
    """

    kind: str
    title: str
    fields: Mapping[str, Field]
    clear: tuple[int, ...] = ()

    def named(self, name: str, codes: NDArray) -> Mask:
        """True for the codes of class ``name``; nowhere if the layout does not have it. A fill code has no class."""
        codes = codes.astype(np.int64)
        if name not in self.fields:
            return np.zeros(codes.shape, bool)
        return self.fields[name].matches(codes) & ((name == "fill") | ~self.fields["fill"].matches(codes))

    def is_observed_code(self, code: float | None) -> bool:
        """Whether a code is one of an observed pixel, so that it cannot mean nodata as well."""
        if code is None or code != int(code):
            return False
        one = np.array([int(code)])
        return int(code) in self.clear or any(self.named(name, one)[0] for name in self.fields if name != "fill")


def _bit(number: int) -> Field:
    return Field(number, 1, (1,))


def _high(first: int) -> Field:
    """A confidence of two bits, if it is high."""
    return Field(first, 2, (3,))


def _codes(*values: int) -> Field:
    return Field(0, _ALL_BITS, values)


QA_PIXEL = Layout(
    "landsat_c2",
    "Landsat Collection 2 QA_PIXEL",
    {
        "fill": _bit(0),
        "cloud": _bit(3),
        "dilated_cloud": _bit(1),
        "cirrus": _bit(2),
        "shadow": _bit(4),
        "snow": _bit(5),
    },
)
BQA = Layout(
    "landsat_c1",
    "Landsat Collection 1 BQA",
    {"fill": _bit(0), "cloud": _bit(4), "cirrus": _high(11), "shadow": _high(7), "snow": _high(9)},
)
PIXEL_QA = Layout(
    "landsat_c1",
    "Landsat Collection 1 pixel_qa",
    {"fill": _bit(0), "cloud": _bit(5), "cirrus": _high(8), "shadow": _bit(3), "snow": _bit(4)},
)
SCL = Layout(
    "sentinel2_scl",
    "Sentinel-2 SCL",
    {
        "fill": _codes(0, 1),  # 1: saturated or defective
        "cloud": _codes(8, 9),
        "cirrus": _codes(10),
        "shadow": _codes(3),
        "snow": _codes(11),
    },
    (2, 4, 5, 6, 7),
)
FMASK = Layout(
    "fmask",
    "Fmask",
    {"fill": _codes(255), "cloud": _codes(4), "shadow": _codes(2), "snow": _codes(3)},
    (0, 1),
)
PYTHON_FMASK = Layout(
    "fmask",
    "python-fmask",
    {"fill": _codes(0), "cloud": _codes(2), "shadow": _codes(3), "snow": _codes(4)},
    (1, 5),
)
HLS_FMASK = Layout(
    "fmask",
    "HLS Fmask",
    {
        "fill": _codes(255),
        "cloud": _bit(1),
        "dilated_cloud": _bit(2),
        "cirrus": _bit(0),
        "shadow": _bit(3),
        "snow": _bit(4),
    },
    (0, 32, 64, 96, 128, 160, 192, 224),
)
LAYOUTS = (QA_PIXEL, BQA, PIXEL_QA, SCL, FMASK, PYTHON_FMASK, HLS_FMASK)
