"""Provenance: the metadata item DEEP_PRIOR (JSON) in each output file, which records how the file was made.

It holds the task, its parameters, the choices of the validation, and the versions. The same inputs, parameters,
versions and device give the same file again, unless a time budget ended the run early. A warning about the result is
also an item of its own, which people see in the properties of a layer.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import rasterio

from .. import __version__

TAG_NAME = "DEEP_PRIOR"
WARNING_TAG_NAME = "DEEP_PRIOR_WARNING"


def provenance(task: str, warning: str | None = None, **facts: object) -> dict[str, str]:
    """The metadata items for an output of ``task``; ``facts``: parameters and choices, as JSON values.

    ``warning``: that the result is not usable, and why.
    """
    versions = {
        "deep_prior": __version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "rasterio": rasterio.__version__,
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        versions["torch"] = torch.__version__
    if warning:
        facts["warning"] = warning
    items = {TAG_NAME: json.dumps({"task": task, **facts, "versions": versions})}
    return items | ({WARNING_TAG_NAME: warning} if warning else {})
