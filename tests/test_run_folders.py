"""Temporary folders of killed runs are removed at the next start; those of living runs and of others are kept."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from core_scenes import ROOT

from dip_core.run_folders import (
    LOCK_FILE,
    MAX_AGE_WITHOUT_LOCK,
    STAGED_PREFIX,
    RunFolder,
    clean_up_after_worker,
    remove_abandoned,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses fork and POSIX locks")

OWNER = """\
import os, sys, time
from dip_core.run_folders import RunFolder, STAGED_PREFIX
with RunFolder() as folder, RunFolder(STAGED_PREFIX) as staged:
    open(os.path.join(staged.path, "staged_1.tif"), "w").close()
    if sys.argv[1:] == ["child"]:
        import subprocess
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=folder.inherited(),
                         stdout=subprocess.DEVNULL)
    print(folder.path, staged.path, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A temporary folder of its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def owner(tmp_path):
    """Starts a process that owns two folders; returns it and their paths."""
    started = []

    def start(*arguments: str):
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process, process.stdout.readline().split()

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_folders_of_a_killed_process_are_removed_at_the_next_start(owner):
    process, paths = owner()
    assert remove_abandoned() == [] and all(map(os.path.isdir, paths))
    process.kill()
    process.wait()
    with RunFolder() as folder:
        assert os.path.isdir(folder.path) and not any(map(os.path.exists, paths))
    assert not os.path.exists(folder.path)


def test_a_stopped_process_keeps_its_folders(owner):
    process, paths = owner()
    process.send_signal(signal.SIGSTOP)
    assert remove_abandoned() == [] and all(map(os.path.isdir, paths))


def test_a_worker_that_outlives_its_parent_keeps_its_folder(owner):
    process, (run, staged) = owner("child")
    process.kill()
    process.wait()
    assert remove_abandoned() == [staged] and os.path.isdir(run)
    os.killpg(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while not remove_abandoned() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(run)


def test_runs_of_this_process_are_kept():
    with RunFolder() as one, RunFolder(STAGED_PREFIX) as other:
        assert remove_abandoned() == []
        assert os.path.isdir(one.path) and os.path.isdir(other.path)


def test_links_and_other_folders_are_kept(tmp_path):
    target = tmp_path / "documents"
    target.mkdir()
    (target / "thesis.txt").write_text("mine")
    (target / LOCK_FILE).write_text("")
    os.symlink(target, tmp_path / "deep_prior_link")
    abandoned = tmp_path / "deep_prior_abandoned"
    abandoned.mkdir()
    (abandoned / LOCK_FILE).write_text("")
    os.symlink(target, abandoned / "link")
    linked_lock = tmp_path / "deep_prior_linked_lock"
    linked_lock.mkdir()
    os.symlink(target / LOCK_FILE, linked_lock / LOCK_FILE)
    (tmp_path / "deep_prior_file").write_text("")
    (tmp_path / "other_folder").mkdir()
    assert remove_abandoned() == [str(abandoned)]
    assert sorted(path.name for path in target.iterdir()) == [LOCK_FILE, "thesis.txt"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "documents",
        "deep_prior_link",
        "deep_prior_linked_lock",
        "deep_prior_file",
        "other_folder",
    }


@pytest.mark.parametrize(("content", "is_run"), [("job.json", True), ("staged_0.tif", True), ("thesis.txt", False)])
@pytest.mark.parametrize(("age", "is_old"), [(MAX_AGE_WITHOUT_LOCK + 60, True), (60, False)])
def test_folders_without_a_lock_are_removed_when_they_are_old(tmp_path, content, is_run, age, is_old):
    """Earlier versions made no lock."""
    folder = tmp_path / "deep_prior_before"
    folder.mkdir()
    (folder / content).write_text("")
    os.utime(folder, (time.time() - age,) * 2)
    assert remove_abandoned() == ([str(folder)] if is_run and is_old else [])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only the superuser may give files away")
def test_folders_of_other_users_are_kept(tmp_path):
    folder = tmp_path / "deep_prior_other"
    folder.mkdir()
    (folder / LOCK_FILE).write_text("")
    os.chown(folder, 65534, 65534)
    assert remove_abandoned() == [] and folder.exists()


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"outputs": 3}', '{"outputs": {"output": null}, "inputs": 3}', "[" * 9999]
)
def test_cleaning_up_needs_no_valid_job(tmp_path, text):
    folder = tmp_path / "deep_prior_run"
    folder.mkdir()
    (folder / "job.json").write_text(text)
    clean_up_after_worker(str(folder / "job.json"), "token", False)
    assert folder.exists()
    clean_up_after_worker(str(folder / "job.json"), "token", True)
    assert not folder.exists()


def test_staged_rasters_of_the_run_are_removed_with_it(tmp_path):
    run, staged, other = (tmp_path / name for name in ("deep_prior_a", "deep_prior_staged_a", "deep_prior_staged_b"))
    for folder in (run, staged, other):
        folder.mkdir()
    (run / "job.json").write_text(f'{{"inputs": ["{staged}/staged_0.tif", "/etc/x.tif"], "outputs": {{}}}}')
    clean_up_after_worker(str(run / "job.json"), "token", True)
    assert not run.exists() and not staged.exists() and other.exists()
