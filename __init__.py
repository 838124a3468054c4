"""Deep Prior: repairs a raster from the raster itself. The repository's root is the QGIS plugin."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # the name that QGIS looks for
    """The plugin; imported only now, so that the core's tests need no QGIS. ``iface`` is None in qgis_process."""
    from .plugin import DeepPriorPlugin

    return DeepPriorPlugin(iface)
