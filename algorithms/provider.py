"""The Processing provider "Deep Prior": its algorithms, and its option in the Processing settings."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..dip_core import __version__
from .algorithm import ICON
from .assessrestoration import AssessRestoration
from .denoisehsi import DenoiseHsi
from .detectstripes import DetectStripes
from .gapfillslcoff import GapFillSlcOff
from .inpaintstripes import InpaintStripes
from .settings import PYTHON_SETTING
from .setupengine import SetUpEngine
from .simulategaps import SimulateGaps
from .superresolve import SuperResolve
from .trainsuperresolver import TrainSuperResolver

ALGORITHMS = (
    GapFillSlcOff,
    DenoiseHsi,
    InpaintStripes,
    DetectStripes,
    SuperResolve,
    TrainSuperResolver,
    SimulateGaps,
    AssessRestoration,
    SetUpEngine,
)


class DeepPriorProvider(QgsProcessingProvider):
    """Provider ``deepprior``."""

    def id(self) -> str:
        """The provider's id, on which scripts and models depend."""
        return "deepprior"

    def name(self) -> str:
        """The name in the toolbox."""
        return "Deep Prior"

    def longName(self) -> str:
        """The name with the version."""
        return f"Deep Prior {__version__}"

    def versionInfo(self) -> str:
        """The plugin's version."""
        return __version__

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return QIcon(ICON)

    def svgIconPath(self) -> str:
        """Path of the plugin's icon."""
        return ICON

    def helpId(self) -> str:
        """The provider's id in QGIS's help URLs."""
        return "deepprior"

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """GeoTIFF only, because other formats lose metadata."""
        return ["tif", "tiff"]

    def defaultRasterFileExtension(self) -> str:
        """The default format, GeoTIFF."""
        return "tif"

    def supportsNonFileBasedOutput(self) -> bool:
        """False: the worker writes files."""
        return False

    def load(self) -> bool:
        """Add the plugin's option to the Processing settings, then the algorithms."""
        self._add_setting()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Remove the plugin's option."""
        try:
            from processing.core.ProcessingConfig import ProcessingConfig
        except ImportError:
            return
        if PYTHON_SETTING in ProcessingConfig.settings:
            ProcessingConfig.removeSetting(PYTHON_SETTING)

    def loadAlgorithms(self) -> None:
        """Add one object of each algorithm class."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def _add_setting(self) -> None:
        """Add the engine's Python to Settings > Options > Processing > Providers > Deep Prior."""
        try:
            from processing.core.ProcessingConfig import ProcessingConfig, Setting
        except ImportError:  # without QGIS's Processing plugin, the variable DEEP_PRIOR_PYTHON can still be set
            return
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        option = Setting(
            self.name(),
            PYTHON_SETTING,
            "Python of the restoration engine",
            "",
            valuetype=Setting.FILE,
            placeholder="Leave empty to use the engine that 'Set up the restoration engine' has built",
        )
        option.qname = PYTHON_SETTING
        ProcessingConfig.addSetting(option)
        ProcessingConfig.readSettings()
