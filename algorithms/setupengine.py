"""Set up the restoration engine: builds, tests or removes the Python environment of the worker."""

from __future__ import annotations

import os
import platform
from html import escape
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
)

from ..dip_core import __version__
from .algorithm import HTML_FILES, DeepPriorAlgorithm, has_value
from .engine_builder import BuildOptions, build, remove
from .engine_installer import BuildMonitor
from .engine_locate import PYTHON_VARIABLE, managed_folder
from .engine_process import EngineError, probe
from .engine_wheels import COMPUTE_CHOICES
from .feedback import cancel_check
from .settings import find_engine, proxy_url

ACTIONS = ("build", "test", "remove")


class SetUpEngine(DeepPriorAlgorithm):
    """The only part of the plugin that uses the network, and only for the action *build*."""

    NAME = "setupengine"
    LABEL = "Set up the restoration engine"
    GROUP = ("engine", "Engine")
    SUMMARY = "Builds, tests or removes the Python environment in which restorations run."
    TAGS = ("install", "dependencies", "python", "pytorch", "torch", "cuda", "gpu", "environment", "diagnostics")
    HELP = """
<p>Restorations run in a separate Python process, so that PyTorch and its libraries never enter QGIS. This algorithm
builds the Python environment for it in your user data folder, or in the folder <code>DEEP_PRIOR_HOME</code> if that
environment variable is set. It needs about 1.5 GB, or 7 GB with CUDA.</p>
<p><b>Actions.</b><br><i>build</i>: downloads and installs what is missing with pip, through the proxy of QGIS's network
settings; does nothing if the environment is complete.<br><i>test</i>: reports the libraries and devices of the engine;
paste its text into a problem report.<br><i>remove</i>: deletes the environment.</p>
<p><b>Outputs.</b> The diagnostics as text, and the path of the engine's Python. Optional: a log of the installer, and
the diagnostics as a page.</p>
<p>To use your own Python environment instead, enter its Python in Settings &gt; Options &gt; Processing &gt; Providers
&gt; Deep Prior, or in the environment variable <code>DEEP_PRIOR_PYTHON</code>.</p>
"""
    ACTION = "ACTION"
    COMPUTE = "COMPUTE"
    PYTHON = "PYTHON"
    LOG = "LOG"
    DIAGNOSTICS = "DIAGNOSTICS"
    REPORT = "REPORT"
    ENGINE_PYTHON = "ENGINE_PYTHON"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_choice(
            self.ACTION,
            "Action",
            ACTIONS,
            "build: install what is missing. test: report libraries and devices. remove: delete the environment.",
        )
        self.add_choice(
            self.COMPUTE,
            "Compute on",
            COMPUTE_CHOICES,
            "For the action build. auto: CUDA if an NVIDIA driver is found, else the CPU. cpu: the CPU only. "
            "cuda: NVIDIA GPUs.",
        )
        label = self.tr("Python to build it with (3.10 or later)")
        self.add(
            # QGIS's default filter (*.*) would reject a name without a dot, such as python3.
            QgsProcessingParameterFile(self.PYTHON, label, optional=True, fileFilter=self.tr("All files (*)")),
            "For the action build. Leave empty to use QGIS's own Python.",
            advanced=True,
        )
        self.add_file_output(self.LOG, "Log", "Text files (*.txt)", "The complete output of the installer.")
        self.add_file_output(self.REPORT, "Diagnostics", HTML_FILES, "Versions and devices, as a page.")
        self.addOutput(QgsProcessingOutputString(self.DIAGNOSTICS, self.tr("Diagnostics")))
        self.addOutput(QgsProcessingOutputString(self.ENGINE_PYTHON, self.tr("Path of the engine's Python")))

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the action, then report the state of the engine."""
        action = self.parameterAsEnumString(parameters, self.ACTION, context)
        log = self.parameterAsFileOutput(parameters, self.LOG, context)
        report = self.parameterAsFileOutput(parameters, self.REPORT, context)
        built = ""
        try:
            if action == "build":
                built = self._build(parameters, context, feedback, log)
            elif action == "remove":
                folder = managed_folder()
                was_removed = remove(folder)
                feedback.pushInfo(f"Removed {folder}" if was_removed else f"There is no environment in {folder}")
            text, python = diagnostics(must_work=action == "test")
        except EngineError as error:
            raise QgsProcessingException(str(error)) from error
        if built and python != built:
            feedback.pushWarning(
                f"The new environment is not used, because the setting or the variable {PYTHON_VARIABLE} gives {python}"
            )
        feedback.pushInfo(text)
        results = {self.DIAGNOSTICS: text, self.ENGINE_PYTHON: python}
        if log:
            Path(log).touch()  # the installer writes no log if it has nothing to do
            results[self.LOG] = log
        if report:
            Path(report).write_text(f"<!DOCTYPE html><meta charset='utf-8'><pre>{escape(text)}</pre>", encoding="utf-8")
            results[self.REPORT] = report
        return results

    def _build(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback, log: str
    ) -> str:
        """Build the managed environment; returns the path of its Python."""
        has_python = has_value(parameters, self.PYTHON)
        options = BuildOptions(
            base_python=self.parameterAsFile(parameters, self.PYTHON, context) if has_python else None,
            compute=self.parameterAsEnumString(parameters, self.COMPUTE, context),
            proxy=proxy_url(),
            log=os.path.abspath(log) if log else None,
        )
        monitor = BuildMonitor(
            on_message=feedback.pushInfo,
            on_progress=lambda fraction: feedback.setProgress(100 * fraction),
            is_cancelled=cancel_check(feedback),
        )
        return build(managed_folder(), options, monitor)


def diagnostics(must_work: bool) -> tuple[str, str]:
    """Versions and devices as text, and the path of the engine's Python.

    With ``must_work``, raises EngineError if the engine does not work; else the text contains the error.
    """
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
        answer = probe(engine.python)
        lines.append(f"Engine's Python version {answer.get('python')}")
        lines += [f"{library} {version}" for library, version in answer["versions"].items()]
        lines += [f"Device {device['id']}: {device['name']}" for device in answer.get("devices", ())]
    except EngineError as error:
        if must_work:
            raise
        lines.append(str(error))
    return "\n".join(lines), python
