"""Provenance: the DEEP_PRIOR item of an output."""

from __future__ import annotations

import json

from dip_core import __version__
from dip_core.raster.provenance import provenance


def test_it_holds_task_facts_and_versions():
    (name, text), *more = provenance("denoise", seed=3, sigma=None).items()
    record = json.loads(text)
    assert name == "DEEP_PRIOR" and not more
    assert (record["task"], record["seed"], record["sigma"]) == ("denoise", 3, None)
    assert record["versions"]["deep_prior"] == __version__
    assert {"python", "numpy", "rasterio"} <= set(record["versions"])
