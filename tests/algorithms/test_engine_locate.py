"""The engine's Python is found in the documented order, without running a program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from algorithms.engine_locate import (
    digest,
    find_python,
    is_complete,
    managed_folder,
    requirements_file,
    running_python,
    venv_python,
)
from algorithms.engine_process import EngineError

ROOT = Path(__file__).resolve().parents[2]
NO_LIBRARY = ("a_library_that_does_not_exist",)  # so that the running interpreter is no engine


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def variables(tmp_path):
    return {"DEEP_PRIOR_HOME": str(tmp_path / "home")}


@pytest.fixture
def complete(variables):
    """A managed environment as a complete build leaves it."""
    folder = managed_folder(variables)
    program(Path(venv_python(folder)))
    Path(folder, "complete.json").write_text(json.dumps({"requirements": digest(requirements_file())}))
    return folder


def test_nothing_is_found_if_nothing_is_there(variables):
    assert find_python(None, variables, NO_LIBRARY) is None


def test_order_is_setting_variable_managed_running(complete, variables, tmp_path):
    setting, variable = program(tmp_path / "s"), program(tmp_path / "v")
    both = {**variables, "DEEP_PRIOR_PYTHON": variable}
    assert find_python(setting, both, NO_LIBRARY) == (setting, "setting")
    assert find_python("", both, NO_LIBRARY) == (variable, "variable DEEP_PRIOR_PYTHON")
    assert find_python(None, variables, ("json",)) == (venv_python(complete), "managed environment")
    shutil.rmtree(complete)
    assert find_python(None, variables, ("json",)) == (running_python(), "running interpreter")


@pytest.mark.parametrize(
    "setting, variable, words", [("/no/python", "", "setting gives"), ("", "/no/python", "variable .* gives")]
)
def test_a_given_python_that_does_not_exist_is_an_error(complete, variables, setting, variable, words):
    with pytest.raises(EngineError, match=f"{words} '/no/python'.*not a program"):
        find_python(setting, {**variables, "DEEP_PRIOR_PYTHON": variable})


def test_incomplete_and_outdated_builds_do_not_count(complete, variables):
    marker = Path(complete, "complete.json")
    assert is_complete(complete)
    marker.write_text(json.dumps({"requirements": "other"}))
    assert not is_complete(complete) and find_python(None, variables, NO_LIBRARY) is None
    marker.unlink()
    assert not is_complete(complete) and find_python(None, variables, NO_LIBRARY) is None


def test_comments_do_not_make_a_build_outdated(tmp_path):
    (tmp_path / "a").write_text("torch>=2\n\n# why\nnumpy  # and why\n")
    (tmp_path / "b").write_text("torch>=2\nnumpy\n")
    (tmp_path / "c").write_text("torch>=3\nnumpy\n")
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")
    assert digest(None) == ""


def test_finding_runs_no_program(complete, variables, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    assert find_python(None, variables) is not None


def test_managed_folder_is_outside_the_plugin():
    folder = Path(managed_folder({}))
    assert ROOT not in folder.parents and folder.is_absolute()
    assert folder.name == "engine-py{}.{}".format(*sys.version_info[:2])


def test_running_python_is_a_python_of_this_version():
    code = "import sys; print(*sys.version_info[:2])"
    found = subprocess.run([running_python(), "-c", code], capture_output=True, text=True, check=True)
    assert tuple(map(int, found.stdout.split())) == sys.version_info[:2]
