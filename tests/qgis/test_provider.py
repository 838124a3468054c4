"""The provider as QGIS meets it: it loads without the engine's libraries, and its interface is the contract."""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.qgis

ROOT = Path(__file__).resolve().parents[2]

RESTORER = ["METHOD", "DEVICE", "TIME_BUDGET", "SEED", "TILE_SIZE", "OVERLAP", "SCHEDULER"]
RESTORER_OUTPUTS = ["OUTPUT", "UNCERTAINTY", "FILLED", "REPORT", "METRICS"]
NUMBERS = ["HELDOUT_RMSE", "HELDOUT_R2", "BASELINE_RMSE", "PIXELS_CHANGED", "PIXELS_LEFT"]
QUALITY = ["RMSE", "BIAS", "R2", "PEARSON_R2", "PSNR", "MPSNR", "MSSIM", "SAM", "ERGAS"]

# Scripts and models depend on these names: a change here breaks them.
CONTRACT = {
    "gapfillslcoff": (
        ["INPUT", "BANDS", "GAP_MASK", "GUIDE", *RESTORER, "MASK_POLARITY", "NETWORK_INPUT", "FILL_EXTERIOR"],
        [*RESTORER_OUTPUTS, *NUMBERS],
    ),
    "denoisehsi": (["INPUT", *RESTORER, "NOISE", "SIGMA"], [*RESTORER_OUTPUTS, *NUMBERS]),
    "inpaintstripes": (["INPUT", "MASK", "CORRECT_OFFSETS", *RESTORER], [*RESTORER_OUTPUTS, *NUMBERS]),
    "detectstripes": (["INPUT"], ["OUTPUT", "METRICS", "REPORT", "STRIPED_BANDS", "DEAD_LINES", "OFFSET_LINES"]),
    "superresolve": (
        ["INPUT", "FACTOR", "PSF", "PSF_SIGMA", "GUIDE", "METHOD", "MODEL", *RESTORER[1:]],
        [*RESTORER_OUTPUTS, *NUMBERS],
    ),
    "trainsuperresolver": (
        ["INPUTS", "FACTOR", "DEVICE", "TIME_BUDGET", "SEED"],
        ["MODEL", "PSNR", "BICUBIC_PSNR", "SAM", "BICUBIC_SAM"],
    ),
    "simulategaps": (["INPUT", "SWATH_FROM", "SWATH_TO", "PERCENTAGE", "SEED"], ["OUTPUT", "MASK"]),
    "assessrestoration": (["RESTORED", "REFERENCE", "MASK"], ["REPORT", "METRICS", *QUALITY]),
    "setupengine": (["ACTION", "COMPUTE", "PYTHON"], ["LOG", "REPORT", "DIAGNOSTICS", "ENGINE_PYTHON"]),
}
REQUIRED = {
    "gapfillslcoff": {"INPUT"},
    "denoisehsi": {"INPUT"},
    "inpaintstripes": {"INPUT"},
    "detectstripes": {"INPUT"},
    "superresolve": {"INPUT"},
    "trainsuperresolver": {"INPUTS"},
    "simulategaps": {"INPUT"},
    "assessrestoration": {"RESTORED", "REFERENCE"},
    "setupengine": set(),
}


def algorithm(name):
    from qgis.core import QgsApplication

    found = QgsApplication.processingRegistry().createAlgorithmById(f"deepprior:{name}")
    assert found is not None
    return found


def test_provider_has_exactly_the_algorithms_of_the_contract(provider):
    assert provider.id() == "deepprior" and provider.name() == "Deep Prior"
    assert {found.name() for found in provider.algorithms()} == set(CONTRACT)
    assert provider.supportedOutputRasterLayerExtensions()[0] == "tif"
    assert not provider.icon().isNull() and Path(provider.svgIconPath()).exists()


@pytest.mark.parametrize("name", CONTRACT)
def test_parameters_and_outputs_are_the_contract(provider, name):
    found = algorithm(name)
    inputs = [d.name() for d in found.parameterDefinitions() if not d.isDestination()]
    assert inputs == CONTRACT[name][0]
    assert [d.name() for d in found.outputDefinitions()] == CONTRACT[name][1]


@pytest.mark.parametrize("name", CONTRACT)
def test_defaults_are_enough(provider, name):
    """What has no default must be given: only the input rasters."""
    from qgis.core import QgsProcessingParameterDefinition

    optional = QgsProcessingParameterDefinition.Flag.FlagOptional
    found = algorithm(name)  # its parameters live no longer than itself
    needed = {
        d.name()
        for d in found.parameterDefinitions()
        if not d.isDestination() and not d.flags() & optional and d.defaultValue() is None
    }
    assert needed == REQUIRED[name]


def test_choices_are_words_and_the_documented_ones(provider):
    found = algorithm("gapfillslcoff")
    methods = found.parameterDefinition("METHOD")
    assert methods.usesStaticStrings()
    assert methods.options() == ["best", "fast", "deep_prior", "paper_composite", "paper_per_band"]
    assert methods.defaultValue() == "best"
    assert found.parameterDefinition("MASK_POLARITY").options() == ["auto", "zero_is_gap", "nonzero_is_gap"]
    assert found.parameterDefinition("FILL_EXTERIOR").defaultValue() is False


def test_super_resolution_offers_the_papers_factors_and_kernels(provider):
    found = algorithm("superresolve")
    assert found.parameterDefinition("FACTOR").options() == ["2", "3", "4"]
    assert found.parameterDefinition("PSF").options() == ["bicubic", "gaussian", "lanczos"]
    methods = found.parameterDefinition("METHOD")
    assert methods.options() == ["best", "fast", "deep_prior", "paper_2d", "paper_3d", "paper_cascade"]
    assert methods.defaultValue() == "best"
    sigma = found.parameterDefinition("PSF_SIGMA")
    assert sigma.flags() & sigma.Flag.FlagAdvanced


@pytest.mark.parametrize("name", CONTRACT)
def test_texts_help(provider, name):
    found = algorithm(name)
    assert found.shortDescription().endswith(".")
    assert len(found.shortHelpString()) > 200 and "\n" not in found.shortHelpString()
    assert found.helpUrl().startswith("https://github.com/deep-prior/deep-prior")
    assert found.tags() and found.group()
    without = [d.name() for d in found.parameterDefinitions() if not d.help()]
    assert without == []


@pytest.mark.parametrize("name", CONTRACT)
def test_help_button_leads_to_a_section_that_explains_everything(provider, name):
    found = algorithm(name)
    page, anchor = found.helpUrl().split("#")
    guide = (ROOT / "docs" / page.rsplit("/", 1)[1]).read_text(encoding="utf-8")
    sections = {text.split("\n")[0].lower().replace(" ", "-"): text for text in guide.split("\n## ")[1:]}
    inputs, outputs = CONTRACT[name]
    missing = [word for word in (*inputs, *outputs) if f"`{word}`" not in sections[anchor]]
    assert missing == []


@pytest.mark.parametrize("name", CONTRACT)
def test_batch_and_cancel_are_possible_off_the_main_thread(provider, name):
    from qgis.core import QgsProcessingAlgorithm

    flags = algorithm(name).flags()
    assert flags & QgsProcessingAlgorithm.Flag.FlagSupportsBatch
    assert flags & QgsProcessingAlgorithm.Flag.FlagCanCancel
    assert not flags & QgsProcessingAlgorithm.Flag.FlagNoThreading


def test_optional_outputs_are_made_only_on_demand(provider):
    found = algorithm("gapfillslcoff")
    for definition in found.destinationParameterDefinitions():
        assert definition.createByDefault() is (definition.name() == "OUTPUT")


def test_without_an_engine_it_says_the_one_thing_to_do(provider, monkeypatch, tmp_path):
    monkeypatch.delenv("DEEP_PRIOR_PYTHON", raising=False)
    monkeypatch.setenv("DEEP_PRIOR_HOME", str(tmp_path))
    good, message = algorithm("gapfillslcoff").canExecute()
    assert not good
    assert message.endswith("Run 'Set up the restoration engine' from the Processing Toolbox.")
    assert algorithm("setupengine").canExecute()[0]


def test_setting_comes_first(provider, monkeypatch, tmp_path):
    from qgis.core import QgsSettings

    monkeypatch.setenv("DEEP_PRIOR_PYTHON", sys.executable)
    QgsSettings().setValue("deep_prior/python", str(tmp_path / "gone"))
    try:
        good, message = algorithm("simulategaps").canExecute()
    finally:
        QgsSettings().remove("deep_prior/python")
    assert not good and "setting" in message and "gone" in message
    assert algorithm("simulategaps").canExecute()[0]


def test_setting_is_offered_in_the_processing_options(provider):
    from processing.core.ProcessingConfig import ProcessingConfig
    from qgis.core import QgsSettings

    try:
        ProcessingConfig.setSettingValue("deep_prior/python", sys.executable)
        assert QgsSettings().value("deep_prior/python") == sys.executable
    finally:
        ProcessingConfig.setSettingValue("deep_prior/python", "")
        QgsSettings().remove("deep_prior/python")


def test_loading_brings_in_only_the_contract_modules_of_the_core(provider):
    loaded = {name.split(".", 2)[2] for name in sys.modules if name.startswith("deep_prior.dip_core.")}
    assert loaded == {"errors", "events", "job"}


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "algorithms").glob("*.py")), ROOT / "plugin.py"], ids=lambda p: p.name
)
def test_no_file_of_the_qgis_side_imports_the_engines_libraries(path):
    """Torch or rasterio inside QGIS can crash it, so this is read from the source: a lazy import would hide."""
    foreign = {"torch", "rasterio", "skimage", "scipy", "matplotlib", "dask", "distributed", "PyQt5", "PyQt6"}
    core = {"dip_core", "dip_core.job", "dip_core.job_fields", "dip_core.events", "dip_core.errors"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & foreign
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.module.split(".")[0] not in foreign
            assert not node.module.startswith("dip_core") or node.module in core


def test_unload_takes_everything_back(qgis_app, qgis_processing):
    from deep_prior import classFactory
    from qgis.core import QgsApplication

    registry = QgsApplication.processingRegistry()
    had = registry.providerById("deepprior") is not None
    assert not had
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
        "name",
        "description",
        "version",
        "qgisMinimumVersion",
        "author",
        "email",
        "about",
        "tracker",
        "repository",
        "homepage",
    ]
    assert [key for key in keys if not general.get(key)] == []
    assert (general["qgisMinimumVersion"], general["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert general["hasProcessingProvider"] == "yes"
    assert "/" not in general["author"]
    assert (ROOT / general["icon"]).suffix == ".png" and (ROOT / general["icon"]).exists()
    assert "EXTERNAL DEPENDENCIES" in general["about"] and "supportsQt6" not in general

    from deep_prior.dip_core import __version__

    assert general["version"] == __version__
