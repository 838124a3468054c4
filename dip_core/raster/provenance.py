"""*Provenance*: how a file was made, kept in the file itself as the metadata item DEEP_PRIOR (JSON).

It names the task, its parameters, what validation chose, and the versions: with them and the same inputs,
the same device gives the same file again, unless a time budget cut the run short.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import rasterio

from .. import __version__

TAG_NAME = "DEEP_PRIOR"


def provenance(task: str, **facts: object) -> dict[str, str]:
    """The metadata item for a file that ``task`` made; ``facts`` are parameters and choices."""
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
