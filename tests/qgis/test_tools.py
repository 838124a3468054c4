"""`tools/qgis-process` runs the real qgis_process on this checkout, whatever the caller's shell looks like."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.qgis

ROOT = Path(__file__).resolve().parents[2]


def qgis_process(
    *arguments: str, cwd: Path, program: Path = ROOT / "tools" / "qgis-process", **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [str(program), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_algorithms_are_listed_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "qp"
    link.symlink_to(ROOT / "tools" / "qgis-process")
    done = qgis_process("list", cwd=tmp_path, program=link)
    assert done.returncode == 0, done.stderr
    assert "deepprior:gapfillslcoff" in done.stdout


def test_another_python_in_the_shell_does_no_harm(tmp_path: Path) -> None:
    # QGIS's embedded Python takes its prefix from the first python3 in PATH, and reads these variables.
    impostor = tmp_path / "bin" / "python3"
    impostor.parent.mkdir()
    impostor.write_text("#!/bin/sh\nexit 1\n")
    impostor.chmod(0o755)
    done = qgis_process(
        "list",
        cwd=tmp_path,
        PATH=f"{impostor.parent}:{os.environ['PATH']}",
        PYTHONHOME=str(tmp_path),
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "deepprior:gapfillslcoff" in done.stdout


def test_the_users_profile_is_left_alone(tmp_path: Path) -> None:
    done = qgis_process("list", cwd=tmp_path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("profiles"))


def test_failure_is_passed_on(tmp_path: Path) -> None:
    done = qgis_process("run", "deepprior:nosuchalgorithm", "--", "INPUT=a.tif", cwd=tmp_path)
    assert done.returncode != 0
