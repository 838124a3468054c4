"""Provenance: the metadata item DEEP_PRIOR (JSON) in each output file, which records how the file was made.

It holds the task, its parameters, the choices of the validation, and the versions. The same inputs, parameters,
versions and device give the same file again, unless a time budget ended the run early.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import rasterio

from .. import __version__

TAG_NAME = "DEEP_PRIOR"


def provenance(task: str, **facts: object) -> dict[str, str]:
    """The metadata item for an output of ``task``; ``facts``: parameters and choices, as JSON values."""
    versions = {
        "deep_prior": __version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "rasterio": rasterio.__version__,
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        versions["torch"] = torch.__version__
    return {TAG_NAME: json.dumps({"task": task, **facts, "versions": versions})}
