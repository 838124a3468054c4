"""The plugin as QGIS loads it: registers the Processing provider, and adds a menu to the desktop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication

from .algorithms.provider import DeepPriorProvider

MENU = "Deep Prior"
ICON = str(Path(__file__).parent / "resources" / "icon.svg")
MENU_ACTIONS = (
    ("Gap-fill SLC-off…", "deepprior:gapfillslcoff"),
    ("Set up the restoration engine…", "deepprior:setupengine"),
)


class DeepPriorPlugin:
    """Exists as long as the plugin is enabled. ``iface`` is QGIS's interface, None in qgis_process."""

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: DeepPriorProvider | None = None
        self.actions: list[Any] = []

    def initProcessing(self) -> None:
        """Register the provider; the only method that qgis_process calls."""
        provider = DeepPriorProvider()
        if QgsApplication.processingRegistry().addProvider(provider):
            self.provider = provider

    def initGui(self) -> None:
        """Register the provider and add the menu."""
        self.initProcessing()
        for text, algorithm in MENU_ACTIONS:
            self._add_action(text, algorithm)

    def unload(self) -> None:
        """Remove the menu and the provider."""
        for action in self.actions:
            self.iface.removePluginRasterMenu(MENU, action)
        self.actions.clear()
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

    def _add_action(self, text: str, algorithm: str) -> None:
        from qgis.PyQt.QtGui import QIcon

        try:
            from qgis.PyQt.QtGui import QAction  # Qt 6
        except ImportError:
            from qgis.PyQt.QtWidgets import QAction
        action = QAction(QIcon(ICON), text, self.iface.mainWindow())
        action.triggered.connect(lambda: self._open_dialog(algorithm))
        self.iface.addPluginToRasterMenu(MENU, action)
        self.actions.append(action)

    @staticmethod
    def _open_dialog(algorithm: str) -> None:
        from qgis import processing

        dialog = processing.createAlgorithmDialog(algorithm, {})
        if dialog is not None:
            dialog.show()
