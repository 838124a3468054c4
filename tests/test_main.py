"""The worker process: exit codes, events, stopping on request, and errors in one sentence."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
from core_scenes import ROOT, landscape, read, slanted_gaps, write

from dip_core import __version__, events
from dip_core.events import Error, Progress, Result
from dip_core.job import SimulateGapsJob, to_json
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import GapFillJob

GAP = slanted_gaps(90, 100)


@pytest.fixture
def scene(tmp_path):
    return write(tmp_path / "in.tif", np.where(GAP, 0, landscape(2, 90, 100)).astype("u1"), nodata=0)


def job_file(tmp_path, job) -> str:
    path = tmp_path / "job.json"
    path.write_text(to_json(job) if not isinstance(job, str) else job, encoding="utf-8")
    return str(path)


def gap_fill(tmp_path, scene, folder=None, method="fast", **compute):
    folder = folder or tmp_path
    outputs = Outputs(output=str(folder / "o.tif"), report=str(folder / "r.html"))
    return GapFillJob((scene,), outputs, method=method, compute=Compute(**compute))


def command(*arguments):
    return [sys.executable, "-m", "dip_core", *arguments]


def run(*arguments, **options):
    """Run the worker to its end; its exit code, its events, and its standard error."""
    ended = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=120, **options)
    emitted = [events.from_line(line) for line in ended.stdout.splitlines()]
    assert None not in emitted, ended.stdout  # nothing but events on standard output
    return ended.returncode, emitted, ended.stderr


def files(tmp_path):
    return sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "job.json")


# Runs that end by themselves


def test_a_job_without_networks_does_not_import_torch(tmp_path, scene):
    """Importing torch takes longer than filling a small scene."""
    pools = "{pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'}"
    state = f"print(code, 'torch' in sys.modules, {pools}, file=sys.stderr)"
    modules = "import sys; from threadpoolctl import threadpool_info; from dip_core.__main__ import main"
    code = f"{modules}; code = main(sys.argv[1:]); {state}"
    job = job_file(tmp_path, gap_fill(tmp_path, scene, device="auto"))
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    line = [sys.executable, "-c", code, job]
    ended = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.stderr.splitlines()[-1] == "0 False {1}"
    assert files(tmp_path) == ["in.tif", "o.tif", "r.html"]
    with rasterio.open(tmp_path / "o.tif") as filled:
        assert json.loads(filled.tags()["DEEP_PRIOR"])["device"] == "cpu"


def test_a_run_emits_progress_and_its_result(tmp_path, scene):
    code, emitted, _ = run(job_file(tmp_path, gap_fill(tmp_path, scene)))
    assert code == 0
    assert isinstance(emitted[-1], Result)
    assert emitted[-1].outputs == {"OUTPUT": str(tmp_path / "o.tif"), "REPORT": str(tmp_path / "r.html")}
    assert emitted[-1].numbers["PIXELS_CHANGED"] == GAP.sum() and emitted[-1].numbers["PIXELS_LEFT"] == 0
    fractions = [event.fraction for event in emitted if isinstance(event, Progress)]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] > 0.9
    assert files(tmp_path) == ["in.tif", "o.tif", "r.html"]


def test_prints_of_libraries_are_not_events(tmp_path, scene):
    """Whatever writes to standard output, C code included, ends up on standard error."""
    code = (
        "import os, sys; from dip_core import __main__ as worker; from dip_core.runtime.context import Context\n"
        "info = Context.info\n"
        "def noisy(self, text):\n"
        "    print('a chatty library'); os.write(1, b'a chatty C library\\n'); info(self, text)\n"
        "Context.info = noisy\n"
        "os._exit(worker.main(sys.argv[1:]))"
    )
    path = job_file(tmp_path, gap_fill(tmp_path, scene))
    ended = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0
    assert all(events.from_line(line) for line in ended.stdout.splitlines())
    assert "a chatty library" in ended.stderr and "a chatty C library" in ended.stderr


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("nonsense", "InvalidJob", "The job file is not a Deep Prior job"),
        ('{"task": "gap_fill", "inputs": [], "outputs": {"output": "o.tif"}}', "InvalidJob", "No INPUT raster"),
        (
            '{"task": "gap_fill", "inputs": ["/no/such.tif"], "outputs": {"output": "o.tif"}}',
            "UnreadableRaster",
            "Cannot read the raster '/no/such.tif': there is no such file",
        ),
    ],
)
def test_failures_are_one_sentence_and_exit_code_1(tmp_path, text, kind, sentence):
    code, emitted, stderr = run(job_file(tmp_path, text))
    assert code == 1
    (error,) = [event for event in emitted if isinstance(event, Error)]
    assert emitted[-1] is error and error.kind == kind and error.text.startswith(sentence)
    assert "Traceback" not in stderr


def test_job_files_that_cannot_be_read(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name, sentence in (("none.json", "No such file"), (".", "directory"), ("bytes.json", "is not JSON text")):
        code, emitted, _ = run(str(tmp_path / name))
        assert code == 1 and emitted[-1].kind == "InvalidJob" and sentence in emitted[-1].text


def test_probe_and_version(tmp_path):
    probed = subprocess.run(command("--probe"), cwd=ROOT, capture_output=True, text=True, timeout=120)
    record = json.loads(probed.stdout)
    assert probed.returncode == 0 and record["core"] == __version__ and record["devices"][0]["id"] == "cpu"
    assert set(record["versions"]) >= {"torch", "numpy", "rasterio", "scipy", "skimage", "matplotlib"}
    emitted = subprocess.run(command("--version"), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert emitted.stdout.strip() == __version__
    nothing = subprocess.run(command(), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert nothing.returncode == 2 and "name a job file" in nothing.stderr


def without(tmp_path, library) -> dict[str, str]:
    """An environment in which a library cannot be imported."""
    (tmp_path / "lib").mkdir(exist_ok=True)
    (tmp_path / "lib" / f"{library}.py").write_text(f"raise ImportError(\"No module named '{library}'\")")
    return {**os.environ, "PYTHONPATH": str(tmp_path / "lib")}


def test_a_missing_library_is_named(tmp_path, scene):
    probed = subprocess.run(
        command("--probe"), cwd=ROOT, capture_output=True, text=True, env=without(tmp_path, "torch"), timeout=120
    )
    assert probed.returncode == 1 and "torch" in json.loads(probed.stdout)["missing"][0]
    code, emitted, _ = run(job_file(tmp_path, gap_fill(tmp_path, scene)), env=without(tmp_path, "rasterio"))
    assert code == 1 and emitted[-1].kind == "MissingLibrary"
    assert "rasterio" in emitted[-1].text and "Set up the restoration engine" in emitted[-1].text


# No room and no permission


def test_a_folder_that_does_not_exist(tmp_path, scene):
    code, emitted, _ = run(job_file(tmp_path, gap_fill(tmp_path, scene, tmp_path / "none")))
    assert code == 1 and emitted[-1].kind == "UnwritableOutput" and "does not exist" in emitted[-1].text
    assert files(tmp_path) == ["in.tif"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may become another user, and needs to")
def test_a_folder_without_permission(tmp_path, scene):
    """Run as nobody: root may write everywhere."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.stat().st_mode & 0o5 != 0o5:
            if not str(folder).startswith("/tmp/"):
                pytest.skip(f"others may not enter {folder}")
            folder.chmod(0o755)
    if not os.access(sys.executable, os.X_OK) or ROOT.stat().st_mode & 0o5 != 0o5:
        pytest.skip("others may not enter the checkout")
    path = job_file(tmp_path, gap_fill(tmp_path, scene, locked))
    code, emitted, stderr = run(path, user=65534, group=65534, env={**os.environ, "HOME": "/nonexistent"})
    assert code == 1, stderr
    assert emitted[-1].kind == "UnwritableOutput" and "permission denied" in emitted[-1].text
    assert files(locked) == []


def small_files():
    """As on a full disk: writing beyond 40 kB fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


@pytest.mark.parametrize("outputs", ["rasters", "report"])
def test_a_disk_that_fills_up(tmp_path, outputs):
    """Whether GDAL notices at once or when the file is closed: one sentence, and nothing is left."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 60000, (3, 90, 100)).astype("u2") if outputs == "rasters" else landscape(2, 90, 100)
    source = write(tmp_path / "in.tif", np.where(GAP, 0, pixels).astype("u2"), nodata=0)
    code, emitted, stderr = run(job_file(tmp_path, gap_fill(tmp_path, source)), preexec_fn=small_files)
    assert code == 1, stderr
    assert emitted[-1].kind in ("DiskFull", "UnwritableOutput")
    assert ("o.tif" if outputs == "rasters" else "r.html") in emitted[-1].text
    assert files(tmp_path) == ["in.tif"]
    assert "Traceback" not in stderr


def test_an_existing_file_survives_a_failed_run(tmp_path, scene):
    (tmp_path / "o.tif").write_text("the result of last week")
    code, _, _ = run(job_file(tmp_path, gap_fill(tmp_path, scene, device="cuda:77")))
    assert code == 1
    assert (tmp_path / "o.tif").read_text() == "the result of last week"


# Stopping on request


@pytest.fixture
def long_job(tmp_path):
    """A job of minutes: a deep prior on a scene of some size."""
    gap = slanted_gaps(300, 300)
    path = write(tmp_path / "in.tif", np.where(gap, 0, landscape(2, 300, 300)).astype("u1"), nodata=0)
    return job_file(tmp_path, gap_fill(tmp_path, path, method="deep_prior", threads=1))


def start(path, *arguments):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    worker = subprocess.Popen(command(path, *arguments), cwd=ROOT, text=True, **pipes)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # until the network is being fitted
        event = events.from_line(worker.stdout.readline())
        if isinstance(event, Progress) and event.step.startswith("Validating"):
            return worker
    worker.kill()
    raise AssertionError("the worker did not begin to work")


WAYS = {
    "the word": lambda worker: (worker.stdin.write("cancel\n"), worker.stdin.flush()),
    "a parent that is gone": lambda worker: worker.stdin.close(),
    "SIGTERM": lambda worker: worker.send_signal(signal.SIGTERM),
    "Ctrl+C": lambda worker: worker.send_signal(signal.SIGINT),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_stops_within_two_seconds_and_leaves_nothing(tmp_path, long_job, way):
    worker = start(long_job, "--supervised")
    asked = time.monotonic()
    WAYS[way](worker)
    try:
        assert worker.wait(timeout=20) == 130
        assert time.monotonic() - asked < 2.0
    finally:
        worker.kill()
    assert files(tmp_path) == ["in.tif"]


def test_other_input_and_an_open_pipe_do_not_stop_it(tmp_path, scene):
    worker = subprocess.Popen(
        command(job_file(tmp_path, gap_fill(tmp_path, scene)), "--supervised"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    worker.stdin.write("hello\n")
    worker.stdin.flush()
    emitted = [events.from_line(line) for line in worker.stdout]
    assert worker.wait(timeout=60) == 0 and isinstance(emitted[-1], Result)


def test_unsupervised_it_ignores_its_input(tmp_path, scene):
    """From a shell, or under cron with no input at all."""
    code, emitted, _ = run(job_file(tmp_path, gap_fill(tmp_path, scene)), stdin=subprocess.DEVNULL)
    assert code == 0 and isinstance(emitted[-1], Result)


def test_a_closed_reader_does_not_break_the_run(tmp_path, scene):
    worker = subprocess.Popen(
        command(job_file(tmp_path, gap_fill(tmp_path, scene))), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    worker.stdout.close()
    assert worker.wait(timeout=60) == 0
    assert (tmp_path / "o.tif").exists()


def test_other_tasks_run_too(tmp_path):
    path = write(tmp_path / "in.tif", landscape(2, 90, 100).astype("u1"), nodata=0)
    wanted = SimulateGapsJob(path, Outputs(output=str(tmp_path / "o.tif"), mask=str(tmp_path / "m.tif")), percentage=20)
    code, emitted, _ = run(job_file(tmp_path, wanted))
    assert code == 0 and emitted[-1].numbers["PERCENTAGE"] == pytest.approx(20, abs=1)
    assert (read(tmp_path / "m.tif") == 0).mean() == pytest.approx(0.2, abs=0.01)
