"""Fixtures of the QGIS tests: algorithms with a fake worker, and the real engine."""

from __future__ import annotations

import json
import os
import textwrap
from typing import Any, NamedTuple

import pytest

# Saves the job, copies the input to all outputs, and sends a progress, a message and a result.
COPY_INPUT = """
    import shutil
    with open(os.path.join(os.path.dirname(sys.argv[0]), "job.json"), "w") as file:
        json.dump(job, file)
    source = (job.get("inputs") or [job.get("input")])[0]
    for path in filter(None, job["outputs"].values()):
        shutil.copy(source, path)
    emit("progress", fraction=0.5, step="Filling", remaining=600)
    emit("message", text="a warning", level="warning")
    emit("result", outputs={}, numbers=NUMBERS)
    """


class FakeRun(NamedTuple):
    """Results of an algorithm, the job that its worker received, and the feedback with its steps."""

    results: dict[str, Any]
    job: dict[str, Any]
    feedback: Any


@pytest.fixture
def run_fake(provider, fake_engine, monkeypatch, tmp_path):
    """Runs an algorithm with a fake worker, which executes ``first`` and then ``body``."""
    from qgis import processing
    from qgis.core import QgsProcessingFeedback

    class Feedback(QgsProcessingFeedback):
        def __init__(self):
            super().__init__(False)
            self.steps = []

        def setProgressText(self, text):
            self.steps.append(text)

    def run(name, parameters, body=COPY_INPUT, first="", numbers=None, **options):
        script = body.replace("NUMBERS", repr(numbers or {"PIXELS_LEFT": 0}))
        monkeypatch.setenv("DEEP_PRIOR_PYTHON", fake_engine(textwrap.dedent(first) + textwrap.dedent(script)))
        feedback = Feedback()
        results = processing.run(f"deepprior:{name}", parameters, feedback=feedback, **options)
        return FakeRun(results, json.loads((tmp_path / "job.json").read_text()), feedback)

    return run


@pytest.fixture
def scene(make_raster, scene_with_gaps, tmp_path):
    """A file with the scene with gaps."""
    return make_raster(tmp_path / "scene.tif", scene_with_gaps)


@pytest.fixture
def output(tmp_path):
    """The path of an output file."""
    return str(tmp_path / "out.tif")


@pytest.fixture
def real_engine():
    """Skips the test without a real engine."""
    if not os.environ.get("DEEP_PRIOR_PYTHON"):
        pytest.skip("DEEP_PRIOR_PYTHON is not set; 'make test' builds an engine")
