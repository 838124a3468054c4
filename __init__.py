"""Deep Prior repairs a raster from the raster itself. The repository's root is the folder of the QGIS plugin."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # QGIS calls it by this name
    """The plugin; it is imported here, so that the tests of the core need no QGIS."""
    from .plugin import DeepPriorPlugin

    return DeepPriorPlugin(iface)
