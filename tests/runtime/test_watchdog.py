"""The worker ends with its parent and on SIGTERM, also while a C function holds the interpreter's lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from core_scenes import ROOT
from processes import is_running, wait_until

from dip_core.job import to_json
from dip_core.job_fields import Outputs
from dip_core.restoration_jobs import DenoiseJob

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
MAX_SECONDS = 4.0  # the grace time of 1 s, and a loaded machine

# A worker whose task writes half of an output and then does what {body} says. mutex_lock never returns.
WORKER = """\
import ctypes, os, signal, sys, time
from dip_core import __main__ as worker
from dip_core.raster import atomic

def task(job, context):
    with open(atomic.create_temporary(job.outputs.output), "w") as file:
        file.write("half")
    library, lock = ctypes.PyDLL(None), ctypes.create_string_buffer(64)  # PyDLL keeps the interpreter's lock
    def hold():
        library.pthread_mutex_lock(lock)
        library.pthread_mutex_lock(lock)
    open({ready!r} + ".new", "w").write(str(os.getpid()))
    os.replace({ready!r} + ".new", {ready!r})
    {body}

worker._import_task = lambda name: task
os._exit(worker.main(sys.argv[1:]))
"""
# A parent, as QGIS: it starts the worker in a thread that lives as long as the run.
PARENT = """\
import subprocess, sys, threading, time
def run():
    command = [sys.executable, *sys.argv[1:]]
    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True).wait()
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


@pytest.fixture
def start(tmp_path):
    """Starts a worker, by a parent process or alone; returns the started process and the worker's id."""
    started = []

    def run(body: str, *, parent: bool = True, folder: Path | None = None):
        ready = tmp_path / "ready"
        job = (folder or tmp_path) / "job.json"
        job.write_text(to_json(DenoiseJob(str(tmp_path / "in.tif"), Outputs(output=str(tmp_path / "o.tif")))))
        script = tmp_path / "worker.py"
        script.write_text(WORKER.format(ready=str(ready), body=textwrap.dedent(body).strip()))
        line = [str(script), "--supervised", str(job)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        if parent:
            process = subprocess.Popen([sys.executable, "-c", PARENT, *line], env=environ)
        else:
            process = subprocess.Popen([sys.executable, *line], env=environ, stdin=subprocess.PIPE)
        assert wait_until(ready.exists, 30)
        worker = int(ready.read_text())
        started.append((process, worker))
        return process, worker

    (tmp_path / "in.tif").write_text("")
    yield run
    for process, worker in started:
        for pid in (process.pid, worker):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.communicate()


def watchdogs(worker: int) -> list[int]:
    """The children of a worker."""
    return [int(word) for word in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]


def files(tmp_path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir() if path.name not in ("job.json", "worker.py", "ready"))


BODIES = {"holds the lock": "hold()", "computes": "time.sleep(600)", "ignores signals": "while True: time.sleep(0.1)"}


@pytest.mark.parametrize("body", BODIES)
def test_it_ends_when_the_parent_is_killed(tmp_path, start, body):
    parent, worker = start(BODIES[body])
    assert len(files(tmp_path)) == 2  # the input and half of the output
    dogs = watchdogs(worker)
    assert len(dogs) == 1
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_running(worker), MAX_SECONDS)
    assert wait_until(lambda: not is_running(dogs[0]), MAX_SECONDS)
    assert files(tmp_path) == ["in.tif"]


def test_it_ends_when_the_parent_is_killed_although_another_process_keeps_the_pipe(tmp_path, start):
    """The kernel reports the end of the parent; standard input stays open."""
    parent, worker = start("hold()")
    pipe = next(
        path
        for path in Path(f"/proc/{parent.pid}/fd").iterdir()
        if os.readlink(path) == os.readlink(f"/proc/{worker}/fd/0")
    )
    with open(pipe, "wb"):
        parent.kill()
        parent.wait()
        assert wait_until(lambda: not is_running(worker), MAX_SECONDS)
    assert wait_until(lambda: files(tmp_path) == ["in.tif"], MAX_SECONDS)


def test_it_ends_when_the_parent_is_killed_without_its_watchdog(tmp_path, start):
    parent, worker = start("time.sleep(600)")
    os.kill(watchdogs(worker)[0], signal.SIGKILL)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_running(worker), MAX_SECONDS)
    assert wait_until(lambda: files(tmp_path) == ["in.tif"], MAX_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("body", ["hold()", "time.sleep(600)"])
def test_a_signal_ends_it(tmp_path, start, number, body):
    process, worker = start(body, parent=False)
    os.kill(worker, number)
    code = process.wait(timeout=MAX_SECONDS)
    assert code == (-signal.SIGKILL if "hold" in body else 130)
    assert wait_until(lambda: files(tmp_path) == ["in.tif"], MAX_SECONDS)


def test_a_killed_worker_leaves_no_partial_file(tmp_path, start):
    process, worker = start("time.sleep(600)", parent=False)
    os.kill(worker, signal.SIGKILL)
    process.wait(timeout=MAX_SECONDS)
    assert wait_until(lambda: files(tmp_path) == ["in.tif"], MAX_SECONDS)


def test_a_stopped_worker_ends_with_its_parent(tmp_path, start):
    parent, worker = start("time.sleep(600)")
    os.kill(worker, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_running(worker), MAX_SECONDS)
    assert wait_until(lambda: files(tmp_path) == ["in.tif"], MAX_SECONDS)


def test_a_stopped_parent_does_not_end_it(start):
    parent, worker = start("time.sleep(600)")
    os.kill(parent.pid, signal.SIGSTOP)
    time.sleep(1.5)
    assert is_running(worker)
    os.kill(parent.pid, signal.SIGCONT)


def test_the_signal_of_the_kernel_is_ignored_while_the_parent_lives(start):
    """It is sent when the thread that started the worker ends, also if the parent goes on."""
    _, worker = start("while True: time.sleep(0.1)")
    os.kill(worker, signal.SIGUSR1)
    time.sleep(1.5)
    assert is_running(worker)


def test_the_folder_of_the_run_is_removed_with_the_parent(tmp_path, start):
    folder, staged = tmp_path / "deep_prior_abc", tmp_path / "deep_prior_staged_abc"
    folder.mkdir()
    staged.mkdir()
    parent, _ = start("hold()", folder=folder)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not folder.exists(), MAX_SECONDS)
    assert staged.exists()  # of another run


def test_a_run_that_ends_by_itself_leaves_no_process(tmp_path, start):
    process, worker = start("time.sleep(0.5)", parent=False)
    (dog,) = watchdogs(worker)
    process.wait(timeout=20)
    assert wait_until(lambda: not is_running(dog), MAX_SECONDS)
