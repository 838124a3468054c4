"""The super-resolution algorithms around a fake worker: which jobs they ask for, and what they refuse."""

from __future__ import annotations

import json
import shutil

import pytest

pytestmark = pytest.mark.qgis

# Keeps the job beside its raster, makes the outputs, and tells a result.
MAKE = """
    import shutil
    source = (job.get("inputs") or [job.get("input")])[0]
    with open(os.path.join(os.path.dirname(source), "job.json"), "w") as file:
        json.dump(job, file)
    for path in filter(None, job["outputs"].values()):
        shutil.copy(source, path)
    tell("result", outputs={}, numbers={"PSNR": 31.5, "SAM": None, "PIXELS_LEFT": 0})
    """


@pytest.fixture
def run(provider, fake_engine, monkeypatch, tmp_path):
    """Runs an algorithm with a fake worker; returns the results and the job that was asked for."""
    from qgis import processing

    def call(name, parameters):
        monkeypatch.setenv("DEEP_PRIOR_PYTHON", fake_engine(MAKE))
        results = processing.run(f"deepprior:{name}", parameters)
        return results, json.loads((tmp_path / "job.json").read_text())

    return call


@pytest.fixture
def scene(make_raster, whole_scene, tmp_path):
    return make_raster(tmp_path / "scene.tif", whole_scene, None)


def test_super_resolution_job_holds_what_was_asked(run, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.safetensors").write_bytes(b"model")
    parameters = {"INPUT": scene, "FACTOR": "3", "PSF": "gaussian", "PSF_SIGMA": 1.5, "METHOD": "paper_cascade"}
    output = str(tmp_path / "o.tif")
    guide = shutil.copy(scene, tmp_path / "guide.tif")
    results, job = run("superresolve", {**parameters, "GUIDE": guide, "MODEL": "m.safetensors", "OUTPUT": output})
    assert job["guide"] == str(guide)
    assert job["task"] == "superresolve" and job["factor"] == 3 and job["method"] == "paper_cascade"
    assert (job["psf"], job["psf_sigma"], job["model"]) == ("gaussian", 1.5, str(tmp_path / "m.safetensors"))
    assert results["OUTPUT"] == output and results["PIXELS_LEFT"] == 0


def test_super_resolution_defaults(run, scene, tmp_path):
    _, job = run("superresolve", {"INPUT": scene, "OUTPUT": str(tmp_path / "o.tif")})
    assert job["guide"] is None
    assert (job["factor"], job["psf"], job["psf_sigma"], job["model"], job["method"]) == (
        2,
        "bicubic",
        None,
        None,
        "best",
    )


def test_cascade_without_a_model_is_refused(run, scene, tmp_path):
    from qgis.core import QgsProcessingException

    with pytest.raises(QgsProcessingException, match="METHOD paper_cascade needs a MODEL"):
        run("superresolve", {"INPUT": scene, "METHOD": "paper_cascade", "OUTPUT": str(tmp_path / "o.tif")})


def test_training_job_holds_all_rasters(run, scene, tmp_path):
    other = shutil.copy(scene, tmp_path / "other.tif")
    model = str(tmp_path / "m.safetensors")
    parameters = {"INPUTS": [scene, str(other)], "FACTOR": "4", "TIME_BUDGET": 60, "SEED": 3, "MODEL": model}
    results, job = run("trainsuperresolver", parameters)
    assert job["task"] == "train_superresolver" and job["inputs"] == [scene, str(other)] and job["factor"] == 4
    assert job["outputs"]["model"] == model and results["MODEL"] == model
    assert (job["compute"]["seed"], job["compute"]["time_budget"]) == (3, 60)
    assert results["PSNR"] == 31.5 and "SAM" not in results


@pytest.mark.parametrize("wrapped", [False, True])
def test_training_to_a_temporary_file_is_warned_of(provider, scene, wrapped):
    """The dialog's default: after hours of training, the model would be gone with QGIS."""
    from qgis.core import (
        QgsApplication,
        QgsProcessing,
        QgsProcessingContext,
        QgsProcessingFeedback,
        QgsProcessingOutputLayerDefinition,
    )

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deepprior:trainsuperresolver")
    for target, warned in ((QgsProcessing.TEMPORARY_OUTPUT, True), ("m.safetensors", False)):
        value = QgsProcessingOutputLayerDefinition(target) if wrapped else target
        feedback = QgsProcessingFeedback(False)
        assert algorithm.prepare({"INPUTS": [scene], "MODEL": value}, QgsProcessingContext(), feedback)
        assert ("temporary file" in feedback.textLog()) == warned


def test_training_without_rasters_is_refused(run, tmp_path):
    from qgis.core import QgsProcessingException

    with pytest.raises(QgsProcessingException, match="INPUTS"):
        run("trainsuperresolver", {"INPUTS": [], "MODEL": str(tmp_path / "m.safetensors")})
