"""The user guide and the help pages describe the algorithms as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.qgis

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "assessrestoration",
    "denoisehsi",
    "detectstripes",
    "gapfillslcoff",
    "inpaintstripes",
    "setupengine",
    "simulategaps",
    "superresolve",
    "trainsuperresolver",
]


def page_of(name: str) -> str:
    """The text of an algorithm's guide page, whose name is its id with hyphens."""
    pages = {path.stem.replace("-", ""): path for path in (ROOT / "docs" / "guide").glob("*.md")}
    return pages[name].read_text(encoding="utf-8")


def test_every_algorithm_has_a_page(provider):
    assert sorted(algorithm.name() for algorithm in provider.algorithms()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_the_algorithms_name_and_id(provider, name):
    text = page_of(name)
    assert text.startswith(f"# {provider.algorithm(name).displayName()}\n")
    assert f"`deepprior:{name}`" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_page_explains_every_parameter_and_output(provider, name):
    text, algorithm = page_of(name), provider.algorithm(name)
    parameters = [f"`{item.name()}`<br>{item.description()} |" for item in algorithm.parameterDefinitions()]
    outputs = [f"`{item.name()}`" for item in algorithm.outputDefinitions()]
    assert [item for item in parameters + outputs if item not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_explains_every_choice(provider, name):
    from qgis.core import QgsProcessingParameterEnum

    text = page_of(name)
    for parameter in provider.algorithm(name).parameterDefinitions():
        if isinstance(parameter, QgsProcessingParameterEnum) and parameter.name() != "FACTOR":
            assert [choice for choice in parameter.options() if f"`{choice}`" not in text] == [], parameter.name()


@pytest.mark.parametrize("name", NAMES)
def test_help_works_offline(provider, name):
    page = ROOT / "resources" / "help" / f"{name}.html"
    assert page.is_file()
    assert "<script" not in page.read_text(encoding="utf-8")
