"""Set up the restoration engine: builds, tests and removes, and reports the state of the engine."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
from qgis_helpers import error_sentence

pytestmark = pytest.mark.qgis


@pytest.fixture(autouse=True)
def no_engine(provider, monkeypatch, tmp_path):
    """No engine on this computer, and a large disk."""
    monkeypatch.delenv("DEEP_PRIOR_PYTHON", raising=False)
    monkeypatch.setenv("DEEP_PRIOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**12))


def set_up(feedback=None, **parameters):
    from qgis import processing

    return processing.run("deepprior:setupengine", parameters, feedback=feedback)


def test_test_returns_diagnostics(fake_engine, monkeypatch, tmp_path):
    answer = {
        "python": "3.12.1",
        "versions": {"torch": "2.9.0", "rasterio": "1.4.3"},
        "devices": [{"id": "cpu", "name": "CPU, 8 cores"}, {"id": "cuda:0", "name": "NVIDIA X"}],
    }
    python = fake_engine(f"print({json.dumps(answer)!r})")
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", python)
    results = set_up(ACTION="test", REPORT=str(tmp_path / "d.html"), LOG=str(tmp_path / "log.txt"))
    for words in ("Deep Prior 0.1.0", "QGIS 3.", "torch 2.9.0", "Device cuda:0: NVIDIA X", python, "3.12.1"):
        assert words in results["DIAGNOSTICS"]
    assert results["ENGINE_PYTHON"] == python
    assert "NVIDIA X" in (tmp_path / "d.html").read_text() and (tmp_path / "log.txt").exists()


def test_test_fails_if_the_engine_does_not_work(fake_engine, monkeypatch):
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", fake_engine("""print('{"missing": ["torch"]}'); sys.exit(1)"""))
    assert "lacks torch" in error_sentence(set_up, ACTION="test")


def test_build_makes_the_engine_that_is_used(fake_base_python):
    results = set_up(ACTION="build", COMPUTE="cpu", PYTHON=fake_base_python())
    assert "torch 2.9.0" in results["DIAGNOSTICS"] and "(managed environment)" in results["DIAGNOSTICS"]
    removed = set_up(ACTION="remove")
    assert "not set up" in removed["DIAGNOSTICS"] and removed["ENGINE_PYTHON"] == ""


def test_build_passes_the_proxy_and_the_log_on_and_explains_a_failure(fake_base_python, tmp_path):
    from qgis.core import QgsSettings

    base = fake_base_python(pip="echo proxy is $PIP_PROXY; echo No space left; exit 1")
    log = tmp_path / "log.txt"
    settings = {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.example", "proxyPort": "8080"}
    for key, value in {**settings, "proxyUser": "joe", "proxyPassword": "a@b"}.items():  # pragma: allowlist secret
        QgsSettings().setValue(f"proxy/{key}", value)
    try:
        sentence = error_sentence(set_up, ACTION="build", COMPUTE="cpu", PYTHON=base, LOG=str(log))
    finally:
        QgsSettings().remove("proxy")
    assert sentence == f"The disk is full: free some space and run the set-up again. The log is {log}."
    assert "proxy is http://***@proxy.example:8080" in log.read_text()  # the log hides the password
    assert "-m pip" in (tmp_path / "base-python.log").read_text()


def test_build_can_be_cancelled(fake_base_python, tmp_path):
    from qgis.core import QgsProcessingFeedback

    feedback = QgsProcessingFeedback(False)
    feedback.cancel()
    sentence = error_sentence(set_up, feedback, ACTION="build", COMPUTE="cpu", PYTHON=fake_base_python())
    assert sentence == "The set-up was cancelled; nothing was installed."


def test_build_warns_if_another_engine_is_used(fake_base_python, fake_engine, monkeypatch):
    from qgis.core import QgsProcessingFeedback

    other = fake_engine("""print('{"python": "3", "versions": {}, "devices": []}')""")
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", other)
    feedback = QgsProcessingFeedback(False)
    results = set_up(feedback, ACTION="build", COMPUTE="cpu", PYTHON=fake_base_python())
    assert results["ENGINE_PYTHON"] == other
    assert "The new environment is not used" in feedback.textLog() and other in feedback.textLog()


def test_remove_if_nothing_is_there():
    results = set_up(ACTION="remove")
    assert "not set up" in results["DIAGNOSTICS"] and results["ENGINE_PYTHON"] == ""
