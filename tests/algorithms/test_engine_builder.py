"""The engine is built completely or not at all, and removed safely.

Runs without QGIS and without a network. Most tests use a fake base Python; one uses the real venv and pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import is_running, wait_until

from algorithms.engine_builder import BuildOptions, build, remove
from algorithms.engine_installer import BuildCancelled, BuildMonitor, Installer, explain_failure, remove_passwords
from algorithms.engine_locate import find_python, is_complete, managed_folder, venv_python
from algorithms.engine_process import EngineError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def large_disk(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**12))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_PRIOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEEP_PRIOR_PYTHON", raising=False)
    return managed_folder()


@pytest.fixture
def commands(tmp_path):
    """The commands that the fake base Python and its copy have run."""
    return lambda: (tmp_path / "base-python.log").read_text().splitlines()


# ---------------------------------------------------------------- the real venv and pip


def write_wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """The smallest wheel that pip installs: a library with one module."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture
def small_plugin(tmp_path, monkeypatch):
    """A plugin that needs two small libraries, and a pip that finds them without a network."""
    wheels, core = tmp_path / "wheels", tmp_path / "plugin" / "dip_core"
    wheels.mkdir()
    core.mkdir(parents=True)
    write_wheel(wheels, "torch", "2.5.0", "Requires-Dist: torchneeds\n")
    write_wheel(wheels, "torchneeds", "1.0")
    write_wheel(wheels, "other", "1.0")
    (core / "requirements.txt").write_text("torch>=2.2,<2.14\nother<2\n")
    (core / "__init__.py").touch()
    (core / "__main__.py").write_text(
        "import json, torch, torchneeds, other\n"
        "print(json.dumps({'python': '3', 'versions': {'torch': torch.__version__}, 'devices': []}))\n"
    )
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(wheels), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))  # must not reach pip
    return core.parent


def test_real_build_installs_all_libraries(small_plugin, folder, tmp_path):
    Path(folder).parent.mkdir()
    Path(folder + ".lock").write_text("process 1 since 1970-01-01 00:00:00")  # left by a process that died
    log, messages, fractions = tmp_path / "log.txt", [], []
    options = BuildOptions(compute="cpu", log=str(log), root=small_plugin)
    python = build(folder, options, BuildMonitor(messages.append, fractions.append))
    assert python == venv_python(folder) and is_complete(folder, small_plugin)
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert "torch 2.5.0" in messages[-1] and "Successfully installed torch-2.5.0" in log.read_text()
    assert not (tmp_path / "elsewhere").exists()


# ---------------------------------------------------------------- building


def test_build_then_nothing_to_do_then_remove(fake_base_python, folder, commands):
    base, messages = fake_base_python(), []
    python = build(folder, BuildOptions(base, "cpu"))
    assert find_python() == (python, "managed environment")
    before = len(commands())
    assert build(folder, BuildOptions(base, "cpu"), BuildMonitor(messages.append)) == python
    assert not [command for command in commands()[before:] if "pip" in command]
    assert messages == [f"The restoration engine in {folder} is complete."]
    assert remove(folder) is True
    assert not os.path.exists(folder)
    assert remove(folder) is False


def test_unreachable_torch_index_falls_back_with_a_warning(fake_base_python, folder, commands):
    base = fake_base_python(pip='case "$*" in *--index-url*) echo NewConnectionError; exit 1;; esac')
    messages = []
    build(folder, BuildOptions(base, "cpu"), BuildMonitor(messages.append))
    pip = [command for command in commands() if "pip" in command]
    assert ["torch>=" in command for command in pip] == [True, True, False]
    assert ["--index-url" in command for command in pip] == [True, False, False]
    assert any(message.startswith("WARNING") for message in messages)


@pytest.mark.parametrize(
    "fake, words",
    [
        ({"pip": "echo No matching distribution; exit 1"}, "no suitable version"),
        ({"probe": "echo no good >&2; exit 1"}, "no good"),
        ({"version": "3 9 8"}, "Python 3.9"),
        ({"version": "3 11 4"}, "32 bits"),
        ({"version": "something else"}, "does not run as Python"),
    ],
)
def test_a_build_that_fails_leaves_nothing(fake_base_python, folder, fake, words):
    with pytest.raises(EngineError, match=words):
        build(folder, BuildOptions(fake_base_python(**fake), "cpu"))
    assert not os.path.exists(folder)


def test_base_python_that_does_not_exist(folder, tmp_path):
    with pytest.raises(EngineError, match="is not a program"):
        build(folder, BuildOptions(str(tmp_path / "gone"), "cpu"))


def test_full_disk_is_an_error_before_the_build(fake_base_python, folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    with pytest.raises(EngineError, match=r"needs 1\.5 GB.*only 0\.0 GB are free"):
        build(folder, BuildOptions(fake_base_python(), "cpu"))
    assert not os.path.exists(folder)


def test_cancel_ends_the_installer_and_its_children(fake_base_python, folder, tmp_path):
    pids = tmp_path / "pids"
    base = fake_base_python(pip=f"sleep 300 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait")
    start = time.monotonic()
    with pytest.raises(BuildCancelled):
        build(folder, BuildOptions(base, "cpu"), BuildMonitor(is_cancelled=pids.exists))
    assert time.monotonic() - start < 5
    assert not os.path.exists(folder)
    for pid in pids.read_text().split():
        status = Path(f"/proc/{pid}/status")
        assert not status.exists() or "\nState:\tZ" in status.read_text()


def test_second_build_at_the_same_time_is_an_error(fake_base_python, folder, tmp_path):
    base = fake_base_python(pip=f"touch {tmp_path}/started; exec sleep 300")
    release, ended = threading.Event(), []

    def first() -> None:
        with pytest.raises(BuildCancelled):
            build(folder, BuildOptions(base, "cpu"), BuildMonitor(is_cancelled=release.is_set))
        ended.append(True)

    thread = threading.Thread(target=first)
    thread.start()
    deadline = time.monotonic() + 20
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        with pytest.raises(EngineError, match=f"already .process {os.getpid()} since"):
            build(folder, BuildOptions(base, "cpu"))
    finally:
        release.set()
        thread.join()
    assert ended


def test_a_folder_that_is_no_engine_is_not_deleted(tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(EngineError, match="is not a restoration engine, so it is not deleted"):
        remove(str(folder))
    assert (folder / "thesis.txt").exists()


BUILD = """\
import shutil, sys
from types import SimpleNamespace
shutil.disk_usage = lambda path: SimpleNamespace(free=10**12)
from algorithms.engine_builder import BuildOptions, build
build(sys.argv[1], BuildOptions(sys.argv[2], "cpu"))
"""


@pytest.mark.parametrize("reaction", ["", "trap '' TERM; "])
def test_the_installer_ends_with_qgis_and_holds_the_lock_until_then(fake_base_python, folder, tmp_path, reaction):
    """QGIS is killed while pip runs: pip ends too, and nobody can build in the same folder before."""
    pids = tmp_path / "pids"
    body = f"sleep 20 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait; wait"
    base = fake_base_python(pip=reaction + body)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    qgis = subprocess.Popen([sys.executable, "-c", BUILD, folder, base], env=environ)
    try:
        assert wait_until(pids.exists, 30)
        with pytest.raises(EngineError, match="already"):
            build(folder, BuildOptions(base, "cpu"), BuildMonitor(is_cancelled=lambda: True))
        qgis.kill()
        qgis.wait()
        if reaction:  # pip does not obey at once
            with pytest.raises(EngineError, match=f"already .process {qgis.pid} since"):
                build(folder, BuildOptions(base, "cpu"), BuildMonitor(is_cancelled=lambda: True))
        assert wait_until(lambda: not any(map(is_running, pids.read_text().split())), 6)
    finally:
        qgis.kill()
        qgis.wait()
    second = fake_base_python()
    assert wait_until(lambda: can_build(folder, second), 5)


def can_build(folder, base) -> bool:
    try:
        build(folder, BuildOptions(base, "cpu"))
    except EngineError:
        return False
    return True


def test_commands_of_the_installer_leave_no_process_and_keep_their_exit_code(tmp_path):
    log = tmp_path / "log.txt"
    installer = Installer(str(tmp_path), "/bin/sh", "cpu", tmp_path, BuildMonitor(), log=str(log))
    installer.run(["/bin/sh", "-c", "echo $0 $1; cat", "a b", "c'd"])
    assert log.read_text() == "a b c'd\n"
    with pytest.raises(EngineError, match=r"'-c .* failed \(odd\)"):
        installer.run(["/bin/sh", "-c", "echo odd; exit 7"])
    with pytest.raises(EngineError, match="cannot be started"):
        installer.run([str(tmp_path / "none")])


# ---------------------------------------------------------------- messages


def test_passwords_of_a_proxy_are_not_logged():
    line = "Looking in indexes: https://joe:secret@proxy.example:8080/simple"  # pragma: allowlist secret
    assert remove_passwords(line) == "Looking in indexes: https://***@proxy.example:8080/simple"


@pytest.mark.parametrize(
    "output, words",
    [
        ("ensurepip is not available", "python3-venv"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSL: CERTIFICATE_VERIFY_FAILED", "PIP_CERT"),
        ("NewConnectionError(...)", "cannot be reached"),
        ("odd", "'-m pip install' failed (odd)"),
    ],
)
def test_output_of_the_installer_becomes_one_sentence(output, words):
    assert words in explain_failure(output, ["py", "-m", "pip", "install", "x"])
