"""The Processing provider: what the toolbox shows under "Deep Prior", and the plugin's option in the settings."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..dip_core import __version__
from .assessrestoration import AssessRestoration
from .base import ICON, PYTHON_SETTING
from .denoisehsi import DenoiseHsi
from .detectstripes import DetectStripes
from .gapfillslcoff import GapFillSlcOff
from .inpaintstripes import InpaintStripes
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
        """The fixed id, which scripts and models depend on."""
        return "deepprior"

    def name(self) -> str:
        """The short name."""
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
        """The plugin's icon, where QGIS wants a file."""
        return ICON

    def helpId(self) -> str:
        """The provider's name in help addresses."""
        return "deepprior"

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """GeoTIFF only: other formats lose metadata that this plugin promises to keep."""
        return ["tif", "tiff"]

    def defaultRasterFileExtension(self) -> str:
        """GeoTIFF."""
        return "tif"

    def supportsNonFileBasedOutput(self) -> bool:
        """The worker writes files."""
        return False

    def load(self) -> bool:
        """Add the plugin's option to the Processing settings, then the algorithms."""
        self._add_setting()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Take the option back."""
        try:
            from processing.core.ProcessingConfig import ProcessingConfig
        except ImportError:
            return
        if PYTHON_SETTING in ProcessingConfig.settings:
            ProcessingConfig.removeSetting(PYTHON_SETTING)

    def loadAlgorithms(self) -> None:
        """Add one new algorithm of each kind."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def _add_setting(self) -> None:
        """The engine's Python, under Settings > Options > Processing > Providers > Deep Prior."""
        try:
            from processing.core.ProcessingConfig import ProcessingConfig, Setting
        except ImportError:  # a QGIS without its Processing plugin still knows the variable DEEP_PRIOR_PYTHON
            return
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        option = Setting(
            self.name(),
            PYTHON_SETTING,
            "Python of the restoration engine",
            "",
            valuetype=Setting.FILE,
            placeholder="Leave blank for the engine that 'Set up the restoration engine' builds",
        )
        option.qname = PYTHON_SETTING
        ProcessingConfig.addSetting(option)
        ProcessingConfig.readSettings()
