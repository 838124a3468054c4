"""Programs of the engine run in a clean environment, and a probe explains what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from algorithms.engine_process import (
    EngineError,
    clean_environment,
    end_process_group,
    last_words,
    probe,
    process_options,
)

ROOT = Path(__file__).resolve().parents[2]


def program(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_clean_environment_drops_qgis_and_keeps_the_package_index(tmp_path):
    certificate = tmp_path / "ca.pem"
    certificate.touch()
    variables = {
        "PATH": "/usr/bin", "PYTHONHOME": "/q", "PYTHONPATH": "/q", "VIRTUAL_ENV": "/q", "QGIS_PREFIX_PATH": "/q",
        "PROJ_LIB": "/q", "GDAL_DATA": "/q", "LD_LIBRARY_PATH": "/q", "LD_PRELOAD": "/q", "PIP_TARGET": "/q",
        "PIP_USER": "1", "PIP_PREFIX": "/q", "DYLD_LIBRARY_PATH": "/q",
        "PIP_INDEX_URL": "i", "PIP_FIND_LINKS": "f", "PIP_EXTRA_INDEX_URL": "e", "GDAL_HTTP_PROXY": "p",
        "PIP_CERT": str(certificate), "SSL_CERT_FILE": "/no/such/file",
    }  # fmt: skip
    child = clean_environment(variables)
    assert {name for name in child if name in variables} == {
        "PATH", "PYTHONPATH", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "GDAL_HTTP_PROXY", "PIP_CERT"
    }  # fmt: skip
    assert child["PYTHONPATH"] == str(ROOT)
    assert child["PYTHONNOUSERSITE"] == "1" and child["OMP_WAIT_POLICY"] == "PASSIVE"
    assert variables["PYTHONHOME"] == "/q"  # the given variables are not changed


def test_probe_returns_the_answer_and_skips_other_output(tmp_path):
    answer = {"python": "3.11", "versions": {"torch": "2.9"}, "devices": []}
    body = f"[ \"$*\" = '-m dip_core --probe' ] || exit 9\necho hi\necho '{json.dumps(answer)}'"
    assert probe(program(tmp_path / "python", body)) == answer


@pytest.mark.parametrize(
    "body, timeout, words",
    [
        ('echo \'{"missing": ["torch", "rasterio"]}\'; exit 1', 60, "lacks torch, rasterio. Run 'Set up"),
        ("echo boom >&2; exit 1", 60, "cannot run the worker (boom)"),
        ("exec sleep 60", 0.2, "did not answer"),
    ],
)
def test_probe_explains_what_is_wrong(tmp_path, body, timeout, words):
    with pytest.raises(EngineError) as caught:
        probe(program(tmp_path / "python", body), timeout=timeout)
    assert words in str(caught.value)


def test_probe_of_a_folder_cannot_be_started(tmp_path):
    with pytest.raises(EngineError, match="cannot be started"):
        probe(str(tmp_path))


def test_ending_a_group_kills_children_that_ignore_the_signal(tmp_path):
    body = f"trap '' TERM\nsleep 60 &\necho $! > {tmp_path}/child.new\nmv {tmp_path}/child.new {tmp_path}/child\nwait"
    process = subprocess.Popen([program(tmp_path / "parent", body)], text=True, **process_options())
    deadline = time.monotonic() + 10
    while not (tmp_path / "child").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    end_process_group(process, grace=0.1)
    assert process.returncode is not None
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/status")
    assert not os.path.exists(child) or "\nState:\tZ" in child.read_text()


def test_last_words_are_one_short_line():
    assert last_words("a\n  b\n" * 200).endswith("a b") and len(last_words("x" * 999)) == 300
    assert last_words(" \n") == "no output"
