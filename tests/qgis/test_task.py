"""RestorationTask with workers that succeed, fail, crash and hang."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from qgis_helpers import is_running

pytestmark = pytest.mark.qgis


@pytest.fixture
def job(tmp_path):
    from deep_prior.dip_core.job_fields import Outputs
    from deep_prior.dip_core.restoration_jobs import GapFillJob

    outputs = Outputs(output=str(tmp_path / "out.tif"), report=str(tmp_path / "r.html"))
    return GapFillJob(inputs=("in.tif",), outputs=outputs)


@pytest.fixture
def make_task(qgis_app, job):
    from deep_prior.algorithms.task import RestorationTask

    def make(python, **options):
        return RestorationTask(job, python, **options)

    return make


def error_of(task):
    from deep_prior.dip_core.errors import DeepPriorError

    assert task.run() is False
    with pytest.raises(DeepPriorError) as caught:
        task.result_or_raise()
    return caught.value


def test_success_passes_events_on_and_skips_other_output(make_task, fake_engine, tmp_path):
    python = fake_engine("""
        print("a library says hello")
        print('{"event": "no such event"}')
        emit("progress", fraction=0.25, step="looking", remaining=12.0)
        print("{half a line")
        emit("message", text="a warning", level="warning")
        open(job["outputs"]["output"], "w").write("done")
        emit("result", outputs={"OUTPUT": job["outputs"]["output"]}, numbers={"HELDOUT_RMSE": 1.5})
        """)
    seen, messages = [], []
    task = make_task(python, on_progress=seen.append, on_message=messages.append)
    assert task.run() is True
    assert task.result_or_raise().numbers == {"HELDOUT_RMSE": 1.5}
    assert [(event.fraction, event.step, event.remaining) for event in seen] == [(0.25, "looking", 12.0)]
    assert [(event.text, event.level) for event in messages] == [("a warning", "warning")]
    assert task.worker.other_output == ["a library says hello", '{"event": "no such event"}', "{half a line"]
    assert (tmp_path / "out.tif").read_text() == "done"
    assert task.progress() == pytest.approx(25)


def test_command_environment_and_folder(make_task, fake_engine, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("GDAL_DATA", "/nowhere")
    python = fake_engine("""
        facts = {"argv": sys.argv[1:], "cwd": os.getcwd(), "home": os.environ.get("PYTHONHOME"),
                 "gdal": os.environ.get("GDAL_DATA"), "path": os.environ["PYTHONPATH"],
                 "spin": os.environ["OMP_WAIT_POLICY"], "tmp": os.environ["TMPDIR"]}
        emit("message", text=json.dumps(facts))
        emit("result", outputs={}, numbers={})
        """)
    import json

    messages = []
    task = make_task(python, on_message=messages.append)
    assert task.run()
    facts = json.loads(messages[0].text)
    assert facts["argv"][:3] == ["-m", "dip_core", "--supervised"] and facts["argv"][3].endswith("job.json")
    assert facts["home"] is None and facts["gdal"] is None and facts["spin"] == "PASSIVE"
    assert (Path(facts["path"]) / "dip_core" / "events.py").exists()
    assert facts["cwd"] == facts["tmp"] and not os.path.exists(facts["cwd"])  # removed afterwards
    assert not Path(facts["path"]).is_relative_to(facts["cwd"])


def test_error_event_comes_back_as_its_class_with_its_sentence(make_task, fake_engine):
    from deep_prior.dip_core.errors import GridMismatch

    python = fake_engine("""
        emit("error", text="The mask is elsewhere.", kind="GridMismatch", facts={"path": "m.tif"})
        sys.exit(1)
        """)
    error = error_of(make_task(python))
    assert type(error) is GridMismatch
    assert str(error) == "The mask is elsewhere." and error.facts == {"path": "m.tif"}


def test_unknown_error_kind_keeps_the_sentence(make_task, fake_engine):
    python = fake_engine("""emit("error", text="Something new.", kind="os", facts={})""")
    assert str(error_of(make_task(python))) == "Something new."


def test_killed_worker_suggests_less_memory_and_leaves_no_temporary_file(make_task, fake_engine, tmp_path):
    python = fake_engine("""
        for name in ("", ".aux.xml"):
            open(temporary(job["outputs"]["output"]) + name, "w").write("half")
        print('{"event": "res', end="", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """)
    strange = tmp_path / ".out.tif.anothertoken.part"
    strange.write_text("another run's")
    error = error_of(make_task(python))
    assert "lack of memory" in str(error) and "TILE_SIZE" in str(error)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.tif.anothertoken.part", "engine"]


@pytest.mark.parametrize(
    "complaint, kind, words",
    [
        ("ModuleNotFoundError: No module named 'torch'", "MissingLibrary", "torch"),
        ("ImportError: DLL load failed while importing _C", "MissingLibrary", "Visual C++"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "OutOfMemory", "TILE_SIZE"),
        ("numpy._core._exceptions.MemoryError: Unable", "OutOfMemory", "TILE_SIZE"),
        ("ImportError: libtorch.so: failed to map segment from shared object", "OutOfMemory", "failed to map"),
        ("ValueError: something odd", "WorkerFailed", "something odd"),
    ],
)
def test_stderr_of_a_dead_worker_becomes_one_sentence(make_task, fake_engine, complaint, kind, words):
    python = fake_engine(f"""
        print("Traceback ...", file=sys.stderr)
        print({complaint!r}, file=sys.stderr)
        sys.exit(3)
        """)
    error = error_of(make_task(python))
    assert type(error).__name__ == kind
    assert words in str(error) and "\n" not in str(error)


def test_details_of_an_unexpected_error_are_in_the_log(make_task, fake_engine):
    python = fake_engine("""
        print("Details for a problem report:\\n  ridge.py:7 in solve", file=sys.stderr)
        emit("error", text="It failed unexpectedly.", kind="UnexpectedError", facts={})
        sys.exit(1)
        """)
    task = make_task(python)
    assert str(error_of(task)) == "It failed unexpectedly."
    assert task.worker.other_output[-1] == "  ridge.py:7 in solve"


def test_end_without_a_result_is_a_failure(make_task, fake_engine):
    assert "exit code 0" in str(error_of(make_task(fake_engine("print('bye')"))))


def test_result_of_a_worker_that_fails_afterwards_does_not_count(make_task, fake_engine):
    python = fake_engine("""
        emit("result", outputs={}, numbers={})
        sys.exit(5)
        """)
    assert "exit code 5" in str(error_of(make_task(python)))


def test_python_that_cannot_be_started(make_task, tmp_path):
    error = error_of(make_task(str(tmp_path / "no-python")))
    assert "cannot be started" in str(error) and "Set up the restoration engine" in str(error)


def test_exception_in_a_callback_does_not_leave_run(make_task, fake_engine):
    """An exception that leaves run() would crash QGIS."""
    python = fake_engine("""
        emit("progress", fraction=0.5)
        time.sleep(60)
        """)
    error = error_of(make_task(python, on_progress=lambda event: 1 / 0))
    assert "ZeroDivisionError" in str(error)


def test_worker_that_obeys_a_cancel_ends_quickly(make_task, fake_engine, tmp_path):
    python = fake_engine("""
        emit("message", text=str(os.getpid()))
        line = sys.stdin.readline()
        emit("error", text="stopped on " + line.strip(), kind="Cancelled", facts={})
        """)
    messages = []
    task = make_task(python, on_message=messages.append, is_cancelled=lambda: bool(messages))
    start = time.monotonic()
    error = error_of(task)
    assert type(error).__name__ == "Cancelled"
    assert time.monotonic() - start < 2  # the promise to the user
    assert not is_running(int(messages[0].text))


def test_worker_that_ignores_cancel_is_terminated_then_killed(make_task, fake_engine, tmp_path):
    python = fake_engine("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(temporary(job["outputs"]["output"]), "w").write("half")
        emit("message", text=str(os.getpid()))
        while True:
            time.sleep(1)
        """)
    messages = []
    start = time.monotonic()
    error = error_of(make_task(python, on_message=messages.append, is_cancelled=lambda: bool(messages)))
    assert type(error).__name__ == "Cancelled"
    assert 2 < time.monotonic() - start < 6  # 2 s to clean up, 1 s to terminate
    assert not is_running(int(messages[0].text))
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_worker_that_hangs_while_it_ends_can_be_cancelled(make_task, fake_engine):
    python = fake_engine("""
        emit("message", text="closing")
        os.close(1)
        time.sleep(60)
        """)
    until = time.monotonic() + 0.5
    start = time.monotonic()
    error_of(make_task(python, is_cancelled=lambda: time.monotonic() > until))
    assert time.monotonic() - start < 5


def test_result_of_a_cancelled_job_is_removed(make_task, fake_engine, tmp_path):
    python = fake_engine("""
        emit("message", text="nearly")
        sys.stdin.readline()
        open(job["outputs"]["output"], "w").write("done")
        emit("result", outputs={"OUTPUT": job["outputs"]["output"]}, numbers={})
        """)
    messages = []
    error_of(make_task(python, on_message=messages.append, is_cancelled=lambda: bool(messages)))
    assert not (tmp_path / "out.tif").exists()


def test_no_run_folder_is_left(make_task, fake_engine, tmp_path):
    seen = tmp_path / "seen"
    make_task(fake_engine(f"open({str(seen)!r}, 'w').write(sys.argv[-1]); sys.exit(1)")).run()
    job_file = seen.read_text()
    assert job_file.endswith("job.json") and not os.path.exists(os.path.dirname(job_file))


def test_two_runs_at_once_do_not_share_names(make_task):
    assert make_task("p").worker.token != make_task("p").worker.token


@pytest.mark.parametrize("cancel", [False, True])
def test_in_the_task_manager(make_task, fake_engine, qgis_app, cancel):
    """QGIS runs the task in a background thread and cancels it."""
    python = fake_engine("""
        emit("progress", fraction=0.5, step="half")
        if not sys.stdin.readline():
            sys.exit(9)
        emit("result", outputs={}, numbers={})
        """)
    main = threading.get_ident()
    threads = []
    task = make_task(python, on_progress=lambda event: threads.append(threading.get_ident()))
    manager = qgis_app.taskManager()
    manager.addTask(task)
    deadline = time.monotonic() + 10
    while not threads and time.monotonic() < deadline:
        qgis_app.processEvents()
        time.sleep(0.01)
    if cancel:
        task.cancel()
    else:
        task.worker.process.stdin.write("go on\n")
        task.worker.process.stdin.flush()
    while task.isActive() and time.monotonic() < deadline:
        qgis_app.processEvents()
        time.sleep(0.01)
    assert threads and main not in threads
    assert (task.result is None) is cancel
    assert (type(task.error).__name__ == "Cancelled") is cancel
    assert sys.exc_info() == (None, None, None)
