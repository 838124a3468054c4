"""A real run stops within 2 seconds of a cancel, and leaves no process and no file."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from qgis_helpers import QGIS_PROCESS, file_names, is_running, wait_until, worker_processes

pytestmark = [pytest.mark.qgis, pytest.mark.usefixtures("real_engine")]


@pytest.fixture
def long_run(scene, tmp_path):
    """qgis_process while it runs the published network, which takes minutes, and the id of its worker."""
    words = [f"INPUT={scene}", "METHOD=paper_composite", "OUTPUT=o.tif", "FILLED=f.tif"]
    process = subprocess.Popen(
        [QGIS_PROCESS, "run", "deepprior:gapfillslcoff", "--", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # The worker reports the number of pixels to fill when it has read the scene; then it computes.
    assert any("to fill" in line for line in process.stdout)
    (worker,) = worker_processes(process.pid)
    yield process, worker
    if process.returncode is None:
        process.kill()
        process.communicate()


def test_cancel_of_qgis_process(long_run, tmp_path):
    process, worker = long_run
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert wait_until(lambda: not is_running(worker), 5)
    assert time.monotonic() - start < 2
    text = process.communicate(timeout=20)[0]
    assert process.returncode == 1 and "cancelled" in text
    assert file_names(tmp_path) == ["scene.tif"]


def test_worker_ends_if_qgis_is_killed(long_run, tmp_path):
    """Otherwise it would keep the GPU, and nobody could stop it."""
    process, worker = long_run
    process.kill()
    process.communicate()
    assert wait_until(lambda: not is_running(worker), 5)
    assert file_names(tmp_path) == ["scene.tif"]


class BackgroundRun:
    """A run of an algorithm in QGIS's task manager, as the toolbox does it."""

    def __init__(self, qgis_app, name, parameters):
        from qgis.core import QgsApplication, QgsProcessingAlgRunnerTask, QgsProcessingContext, QgsProcessingFeedback

        class Feedback(QgsProcessingFeedback):
            steps = ""

            def setProgressText(self, text):
                self.steps += text + "\n"

        self.qgis_app, self.ended = qgis_app, []
        self.algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"deepprior:{name}")
        self.context, self.feedback = QgsProcessingContext(), Feedback(False)
        task = QgsProcessingAlgRunnerTask(self.algorithm, parameters, self.context, self.feedback)
        task.executed.connect(lambda succeeded, results: self.ended.append(succeeded))
        QgsApplication.taskManager().addTask(task)

    def wait_for_step(self, step: str) -> None:
        assert wait_until(lambda: self._has_ended() or step in self.feedback.steps, 60)
        assert not self.ended, self.feedback.textLog()

    def wait_for_end(self) -> None:
        assert wait_until(self._has_ended, 20)

    def _has_ended(self) -> bool:
        self.qgis_app.processEvents()
        return bool(self.ended)


@pytest.fixture
def cube_file(make_raster, tmp_path):
    """A small noisy cube with a dead column."""
    y, x = np.mgrid[:70, :36]
    cube = 1000 + 200 * np.stack([np.sin(x / (7 + k)) + np.cos(y / 7) for k in range(6)])
    cube += np.random.default_rng(0).normal(0, 4, cube.shape)
    cube[2, :, 17] = 7
    return make_raster(tmp_path / "cube.tif", np.rint(cube).astype("u2"), 0)


@pytest.mark.parametrize(
    "name, method, step",
    [
        ("denoisehsi", "paper_2d", "held-out"),
        ("inpaintstripes", "paper_3d", "Validating"),
        ("superresolve", "paper_2d", "Validating"),
        ("trainsuperresolver", None, "Training"),
    ],
)
def test_cancel_in_the_task_manager(provider, qgis_app, cube_file, tmp_path, name, method, step):
    parameters = {"INPUT": cube_file, "METHOD": method, "OUTPUT": "made.tif", "REPORT": "made.html"}
    if name == "trainsuperresolver":
        parameters = {"INPUTS": [cube_file], "MODEL": "made.safetensors"}
    outputs = {key: str(tmp_path / value) for key, value in parameters.items() if str(value).startswith("made")}
    run = BackgroundRun(qgis_app, name, {**parameters, **outputs})
    run.wait_for_step(step)
    assert len(worker_processes(os.getpid())) == 1
    start = time.monotonic()
    run.feedback.cancel()
    run.wait_for_end()
    assert time.monotonic() - start < 2
    assert run.ended == [False] and not worker_processes(os.getpid())
    assert file_names(tmp_path) == ["cube.tif"]


def test_killed_worker_is_an_error_with_advice(provider, qgis_app, cube_file, tmp_path):
    parameters = {"INPUT": cube_file, "METHOD": "paper_2d", "OUTPUT": str(tmp_path / "made.tif")}
    run = BackgroundRun(qgis_app, "superresolve", parameters)
    run.wait_for_step("Validating")
    os.kill(worker_processes(os.getpid())[0], signal.SIGKILL)
    run.wait_for_end()
    assert run.ended == [False]
    log = run.feedback.textLog()
    assert "lack of memory" in log and "TILE_SIZE" in log
    assert file_names(tmp_path) == ["cube.tif"]
