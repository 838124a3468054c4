"""The public interface, on which scripts and models depend: ids, parameters, outputs, choices and texts."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.qgis

RESTORER = ["METHOD", "DEVICE", "TIME_BUDGET", "SEED", "TILE_SIZE", "OVERLAP", "SCHEDULER", "NODATA"]
RESTORER_OUTPUTS = ["OUTPUT", "UNCERTAINTY", "FILLED", "REPORT", "METRICS"]
NUMBERS = ["HELDOUT_RMSE", "HELDOUT_R2", "BASELINE_RMSE", "PIXELS_CHANGED", "PIXELS_LEFT"]
QUALITY = ["RMSE", "BIAS", "R2", "PEARSON_R2", "PSNR", "MPSNR", "MSSIM", "SAM", "ERGAS"]

# Parameters and outputs by algorithm. A change here breaks scripts and models.
CONTRACT = {
    "gapfillslcoff": (
        [
            *("INPUT", "BANDS", "GAP_MASK", "QA", "GUIDE", *RESTORER),
            *(
                "MASK_POLARITY",
                "QA_KIND",
                "QA_CLASSES",
                "NETWORK_INPUT",
                "FILL_EXTERIOR",
                "MAX_DISTANCE",
                "EXTENT_MASK",
            ),
        ],
        [*RESTORER_OUTPUTS, *NUMBERS],
    ),
    "denoisehsi": (["INPUT", *RESTORER, "NOISE", "SIGMA"], [*RESTORER_OUTPUTS, *NUMBERS]),
    "inpaintstripes": (["INPUT", "MASK", "CORRECT_OFFSETS", *RESTORER], [*RESTORER_OUTPUTS, *NUMBERS]),
    "detectstripes": (
        ["INPUT", "NODATA"],
        ["OUTPUT", "METRICS", "REPORT", "STRIPED_BANDS", "DEAD_LINES", "OFFSET_LINES"],
    ),
    "superresolve": (
        ["INPUT", "FACTOR", "PSF", "PSF_SIGMA", "GUIDE", "METHOD", "MODEL", *RESTORER[1:]],
        [*RESTORER_OUTPUTS, *NUMBERS],
    ),
    "trainsuperresolver": (
        ["INPUTS", "FACTOR", "DEVICE", "TIME_BUDGET", "SEED", "NODATA"],
        ["MODEL", "PSNR", "BICUBIC_PSNR", "SAM", "BICUBIC_SAM"],
    ),
    "simulategaps": (["INPUT", "SWATH_FROM", "SWATH_TO", "PERCENTAGE", "SEED", "NODATA"], ["OUTPUT", "MASK"]),
    "assessrestoration": (["RESTORED", "REFERENCE", "MASK", "NODATA"], ["REPORT", "METRICS", *QUALITY]),
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


@pytest.fixture
def create(provider):
    """Makes an algorithm by its name; its parameters exist as long as the algorithm."""
    from qgis.core import QgsApplication

    return lambda name: QgsApplication.processingRegistry().createAlgorithmById(f"deepprior:{name}")


def test_provider_has_exactly_these_algorithms(provider):
    assert provider.id() == "deepprior" and provider.name() == "Deep Prior"
    assert {found.name() for found in provider.algorithms()} == set(CONTRACT)
    assert provider.supportedOutputRasterLayerExtensions()[0] == "tif"
    assert not provider.icon().isNull() and Path(provider.svgIconPath()).exists()


@pytest.mark.parametrize("name", CONTRACT)
def test_parameters_and_outputs(create, name):
    found = create(name)
    inputs = [d.name() for d in found.parameterDefinitions() if not d.isDestination()]
    assert inputs == CONTRACT[name][0]
    assert [d.name() for d in found.outputDefinitions()] == CONTRACT[name][1]


@pytest.mark.parametrize("name", CONTRACT)
def test_only_the_input_rasters_have_no_default(create, name):
    from qgis.core import QgsProcessingParameterDefinition

    optional = QgsProcessingParameterDefinition.Flag.FlagOptional
    found = create(name)
    required = {
        d.name()
        for d in found.parameterDefinitions()
        if not d.isDestination() and not d.flags() & optional and d.defaultValue() is None
    }
    assert required == REQUIRED[name]


CHOICES = {
    "gapfillslcoff": {
        "METHOD": ["best", "fast", "deep_prior", "paper_composite", "paper_per_band"],
        "MASK_POLARITY": ["auto", "zero_is_gap", "nonzero_is_gap"],
        "QA_KIND": ["auto", "landsat_c2", "landsat_c1", "sentinel2_scl", "fmask"],
        "QA_CLASSES": ["fill", "cloud", "dilated_cloud", "cirrus", "shadow", "snow"],
        "NETWORK_INPUT": ["noise", "meshgrid"],
    },
    "denoisehsi": {
        "METHOD": ["best", "fast", "deep_prior", "paper_2d", "paper_3d"],
        "NOISE": ["auto", "gaussian", "mixed"],
    },
    "inpaintstripes": {"METHOD": ["best", "fast", "deep_prior", "paper_2d", "paper_3d"]},
    "superresolve": {
        "METHOD": ["best", "fast", "deep_prior", "paper_2d", "paper_3d", "paper_cascade"],
        "FACTOR": ["2", "3", "4"],
        "PSF": ["bicubic", "gaussian", "lanczos"],
    },
    "trainsuperresolver": {"FACTOR": ["2", "3", "4"]},
    "setupengine": {"ACTION": ["build", "test", "remove"], "COMPUTE": ["auto", "cpu", "cuda"]},
}


DEFAULT_CHOICES = {"QA_CLASSES": ["fill", "cloud", "dilated_cloud", "shadow"]}


@pytest.mark.parametrize("name", CONTRACT)
def test_choices_are_static_strings_and_the_first_is_the_default(create, name):
    found = create(name)
    enums = [d for d in found.parameterDefinitions() if d.type() == "enum"]
    assert {d.name(): d.options() for d in enums} == CHOICES.get(name, {})
    for definition in enums:
        wanted = DEFAULT_CHOICES.get(definition.name(), definition.options()[0])
        assert definition.usesStaticStrings() and definition.defaultValue() == wanted


@pytest.mark.parametrize(
    "name, constant",
    [
        ("gapfillslcoff", "GAP_METHODS"),
        ("inpaintstripes", "STRIPE_METHODS"),
        ("denoisehsi", "DENOISE_METHODS"),
        ("superresolve", "SUPERRESOLVE_METHODS"),
    ],
)
def test_methods_are_those_of_the_job_and_are_described(create, name, constant):
    from deep_prior.dip_core import restoration_jobs as job

    found = create(name)
    definition = found.parameterDefinition("METHOD")
    assert tuple(definition.options()) == getattr(job, constant)
    for method in definition.options():
        assert f"{method}: " in definition.help() and f"<i>{method}</i>: " in found.shortHelpString()


def test_optional_outputs_are_written_only_on_request(create):
    found = create("gapfillslcoff")
    for definition in found.destinationParameterDefinitions():
        assert definition.createByDefault() is (definition.name() == "OUTPUT")


@pytest.mark.parametrize("name", CONTRACT)
def test_every_parameter_has_a_tooltip_and_the_algorithm_a_help(create, name):
    found = create(name)
    assert found.shortDescription().endswith(".")
    assert len(found.shortHelpString()) > 200 and "\n" not in found.shortHelpString()
    assert found.tags() and found.group()
    assert [d.name() for d in found.parameterDefinitions() if not d.help().endswith(".")] == []


@pytest.mark.parametrize("name", CONTRACT)
def test_help_button_opens_a_page_in_the_plugins_folder(create, name):
    address = urlsplit(create(name).helpUrl())
    page = Path(unquote(address.path))
    assert address.scheme == "file" and page.name == f"{name}.html"
    words = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", unescape(page.read_text(encoding="utf-8"))))
    inputs, outputs = CONTRACT[name]
    assert {*inputs, *outputs} - words == set()


@pytest.mark.parametrize("name", CONTRACT)
def test_batch_and_cancel_are_possible_in_the_background(create, name):
    from qgis.core import QgsProcessingAlgorithm

    flags = create(name).flags()
    assert flags & QgsProcessingAlgorithm.Flag.FlagSupportsBatch
    assert flags & QgsProcessingAlgorithm.Flag.FlagCanCancel
    assert not flags & QgsProcessingAlgorithm.Flag.FlagNoThreading
