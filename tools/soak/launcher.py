"""Plays QGIS: runs jobs one after another with the plugin's `WorkerProcess`, in a process that may be killed.

Usage: ``python -m tools.soak.launcher ORDER``, a JSON file with the ``jobs``, the path ``cancel`` (the job is cancelled
when that file appears) and the path ``answers``, to which one JSON line per job is appended.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


def main(order_file: str) -> int:
    """Run the jobs of an order; returns 0."""
    order = json.loads(Path(order_file).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="soak_package_") as folder:
        # The QGIS side imports the engine's contract relative to the plugin's package.
        os.symlink(ROOT, os.path.join(folder, "deep_prior"))
        sys.path.insert(0, folder)
        worker = importlib.import_module("deep_prior.algorithms.worker")
        job_module = importlib.import_module("deep_prior.dip_core.job")
        errors = importlib.import_module("deep_prior.dip_core.errors")
        before = _resources()
        for record in order["jobs"]:
            answer: dict[str, Any] = {}
            process = worker.WorkerProcess(job_module.from_json(json.dumps(record)), sys.executable)
            try:
                result = process.run(lambda event: None, lambda event: None, lambda: os.path.exists(order["cancel"]))
                answer["numbers"] = result.numbers
            except errors.DeepPriorError as error:
                answer.update(error=str(error), kind=type(error).__name__)
            answer["leaked"] = [after - first for first, after in zip(before, _resources())]
            with open(order["answers"], "a", encoding="utf-8") as file:
                file.write(json.dumps(answer) + "\n")
    return 0


def _resources() -> tuple[int, int]:
    """Open files and threads of this process."""
    process = psutil.Process()
    files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return files, threading.active_count()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
