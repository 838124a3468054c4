"""Result layers are named after their input, and styled when they are loaded."""

from __future__ import annotations

import gc

import pytest

pytestmark = pytest.mark.qgis


@pytest.fixture
def run_and_load(run_fake, scene, qgis_new_project):
    """Runs an algorithm as the toolbox does if outputs are opened; returns the styled layers by output name."""
    from qgis.core import (
        QgsProcessingContext,
        QgsProcessingFeedback,
        QgsProcessingOutputLayerDefinition,
        QgsProject,
        QgsRasterLayer,
    )

    def run(name, *outputs, style=None):
        project = QgsProject.instance()
        layer = QgsRasterLayer(scene, "my scene")
        if style:
            style(layer)
        project.addMapLayer(layer)
        context = QgsProcessingContext()
        context.setProject(project)
        definitions = {output: QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project) for output in outputs}
        results = run_fake(name, {"INPUT": layer, **definitions}, context=context).results
        gc.collect()  # a style must exist until QGIS calls it
        found = {}
        for output in outputs:
            details = context.layerToLoadOnCompletionDetails(results[output])
            found[output] = QgsRasterLayer(results[output], details.name)
            if details.postProcessor():
                details.postProcessor().postProcessLayer(found[output], context, QgsProcessingFeedback(False))
        return found

    return run


def test_layers_of_a_restoration(run_and_load):
    found = run_and_load("gapfillslcoff", "OUTPUT", "UNCERTAINTY", "FILLED")
    assert {name: layer.name() for name, layer in found.items()} == {
        "OUTPUT": "my scene filled", "UNCERTAINTY": "my scene uncertainty", "FILLED": "my scene changed pixels"
    }  # fmt: skip
    ramp = found["UNCERTAINTY"].renderer()
    assert ramp.type() == "singlebandpseudocolor" and ramp.classificationMin() == 0
    assert 100 < ramp.classificationMax() < 300  # mean plus 2 standard deviations of bytes around 110
    mask = found["FILLED"].renderer()
    assert mask.type() == "paletted"
    assert {entry.value: entry.color.alpha() > 0 for entry in mask.classes()} == {0: False, 1: True}
    assert mask.classes()[1].color.alpha() < 255  # the scene stays visible below


def test_filled_layer_has_the_style_of_its_input(run_and_load):
    from qgis.core import QgsContrastEnhancement

    def style(layer):
        layer.renderer().setRedBand(3)
        enhancement = QgsContrastEnhancement(layer.renderer().redContrastEnhancement())
        enhancement.setMaximumValue(77)
        layer.renderer().setRedContrastEnhancement(enhancement)

    renderer = run_and_load("gapfillslcoff", "OUTPUT", style=style)["OUTPUT"].renderer()
    assert renderer.redBand() == 3 and renderer.redContrastEnhancement().maximumValue() == 77


def test_stripe_mask_has_a_colour_for_each_class(run_and_load):
    layer = run_and_load("detectstripes", "OUTPUT")["OUTPUT"]
    assert layer.name() == "my scene stripe mask"
    classes = {entry.value: (entry.label, entry.color.alpha() > 0) for entry in layer.renderer().classes()}
    assert classes == {0: ("clean", False), 1: ("dead", True), 2: ("offset", True)}


def test_layers_of_a_simulation(run_and_load):
    found = run_and_load("simulategaps", "OUTPUT", "MASK")
    assert {name: layer.name() for name, layer in found.items()} == {
        "OUTPUT": "my scene with gaps", "MASK": "my scene gap mask"
    }  # fmt: skip
