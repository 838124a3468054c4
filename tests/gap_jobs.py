"""Small scenes with gaps, and what whole gap-fill jobs leave in their outputs; no tests here."""

from __future__ import annotations

import json
import re

import numpy as np
import rasterio
from core_scenes import slanted_gaps, write

SHAPE = (90, 110)
GAP = slanted_gaps(*SHAPE)
ONE_THREAD = {"seed": 1, "device": "cpu", "threads": 1}


def scene_with_gaps(path, values, gap=GAP, nodata=0, dtype="u1", **profile) -> str:
    """A raster of ``values`` ``(band, row, column)`` with nodata in the gaps."""
    rounded = np.rint(values) if np.dtype(dtype).kind != "f" else values
    return write(path, np.where(gap, nodata, rounded).astype(dtype), nodata=nodata, **profile)


def report_record(path) -> dict:
    """The record for programs in a report."""
    with open(path, encoding="utf-8") as file:
        return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', file.read(), re.S).group(1))


def provenance_of(path) -> dict:
    """The metadata item DEEP_PRIOR of an output."""
    with rasterio.open(path) as file:
        return json.loads(file.tags()["DEEP_PRIOR"])
