"""The provider and the plugin in QGIS: they load without the engine's libraries, and unload completely."""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.qgis

ROOT = Path(__file__).resolve().parents[2]
CONTRACT_MODULES = {
    "errors",
    "events",
    "job",
    "job_fields",
    "job_record",
    "output_paths",
    "raster_names",
    "run_folders",
    "restoration_jobs",
    "temporary_files",
}


def algorithm(name):
    from qgis.core import QgsApplication

    return QgsApplication.processingRegistry().createAlgorithmById(f"deepprior:{name}")


def test_without_an_engine_the_message_says_what_to_do(provider, monkeypatch, tmp_path):
    monkeypatch.delenv("DEEP_PRIOR_PYTHON", raising=False)
    monkeypatch.setenv("DEEP_PRIOR_HOME", str(tmp_path))
    good, message = algorithm("gapfillslcoff").canExecute()
    assert not good
    assert message.endswith("Run 'Set up the restoration engine' from the Processing Toolbox.")
    assert algorithm("setupengine").canExecute()[0]


def test_setting_has_priority(provider, monkeypatch, tmp_path):
    from qgis.core import QgsSettings

    monkeypatch.setenv("DEEP_PRIOR_PYTHON", sys.executable)
    QgsSettings().setValue("deep_prior/python", str(tmp_path / "gone"))
    try:
        good, message = algorithm("simulategaps").canExecute()
    finally:
        QgsSettings().remove("deep_prior/python")
    assert not good and "setting" in message and "gone" in message
    assert algorithm("simulategaps").canExecute()[0]


def test_setting_is_in_the_processing_options(provider):
    from processing.core.ProcessingConfig import ProcessingConfig
    from qgis.core import QgsSettings

    try:
        ProcessingConfig.setSettingValue("deep_prior/python", sys.executable)
        assert QgsSettings().value("deep_prior/python") == sys.executable
    finally:
        ProcessingConfig.setSettingValue("deep_prior/python", "")
        QgsSettings().remove("deep_prior/python")


def test_loading_imports_only_the_contract_modules_of_the_core(provider):
    loaded = {name.split(".", 2)[2] for name in sys.modules if name.startswith("deep_prior.dip_core.")}
    assert loaded == CONTRACT_MODULES


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "algorithms").glob("*.py")), ROOT / "plugin.py"], ids=lambda p: p.name
)
def test_no_file_of_the_qgis_side_imports_the_engines_libraries(path):
    """Torch or rasterio inside QGIS can crash it. The source is checked, so that lazy imports are found too."""
    foreign = {"torch", "rasterio", "skimage", "scipy", "matplotlib", "dask", "distributed", "PyQt5", "PyQt6"}
    core = {"dip_core", *(f"dip_core.{name}" for name in CONTRACT_MODULES)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & foreign
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.module.split(".")[0] not in foreign
            assert not node.module.startswith("dip_core") or node.module in core


def test_unload_removes_the_provider(qgis_app, qgis_processing):
    from deep_prior import classFactory
    from qgis.core import QgsApplication

    registry = QgsApplication.processingRegistry()
    assert registry.providerById("deepprior") is None
    plugin = classFactory(None)
    plugin.initProcessing()
    assert registry.providerById("deepprior") is not None
    plugin.unload()
    assert registry.providerById("deepprior") is None


def test_menu_opens_the_dialogs_and_is_removed(qgis_app, qgis_processing, qgis_iface):
    from unittest.mock import MagicMock

    from deep_prior.plugin import DeepPriorPlugin

    iface = MagicMock()
    iface.mainWindow.return_value = None
    plugin = DeepPriorPlugin(iface)
    plugin.initGui()
    actions = [call.args[1] for call in iface.addPluginToRasterMenu.call_args_list]
    assert [action.text() for action in actions] == ["Gap-fill SLC-off…", "Set up the restoration engine…"]
    plugin.unload()
    assert iface.removePluginRasterMenu.call_count == 2


def test_metadata_has_what_the_plugin_repository_requires():
    file = configparser.ConfigParser()
    file.read(ROOT / "metadata.txt", encoding="utf-8")
    general = file["general"]
    keys = [
        "name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker", "repository",
        "homepage",
    ]  # fmt: skip
    assert [key for key in keys if not general.get(key)] == []
    assert (general["qgisMinimumVersion"], general["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert general["hasProcessingProvider"] == "yes"
    assert "/" not in general["author"]
    assert (ROOT / general["icon"]).suffix == ".png" and (ROOT / general["icon"]).exists()
    assert "EXTERNAL DEPENDENCIES" in general["about"] and "supportsQt6" not in general

    from deep_prior.dip_core import __version__

    assert general["version"] == __version__
