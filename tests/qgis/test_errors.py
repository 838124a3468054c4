"""Every failure of an algorithm is one sentence, and nothing is left behind."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from qgis_helpers import error_sentence, file_names

pytestmark = pytest.mark.qgis


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"OUTPUT": "o.png"}, "OUTPUT 'o.png' is not a GeoTIFF name"),
        ({"UNCERTAINTY": "u.img"}, "UNCERTAINTY 'u.img'"),
        ({"DEVICE": "gpu"}, "DEVICE 'gpu' is unknown: use auto, cpu, cuda:N or mps."),
        ({"METHOD": "magic"}, "METHOD 'magic' is unknown: use best, fast"),
        ({"TILE_SIZE": 10}, "TILE_SIZE is 10"),
        ({"TILE_SIZE": 100, "OVERLAP": 60}, "OVERLAP 60 is too large"),
        ({"NODATA": "-9999, many"}, "NODATA 'many' is not a number: give numbers separated by commas"),
        ({"TIME_BUDGET": -3}, "TIME_BUDGET '-3' cannot be used. At least 1 s."),
        (
            {"QA_CLASSES": "fill, cloud"},
            "dilated_cloud, cirrus, shadow, snow. Separate several by commas without spaces.",
        ),
        ({"MAX_DISTANCE": 0}, "MAX_DISTANCE '0' cannot be used. At least 1."),
        ({"EXTENT_MASK": "/nowhere/area.gpkg"}, "EXTENT_MASK '/nowhere/area.gpkg' cannot be used. A polygon layer"),
        ({"INPUT": None}, "INPUT is missing: give it a value."),
        ({"INPUT": "/nowhere/a.tif"}, "INPUT '/nowhere/a.tif' is neither a raster file nor a raster layer"),
        ({"INPUT": __file__}, "is not a raster that can be read"),
        ({"INPUT": str(Path(__file__).parent)}, "is a folder"),
        ({"GAP_MASK": ["/nowhere/m.tif"]}, "GAP_MASK '/nowhere/m.tif'"),
        ({"GUIDE": __file__}, "GUIDE"),
    ],
)
def test_bad_parameter_is_one_sentence(run_fake, scene, output, tmp_path, parameters, words):
    assert words in error_sentence(run_fake, "gapfillslcoff", {"INPUT": scene, "OUTPUT": output, **parameters})
    assert not (tmp_path / "job.json").exists()  # no worker was started


def test_output_must_not_be_the_input(run_fake, scene):
    before = Path(scene).read_bytes()
    assert "would overwrite the input" in error_sentence(run_fake, "gapfillslcoff", {"INPUT": scene, "OUTPUT": scene})
    assert Path(scene).read_bytes() == before


def test_cascade_without_a_model(run_fake, scene, output):
    parameters = {"INPUT": scene, "METHOD": "paper_cascade", "OUTPUT": output}
    assert "METHOD paper_cascade needs a MODEL" in error_sentence(run_fake, "superresolve", parameters)


def test_training_without_rasters(run_fake, tmp_path):
    parameters = {"INPUTS": [], "MODEL": str(tmp_path / "m.safetensors")}
    assert "INPUTS" in error_sentence(run_fake, "trainsuperresolver", parameters)


@pytest.mark.parametrize("in_definition", [False, True])
@pytest.mark.parametrize("target, is_temporary", [("TEMPORARY_OUTPUT", True), ("m.safetensors", False)])
def test_training_warns_of_a_temporary_model(provider, scene, in_definition, target, is_temporary):
    """It is the dialog's default, and the model of hours of training would be lost."""
    from qgis.core import (
        QgsApplication,
        QgsProcessingContext,
        QgsProcessingFeedback,
        QgsProcessingOutputLayerDefinition,
    )

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deepprior:trainsuperresolver")
    value = QgsProcessingOutputLayerDefinition(target) if in_definition else target
    feedback = QgsProcessingFeedback(False)
    assert algorithm.prepare({"INPUTS": [scene], "MODEL": value}, QgsProcessingContext(), feedback)
    assert ("temporary file" in feedback.textLog()) is is_temporary


def test_the_workers_sentence_reaches_the_user(run_fake, scene, output):
    body = """
    emit("error", text="The mask has another grid. Warp it first.", kind="GridMismatch", facts={})
    sys.exit(1)
    """
    sentence = error_sentence(run_fake, "gapfillslcoff", {"INPUT": scene, "OUTPUT": output}, body=body)
    assert sentence == "The mask has another grid. Warp it first."


def test_cancel_raises_and_leaves_nothing(provider, fake_engine, monkeypatch, scene, tmp_path):
    """For a script, a cancelled algorithm that returned normally would be a success."""
    from qgis import processing
    from qgis.core import QgsProcessingFeedback

    engine = fake_engine("""
        open(temporary(job["outputs"]["output"]), "w").write("half")
        emit("progress", fraction=0.1, step="started")
        sys.stdin.readline()
        os.remove(temporary(job["outputs"]["output"]))
        emit("error", text="The run was cancelled; no output was written.", kind="Cancelled", facts={})
        sys.exit(130)
        """)
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", engine)
    feedback = QgsProcessingFeedback(False)
    feedback.progressChanged.connect(lambda percentage: threading.Timer(0.2, feedback.cancel).start())
    start = time.monotonic()
    parameters = {"INPUT": scene, "OUTPUT": str(tmp_path / "o.tif")}
    sentence = error_sentence(processing.run, "deepprior:gapfillslcoff", parameters, feedback=feedback)
    assert "cancelled" in sentence
    assert time.monotonic() - start < 3
    assert file_names(tmp_path) == ["engine", "scene.tif"]
