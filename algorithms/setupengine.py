"""Set up the restoration engine: builds, tests or removes the worker's Python environment, when the user asks."""

from __future__ import annotations

import os
import platform
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsSettings,
)

from ..dip_core import __version__
from . import environment
from .base import DeepPriorAlgorithm, cancel_watch, find_engine, given

ACTIONS = ("build", "test", "remove")
COMPUTES = ("auto", "cpu", "cuda")


class SetUpEngine(DeepPriorAlgorithm):
    """The only part of the plugin that uses the network, and only for action *build*."""

    NAME = "setupengine"
    LABEL = "Set up the restoration engine"
    GROUP = ("engine", "Engine")
    SUMMARY = "Builds, tests or removes the Python environment that restores rasters outside QGIS."
    TAGS = ("install", "dependencies", "python", "pytorch", "torch", "cuda", "gpu", "environment", "diagnostics")
    HELP = """
<p>Restoration runs in a Python process of its own, so that PyTorch and its libraries never enter QGIS. This algorithm
makes that Python environment in your user data folder (about 1.5 GB, or 7 GB with CUDA), with the installer pip,
through the proxy of QGIS's network settings. The folder is another one if the environment variable
<code>DEEP_PRIOR_HOME</code> is set.</p>
<p><b>build</b> downloads and installs what is missing, and nothing where all is there. <b>test</b> only looks:
it says which libraries and devices the engine has; paste its text into a problem report. <b>remove</b> deletes the
environment again.</p>
<p>An environment of your own can be used instead: name its Python in Settings &gt; Options &gt; Processing &gt;
Providers &gt; Deep Prior, or in the environment variable <code>DEEP_PRIOR_PYTHON</code>.</p>
"""
    ACTION = "ACTION"
    COMPUTE = "COMPUTE"
    PYTHON = "PYTHON"
    LOG = "LOG"
    DIAGNOSTICS = "DIAGNOSTICS"
    REPORT = "REPORT"
    ENGINE_PYTHON = "ENGINE_PYTHON"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare parameters and outputs, in the order of the dialog."""
        for name, label, choices, tooltip in (
            (self.ACTION, "What to do", ACTIONS, "build installs what is missing; test only looks; remove deletes."),
            (self.COMPUTE, "Compute on", COMPUTES, "auto: CUDA where an NVIDIA driver is found, else the CPU."),
        ):
            choice = QgsProcessingParameterEnum(name, self.tr(label), list(choices), defaultValue=choices[0])
            choice.setUsesStaticStrings(True)
            self.add(choice, tooltip)
        self.add(
            QgsProcessingParameterFile(self.PYTHON, self.tr("Python to build it with (3.10 or later)"), optional=True),
            "Leave empty for QGIS's own Python.",
            advanced=True,
        )
        self.add_file_output(self.LOG, "Log", "Text files (*.txt)", "All that the installer said.")
        self.add_file_output(self.REPORT, "Diagnostics", "HTML files (*.html)", "Versions and devices, as a page.")
        self.addOutput(QgsProcessingOutputString(self.DIAGNOSTICS, self.tr("Diagnostics")))
        self.addOutput(QgsProcessingOutputString(self.ENGINE_PYTHON, self.tr("The engine's Python")))

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do it, then say what is there now."""
        action = self.parameterAsEnumString(parameters, self.ACTION, context)
        log = self.parameterAsFileOutput(parameters, self.LOG, context)
        report = self.parameterAsFileOutput(parameters, self.REPORT, context)
        folder = environment.managed_folder()
        try:
            if action == "build":
                built = environment.build(
                    folder,
                    self.parameterAsFile(parameters, self.PYTHON, context) if given(parameters, self.PYTHON) else None,
                    self.parameterAsEnumString(parameters, self.COMPUTE, context),
                    proxy=qgis_proxy(),
                    say=feedback.pushInfo,
                    progress=lambda fraction: feedback.setProgress(100 * fraction),
                    is_cancelled=cancel_watch(feedback),
                    log=os.path.abspath(log) if log else None,
                )
            elif action == "remove":
                found = environment.remove(folder)
                feedback.pushInfo(f"Removed {folder}" if found else f"There is no environment in {folder}")
            text, python = diagnostics(must_work=action == "test")
            if action == "build" and python != built:
                feedback.pushWarning(
                    f"The new environment is not in use: the setting or variable {environment.VARIABLE} names {python}"
                )
        except environment.EngineProblem as problem:
            raise QgsProcessingException(str(problem)) from problem
        feedback.pushInfo(text)
        results = {self.DIAGNOSTICS: text, self.ENGINE_PYTHON: python}
        if log:
            Path(log).touch()  # where nothing was installed, the log is empty
            results[self.LOG] = log
        if report:
            Path(report).write_text(f"<!DOCTYPE html><meta charset='utf-8'><pre>{escape(text)}</pre>", encoding="utf-8")
            results[self.REPORT] = report
        return results


def diagnostics(must_work: bool) -> tuple[str, str]:
    """What a problem report needs, and the engine's Python; raises EngineProblem if it ``must_work`` and does not."""
    lines = [
        f"Deep Prior {__version__}",
        f"QGIS {Qgis.QGIS_VERSION}",
        f"Python of QGIS {platform.python_version()}",
        f"System {platform.platform()}",
    ]
    python = ""
    try:
        engine = find_engine()
        python = engine.python
        lines.append(f"Engine's Python {engine.python} ({engine.source})")
        answer = environment.probe(engine.python)
        lines.append(f"Engine's Python version {answer.get('python')}")
        lines += [f"{library} {version}" for library, version in answer["versions"].items()]
        lines += [f"Device {device['id']}: {device['name']}" for device in answer.get("devices", ())]
    except environment.EngineProblem as problem:
        if must_work:
            raise
        lines.append(str(problem))
    return "\n".join(lines), python


def qgis_proxy() -> str | None:
    """The proxy of QGIS's network settings as a URL, or None; pip asks the system where QGIS leaves it to that."""
    settings = QgsSettings()
    if not settings.value("proxy/proxyEnabled", False, type=bool):
        return None
    kind = settings.value("proxy/proxyType", "", type=str)
    host = settings.value("proxy/proxyHost", "", type=str)
    if kind == "DefaultProxy" or not host:
        return None
    scheme = "socks5" if kind == "Socks5Proxy" else "http"
    port = settings.value("proxy/proxyPort", "", type=str)
    user = settings.value("proxy/proxyUser", "", type=str)
    password = settings.value("proxy/proxyPassword", "", type=str)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{scheme}://{login}{host}{':' + port if port else ''}"
