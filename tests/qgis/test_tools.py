"""`tools/qgis-process` runs the real qgis_process on this checkout, whatever the caller's environment is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from qgis_helpers import QGIS_PROCESS

pytestmark = pytest.mark.qgis


def qgis_process(
    *arguments: str, folder: Path, program: str = QGIS_PROCESS, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_it_runs_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "qp"
    link.symlink_to(QGIS_PROCESS)
    done = qgis_process("list", folder=tmp_path, program=str(link))
    assert done.returncode == 0, done.stderr
    assert "deepprior:gapfillslcoff" in done.stdout


def test_another_python_and_the_users_profile_are_not_used(tmp_path: Path) -> None:
    # QGIS's embedded Python takes its prefix from the first python3 in PATH, and reads these variables.
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = qgis_process(
        "help",
        "deepprior:gapfillslcoff",
        folder=tmp_path,
        PATH=f"{python.parent}:{os.environ['PATH']}",
        PYTHONHOME=str(tmp_path),
        PYTHONPATH=str(tmp_path),
        HOME=str(tmp_path),
        XDG_DATA_HOME=str(tmp_path / "data"),
    )
    assert done.returncode == 0, done.stderr
    assert "NETWORK_INPUT" in done.stdout
    assert not list(tmp_path.rglob("profiles"))


def test_failure_is_passed_on(tmp_path: Path) -> None:
    done = qgis_process("run", "deepprior:nosuchalgorithm", "--", "INPUT=a.tif", folder=tmp_path)
    assert done.returncode != 0
