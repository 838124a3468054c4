"""The engine's Python: found in the promised order, run in a clean environment, built and removed safely.

Runs without QGIS and without the network: pip is the real one, with wheels that are made here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from algorithms import engine_builder, environment
from algorithms.environment import EngineProblem

ROOT = Path(__file__).resolve().parents[2]


def program(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """No engine anywhere, whatever the machine has."""
    monkeypatch.setenv("DEEP_PRIOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEEP_PRIOR_PYTHON", raising=False)
    monkeypatch.setattr(environment, "CHEAP_CHECK", ("a_library_that_nobody_has",))
    return tmp_path / "home"


@pytest.fixture
def complete(home):
    """A managed environment as a finished build leaves it."""
    folder = environment.managed_folder()
    program(Path(environment.python_of(folder)), "#!/bin/sh\n")
    marker = {"requirements": environment.digest(environment.REQUIREMENTS)}
    Path(folder, "complete.json").write_text(json.dumps(marker))
    return folder


# ---------------------------------------------------------------- finding


def test_nothing_is_found_where_nothing_is(home):
    assert environment.find_python() is None


def test_order_is_setting_variable_managed_running(complete, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CHEAP_CHECK", ("json",))
    setting, variable = program(tmp_path / "s", ""), program(tmp_path / "v", "")
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", variable)
    assert environment.find_python(setting) == (setting, "setting")
    assert environment.find_python("") == (variable, "variable DEEP_PRIOR_PYTHON")
    monkeypatch.delenv("DEEP_PRIOR_PYTHON")
    assert environment.find_python(None) == (environment.python_of(complete), "managed environment")
    shutil.rmtree(complete)
    assert environment.find_python() == (environment.real_python(), "running interpreter")


@pytest.mark.parametrize("where", ["setting", "variable"])
def test_a_named_python_that_is_not_there_is_an_error_not_skipped(complete, monkeypatch, where):
    if where == "variable":
        monkeypatch.setenv("DEEP_PRIOR_PYTHON", "/no/python")
    with pytest.raises(EngineProblem, match=f"{where}.*'/no/python'.*no program"):
        environment.find_python("/no/python" if where == "setting" else None)


def test_unfinished_and_outdated_builds_count_as_absent(complete):
    marker = Path(complete, "complete.json")
    marker.write_text(json.dumps({"requirements": "of last year"}))
    assert environment.find_python() is None
    marker.unlink()
    assert environment.find_python() is None


def test_comments_do_not_make_a_build_outdated(tmp_path):
    (tmp_path / "a").write_text("torch>=2\n\n# why\nnumpy  # and why\n")
    (tmp_path / "b").write_text("torch>=2\nnumpy\n")
    (tmp_path / "c").write_text("torch>=3\nnumpy\n")
    assert (
        environment.digest(tmp_path / "a") == environment.digest(tmp_path / "b") != environment.digest(tmp_path / "c")
    )


def test_finding_runs_nothing_and_imports_nothing(complete, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    assert environment.find_python() is not None


def test_managed_folder_is_outside_the_plugin(monkeypatch):
    monkeypatch.delenv("DEEP_PRIOR_HOME", raising=False)
    folder = Path(environment.managed_folder())
    assert ROOT not in folder.parents and folder.is_absolute()
    assert folder.name == "engine-py{}.{}".format(*sys.version_info[:2])


def test_real_python_is_a_python_of_this_version():
    code = "import sys; print(*sys.version_info[:2])"
    found = subprocess.run([environment.real_python(), "-c", code], capture_output=True, text=True, check=True)
    assert tuple(map(int, found.stdout.split())) == sys.version_info[:2]


# ---------------------------------------------------------------- running


def test_clean_environment_drops_what_misleads_and_keeps_what_reaches_the_index(tmp_path):
    certificate = tmp_path / "ca.pem"
    certificate.touch()
    dirty = {
        "PATH": "/usr/bin", "PYTHONHOME": "/q", "PYTHONPATH": "/q", "VIRTUAL_ENV": "/q", "QGIS_PREFIX_PATH": "/q",
        "PROJ_LIB": "/q", "GDAL_DATA": "/q", "LD_LIBRARY_PATH": "/q", "LD_PRELOAD": "/q", "PIP_TARGET": "/q",
        "PIP_USER": "1", "PIP_PREFIX": "/q", "DYLD_LIBRARY_PATH": "/q",
        "PIP_INDEX_URL": "i", "PIP_FIND_LINKS": "f", "PIP_EXTRA_INDEX_URL": "e", "GDAL_HTTP_PROXY": "p",
        "PIP_CERT": str(certificate), "SSL_CERT_FILE": "/no/such/file",
    }  # fmt: skip
    child = environment.clean_environment(dirty)
    kept = {name for name in child if name in dirty}
    assert kept == {
        "PATH", "PYTHONPATH", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "GDAL_HTTP_PROXY", "PIP_CERT"
    }  # fmt: skip
    assert child["PYTHONPATH"] == str(ROOT)
    assert child["PYTHONNOUSERSITE"] == "1" and child["OMP_WAIT_POLICY"] == "PASSIVE"
    assert dirty["PYTHONHOME"] == "/q"  # our own environment is not touched


def test_probe_returns_the_workers_answer_despite_chatter(tmp_path):
    answer = {"python": "3.11", "versions": {"torch": "2.9"}, "devices": []}
    python = program(
        tmp_path / "p",
        f"#!/bin/sh\n[ \"$*\" = '-m dip_core --probe' ] || exit 9\necho hi\necho '{json.dumps(answer)}'\n",
    )
    assert environment.probe(python) == answer


@pytest.mark.parametrize(
    "script, words",
    [
        ('echo \'{"missing": ["torch", "rasterio"]}\'; exit 1', "lacks torch, rasterio. Run 'Set up"),
        ("echo boom >&2; exit 1", "cannot run the worker (boom)"),
        ("exec sleep 60", "did not answer"),
    ],
)
def test_probe_says_what_is_wrong(tmp_path, script, words):
    with pytest.raises(EngineProblem) as caught:
        environment.probe(program(tmp_path / "p", f"#!/bin/sh\n{script}\n"), timeout=2)
    assert words in str(caught.value)


def test_probe_of_what_is_no_program(tmp_path):
    with pytest.raises(EngineProblem, match="cannot be started"):
        environment.probe(str(tmp_path))


# ---------------------------------------------------------------- which wheels


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    def make(answer: str | None) -> None:
        folder = tmp_path / "path"
        folder.mkdir()
        if answer is not None:
            program(folder / "nvidia-smi", f"#!/bin/sh\necho '{answer}'\n")
        monkeypatch.setenv("PATH", str(folder))

    return make


@pytest.mark.skipif(sys.platform == "darwin", reason="there is one kind of wheel on macOS")
@pytest.mark.parametrize(
    "answer, compute, wheels",
    [
        (None, "auto", "cpu"),
        ("No devices were found", "auto", "cpu"),
        ("550.54.15, 8.0", "auto", "cu126"),
        ("580.10, 12.0", "auto", "cu128"),  # CUDA 12.6 has no kernels for these
        ("470.1, 7.5", "auto", "cpu"),  # a driver too old for CUDA 12
        ("550.54.15, 8.0", "cpu", "cpu"),
        (None, "cuda", "cu126"),  # asked for, though no driver is there yet
    ],
)
def test_wheels_fit_the_machine(gpu, answer, compute, wheels):
    gpu(answer)
    assert engine_builder.wheel_variant(compute) == wheels


def test_torch_comes_first_and_alone_from_its_own_index():
    torch, rest = engine_builder.pip_commands("py", "cpu")
    assert torch[:4] == ["py", "-m", "pip", "install"]
    assert torch[-1].startswith("torch>=") and ",<" in torch[-1]
    assert torch[torch.index("--index-url") + 1].endswith("/cpu")
    assert "--no-deps" in torch  # that index holds old copies of common libraries
    assert (
        "--index-url" not in rest
        and "--no-deps" not in rest
        and rest[rest.index("-r") + 1].endswith("requirements.txt")
    )
    text = " ".join(torch + rest)
    assert "trusted-host" not in text  # certificates are always checked


def test_constraints_keep_to_the_default_index():
    for command in engine_builder.pip_commands("py", "cpu", "c.txt"):
        assert "--index-url" not in command and command[command.index("-c") + 1] == "c.txt"


def test_unreachable_torch_index_falls_back_with_a_warning(tmp_path, monkeypatch):
    ran, said = [], []

    def follow(command, *_):
        ran.append(command)
        if "--index-url" in command:
            raise EngineProblem("The package index cannot be reached.")

    monkeypatch.setattr(engine_builder, "_follow", follow)
    monkeypatch.setattr(engine_builder, "ROOM", {"cpu": 0, "cuda": 0})
    folder = str(tmp_path / "e")
    engine_builder._install(folder, "base", "cpu", None, said.append, lambda f: None, lambda: False, None, None)
    assert [engine_builder.torch_requirement() in command for command in ran] == [False, True, True, False]
    assert not {"--index-url", "--no-deps"} & set(ran[2])
    assert any("WARNING" in line for line in said)


# ---------------------------------------------------------------- building


def wheel(folder: Path, name: str, version: str, needs: str = "") -> None:
    """A library with one small module: the least that pip installs."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture
def offline(home, tmp_path, monkeypatch):
    """pip without a network, two tiny libraries to install, and a worker that only imports them."""
    links = tmp_path / "links"
    links.mkdir()
    wheel(links, "torch", "2.5.0", "Requires-Dist: torchneeds\n")
    wheel(links, "torchneeds", "1.0")
    wheel(links, "other", "1.0")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("torch>=2.2,<2.14\nother<2\n")
    core = tmp_path / "root" / "dip_core"
    core.mkdir(parents=True)
    (core / "__init__.py").touch()
    (core / "__main__.py").write_text(
        "import json, torch, torchneeds, other\n"
        "print(json.dumps({'python': '3', 'versions': {'torch': torch.__version__}, 'devices': []}))\n"
    )
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(links), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "astray"))  # must not reach pip
    for module in (environment, engine_builder):
        monkeypatch.setattr(module, "REQUIREMENTS", requirements)
    monkeypatch.setattr(environment, "ROOT", tmp_path / "root")
    monkeypatch.setattr(engine_builder, "ROOM", {"cpu": 0, "cuda": 0})
    return links


def test_build_then_nothing_to_do_then_remove(offline, tmp_path):
    folder, log = environment.managed_folder(), tmp_path / "log.txt"
    said, shares = [], []
    python = environment.build(folder, compute="cpu", say=said.append, progress=shares.append, log=str(log))
    assert environment.find_python() == (python, "managed environment")
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert "torch 2.5.0" in said[-1] and "Successfully installed torch-2.5.0" in log.read_text()
    assert not (tmp_path / "astray").exists()

    stamp = os.stat(python).st_ctime_ns
    assert environment.build(folder, compute="cpu", say=said.append) == python
    assert os.stat(python).st_ctime_ns == stamp and "complete" in said[-1]

    assert environment.remove(folder) is True
    assert not os.path.exists(folder) and environment.find_python() is None
    assert environment.remove(folder) is False


def test_library_that_is_not_to_be_had(offline):
    (offline / "other-1.0-py3-none-any.whl").unlink()
    folder = environment.managed_folder()
    with pytest.raises(EngineProblem, match="no fitting version"):
        environment.build(folder, compute="cpu")
    assert not os.path.exists(folder)


def test_engine_that_does_not_pass_its_probe_is_not_kept(offline, tmp_path):
    (tmp_path / "root" / "dip_core" / "__main__.py").write_text("raise SystemExit('no good')")
    folder = environment.managed_folder()
    with pytest.raises(EngineProblem, match="no good"):
        environment.build(folder, compute="cpu")
    assert not os.path.exists(folder)


def test_cancel_kills_the_installer_with_its_children(offline, tmp_path):
    pids = tmp_path / "pids"
    base = program(
        tmp_path / "base",
        f'#!/bin/sh\nif [ "$1" = -c ]; then echo 3 11 8; exit; fi\nsleep 300 &\necho $$ $! >{pids}.new\n'
        f"mv {pids}.new {pids}\nwait\n",
    )
    folder = environment.managed_folder()
    start = time.monotonic()
    with pytest.raises(engine_builder.BuildCancelled):
        environment.build(folder, base, "cpu", is_cancelled=pids.exists)
    assert time.monotonic() - start < 5
    assert not os.path.exists(folder)
    for pid in pids.read_text().split():
        status = Path(f"/proc/{pid}/status")
        assert not status.exists() or "\nState:\tZ" in status.read_text()


def test_two_builds_at_once_and_a_dead_ones_lock(offline, tmp_path):
    folder = environment.managed_folder()
    held, release = threading.Event(), threading.Event()

    def hold():
        with engine_builder._locked(folder):
            held.set()
            release.wait(20)

    os.makedirs(os.path.dirname(folder))
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    try:
        with pytest.raises(EngineProblem, match=f"already .process {os.getpid()} since"):
            environment.build(folder, compute="cpu")
    finally:
        release.set()
        thread.join()
    # What a process that died left behind is only a file.
    Path(folder + ".lock").write_text("process 1 since 1970-01-01 00:00:00")
    assert os.path.exists(environment.build(folder, compute="cpu"))


def test_foreign_folder_is_left_alone(home, tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(EngineProblem, match="left alone"):
        environment.remove(str(folder))
    assert (folder / "thesis.txt").exists()


@pytest.mark.parametrize(
    "answer, words",
    [("echo 3 9 8", "Python 3.9"), ("echo 3 11 4", "32 bits"), ("exit 1", "does not run as Python")],
)
def test_unfit_base_python(home, tmp_path, answer, words):
    base = program(tmp_path / "base", f"#!/bin/sh\n{answer}\n")
    with pytest.raises(EngineProblem, match=words):
        environment.build(environment.managed_folder(), base, "cpu")


def test_full_disk_is_seen_before_anything_is_made(offline, monkeypatch):
    monkeypatch.setattr(engine_builder, "ROOM", {"cpu": 1e18, "cuda": 1e18})
    folder = environment.managed_folder()
    with pytest.raises(EngineProblem, match="GB are free"):
        environment.build(folder, compute="cpu")
    assert not os.path.exists(folder)


def test_passwords_of_a_proxy_stay_out_of_the_log():
    line = "Looking in indexes: https://joe:secret@proxy.example:8080/simple"  # pragma: allowlist secret
    assert engine_builder.scrub(line) == "Looking in indexes: https://***@proxy.example:8080/simple"


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
def test_installers_complaints_become_one_sentence(output, words):
    assert words in engine_builder._reason(output, ["py", "-m", "pip", "install", "x"])
