"""The hyperspectral algorithms the whole way with the real worker: in models, in batches, and cancelled midway.

The engine is the one that DEEP_PRIOR_PYTHON names.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from test_qgis_worker import leftovers, pixels, run

pytestmark = pytest.mark.qgis

BANDS, ROWS, COLUMNS = 8, 60, 64
DEAD_BAND, DEAD_COLUMN = 2, 30


@pytest.fixture(autouse=True)
def engine():
    if not os.environ.get("DEEP_PRIOR_PYTHON"):
        pytest.skip("DEEP_PRIOR_PYTHON names no engine; 'make test' builds one")


@pytest.fixture
def cube() -> np.ndarray:
    """Eight alike bands with a noise of 4, and a dead column in one of them."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    levels = np.linspace(0.6, 1.4, BANDS)[:, None, None]
    image = 1000 + levels * (200 * np.sin(x / 9) + 150 * np.cos(y / 7 + x / 20))
    image += 60 * levels**2 * np.sin((y - 1.7 * x) / 11)
    image = np.rint(image + rng.normal(0, 4, image.shape)).astype("u2")
    image[DEAD_BAND, :, DEAD_COLUMN] = 7
    return image


@pytest.fixture
def scene(make_raster, cube, tmp_path) -> str:
    return make_raster(tmp_path / "scene.tif", cube, 0)


def chain(path, first, second, link, **parameters) -> str:
    """A model of two algorithms: the output of the first is the parameter ``link`` of the second."""
    from qgis.core import (
        QgsProcessingModelAlgorithm,
        QgsProcessingModelChildAlgorithm,
        QgsProcessingModelChildParameterSource,
        QgsProcessingModelOutput,
        QgsProcessingModelParameter,
        QgsProcessingParameterRasterLayer,
    )

    source = QgsProcessingModelChildParameterSource
    model = QgsProcessingModelAlgorithm(path.stem, "")
    model.addModelParameter(QgsProcessingParameterRasterLayer("INPUT"), QgsProcessingModelParameter("INPUT"))
    for name, algorithm in (("one", first), ("two", second)):
        child = QgsProcessingModelChildAlgorithm(f"deepprior:{algorithm}")
        child.setChildId(name)
        child.addParameterSources("INPUT", [source.fromModelParameter("INPUT")])
        for key, value in parameters.get(name, {}).items():
            child.addParameterSources(key, [source.fromStaticValue(value)])
        if name == "two":
            child.addParameterSources(link, [source.fromChildOutput("one", "OUTPUT")])
        output = QgsProcessingModelOutput(name, name)
        output.setChildId(name)
        output.setChildOutputName("OUTPUT")
        child.setModelOutputs({name: output})
        model.addChildAlgorithm(child)
    assert model.toFile(str(path))
    return str(path)


def test_model_detects_stripes_and_inpaints_them(provider, scene, cube, tmp_path):
    model = chain(tmp_path / "destripe.model3", "detectstripes", "inpaintstripes", "MASK", two={"METHOD": "fast"})
    done = run(model, tmp_path, INPUT=scene, **{"one:one": "mask.tif", "two:two": "clean.tif"})
    assert done.returncode == 0, done.stdout + done.stderr
    expected = np.zeros(cube.shape, bool)
    expected[DEAD_BAND, :, DEAD_COLUMN] = True
    assert np.array_equal(pixels(tmp_path / "mask.tif"), expected.astype("u1"))
    clean = pixels(tmp_path / "clean.tif")
    assert np.array_equal(clean[~expected], cube[~expected]) and clean[expected].min() > 500


def test_model_denoises_and_super_resolves(provider, scene, cube, tmp_path):
    methods = {"one": {"METHOD": "fast"}, "two": {"METHOD": "fast", "FACTOR": "3"}}
    model = chain(tmp_path / "sharpen.model3", "denoisehsi", "superresolve", "INPUT", **methods)
    done = run(model, tmp_path, INPUT=scene, **{"one:one": "clean.tif", "two:two": "fine.tif"})
    assert done.returncode == 0, done.stdout + done.stderr
    clean, fine = pixels(tmp_path / "clean.tif").astype(float), pixels(tmp_path / "fine.tif").astype(float)
    assert fine.shape == (BANDS, 3 * ROWS, 3 * COLUMNS)
    means = fine.reshape(BANDS, ROWS, 3, COLUMNS, 3).mean(axis=(2, 4))
    # Away from the dead column, of whose edge other bands take a little when they are enlarged; a bicubic mean
    # over a pixel is not the pixel's, but near it.
    away = np.abs(np.arange(COLUMNS) - DEAD_COLUMN) > 3
    assert np.abs(means - clean)[DEAD_BAND + 1 :][..., away].max() < 20


@pytest.mark.parametrize("name", ["detectstripes", "inpaintstripes", "denoisehsi", "superresolve"])
def test_batch_of_two_scenes(provider, make_raster, cube, tmp_path, name):
    """As the batch dialog does it: one algorithm object, one run a row."""
    from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingFeedback

    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"deepprior:{name}")
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback(False)
    found = []
    for number in range(2):
        scene = make_raster(tmp_path / f"{number}.tif", np.roll(cube, 9 * number, axis=2), 0)
        row = {"INPUT": scene, "METHOD": "fast", "OUTPUT": str(tmp_path / f"o{number}.tif")}
        _, good = algorithm.run(row, context, feedback)
        assert good, feedback.textLog()
        found.append(pixels(tmp_path / f"o{number}.tif"))
    assert not np.array_equal(*found)


def workers() -> set[int]:
    """The process ids of all workers that this process has started."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid() and b"--supervised" in words:
            found.add(int(folder.name))
    return found


@pytest.mark.parametrize(
    "name, parameters, step",
    [
        ("denoisehsi", {"METHOD": "paper_2d"}, "held-out"),
        ("inpaintstripes", {"METHOD": "paper_3d"}, "Validating"),
        ("superresolve", {"METHOD": "paper_2d"}, "Validating"),
        ("trainsuperresolver", {}, "Training"),
    ],
)
def test_cancel_midway_is_quick_and_leaves_nothing(provider, qgis_app, scene, tmp_path, name, parameters, step):
    from qgis.core import QgsApplication, QgsProcessingAlgRunnerTask, QgsProcessingContext, QgsProcessingFeedback

    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"deepprior:{name}")
    target = "MODEL" if name == "trainsuperresolver" else "OUTPUT"
    parameters = {"INPUT": scene, "INPUTS": [scene], **parameters, target: str(tmp_path / "made")}
    if target == "OUTPUT":
        parameters.update(OUTPUT=str(tmp_path / "made.tif"), REPORT=str(tmp_path / "made.html"))
    steps: list[str] = []

    class Feedback(QgsProcessingFeedback):
        def setProgressText(self, text):
            steps.append(text)

    context, feedback = QgsProcessingContext(), Feedback(False)
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    ended = []
    task.executed.connect(lambda good, results: ended.append(good))
    QgsApplication.taskManager().addTask(task)
    deadline = time.monotonic() + 60
    while not any(step in text for text in steps) and not ended and time.monotonic() < deadline:
        qgis_app.processEvents()
        time.sleep(0.01)
    assert steps and step in steps[-1] and not ended, feedback.textLog()
    assert len(workers()) == 1
    start = time.monotonic()
    feedback.cancel()
    while not ended and time.monotonic() < start + 20:
        qgis_app.processEvents()
        time.sleep(0.01)
    assert time.monotonic() - start < 2  # the promise to the user
    assert ended == [False] and not workers()
    assert leftovers(tmp_path) == ["scene.tif"]
